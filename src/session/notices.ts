import type { Notice } from "../alerts/event.ts";
import { parseApprovalDocument } from "../approvals/document.ts";
import type { SessionFields } from "../audit/record.ts";
import { summaryOf } from "../sql/summary-of.ts";
import type { TakenUse } from "./approval-desk.ts";
import type { Judged } from "./judged.ts";
import type { NotAllowed } from "../policy/decision.ts";

/** What those who watch are told of a session; see `alerts/event.ts`. All of it is off the way of what is allowed. */
export type TellNotice = (notice: Notice) => void;

export function loginNotice(
  fields: SessionFields,
  { isPerson }: { readonly isPerson: boolean },
): Notice {
  return { kind: "login.succeeded", isPerson, ...whoAndWhere(fields) };
}

/** With `request`: it was refused, or waits, for want of a second person. */
export function refusedNotice(fields: SessionFields, judged: Judged, request?: string): Notice {
  const { decision, classification } = judged;
  if (classification.kind === "unparsed" && classification.cause === "syntax") {
    return failedNotice(fields, judged, "42601");
  }
  const statement = { ...whoAndWhere(fields), ...what(judged), environment: decision.environment };
  return request === undefined || decision.action !== "require_approval"
    ? { kind: "statement.refused", ...statement }
    : { kind: "statement.held", ...statement, request, approvers: decision.terms.approvers };
}

/** It passed, as the rules of its environment are only watched. */
export function observedNotice(
  fields: SessionFields,
  judged: Judged,
  observed: NotAllowed,
): Notice {
  return {
    kind: "statement.observed",
    ...whoAndWhere(fields),
    ...what(judged),
    environment: observed.environment,
    would: observed.action,
  };
}

export function approvedNotice(
  fields: SessionFields,
  judged: Judged,
  { request }: TakenUse,
): Notice {
  const documents = request.approvals.map(({ document }) => parseApprovalDocument(document));
  const broken = documents.find(({ act }) => act === "break_glass");
  const statement = {
    ...whoAndWhere(fields),
    ...what(judged),
    environment: judged.decision.environment,
    session: fields.session,
    request: request.id,
  };
  return broken === undefined
    ? {
        kind: "statement.approved",
        ...statement,
        signers: documents.map(({ approver }) => approver),
      }
    : { kind: "statement.break_glass", ...statement, reason: broken.reason };
}

/** Of a mistyped statement as of one that probes: who tells them apart counts. */
export function failedNotice(fields: SessionFields, judged: Judged, sqlstate: string): Notice {
  const { summary, sql } = what(judged);
  const { session } = fields;
  return { kind: "statement.failed", session, ...whoAndWhere(fields), summary, sql, sqlstate };
}

/** Data exceptions, wrong cardinality, and names or privileges that are not there: what guessing at a database gives. */
export function isGuess(sqlstate: string): boolean {
  return sqlstate.startsWith("22") || sqlstate.startsWith("42") || sqlstate.startsWith("21");
}

function whoAndWhere({ person, roles, client, environment, database }: SessionFields): {
  readonly person: string;
  readonly roles: readonly string[];
  readonly address: string;
  readonly applicationName: string;
  readonly environment: string;
  readonly database: string;
} {
  const { address, application_name: applicationName = "" } = client;
  return { person, roles, address, applicationName, environment, database };
}

function what({ classification, decision, text, isDestructive }: Judged): {
  readonly summary: string;
  readonly sql: string;
  readonly isDestructive: boolean;
  readonly rule: string;
} {
  const deciding = decision.action === "allow" ? decision.observed : decision;
  const statement = deciding?.statement;
  const summary = summaryOf(classification, statement);
  return { summary, sql: text, isDestructive, rule: decision.rule };
}
