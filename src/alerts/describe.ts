import { visibleText } from "../approvals/visible-text.ts";
import { sha256 } from "../base/digest.ts";
import type { Alert, AlertWhat, AlertWho } from "./alert.ts";
import type { AlertEvent, What, Where, Who } from "./event.ts";

export interface Wording {
  readonly statements: "summary" | "text";
  /** Has `{request}` in it. */
  readonly requestUrl: string | undefined;
}

type Described = Pick<
  Alert,
  "title" | "status" | "who" | "where" | "what" | "rule" | "request" | "url" | "next"
>;

const MAX_LINE = 200;
const MAX_SQL = 1000;

/** An event for people: what happened in one line, who, what, where, and what to do next. */
export function describe(event: AlertEvent, wording: Wording): Described {
  const told = describeParts(event, wording);
  const url =
    told.request === undefined
      ? undefined
      : wording.requestUrl?.replaceAll("{request}", told.request);
  return { status: "firing", ...told, ...(url !== undefined && { url }), title: line(told.title) };
}

function describeParts(
  event: AlertEvent,
  wording: Wording,
): Omit<Described, "status" | "url"> & { readonly status?: "resolved" } {
  switch (event.kind) {
    case "statement.refused":
      return {
        ...statement(event, wording),
        title: `${event.person}: ${line(event.summary)} was refused in ${event.environment}`,
        next: `See what else they did: ${audit(event.person)}`,
      };
    case "statement.held":
      return {
        ...statement(event, wording),
        request: event.request,
        title: `${event.person}: ${line(event.summary)} needs a second person in ${event.environment}`,
        next: answer(event),
      };
    case "statement.approved":
      return {
        ...statement(event, wording),
        request: event.request,
        title: `${event.person}: ${line(event.summary)} runs in ${event.environment}, signed by ${event.signers.join(" and ")}`,
        next: `If nobody expects it: \`twokey sessions terminate ${event.session}\``,
      };
    case "statement.failed":
      return {
        who: who(event),
        where: where(event),
        what: what(event, wording),
        title: `${event.person}: statements fail in ${event.environment}, the last with SQLSTATE ${event.sqlstate}`,
        next: `A broken release, or somebody who tries an injection: ${audit(event.person)}`,
      };
    case "request.created":
      return {
        ...request(event),
        title: `${event.person} asks for a second person: ${line(event.summary)} in ${event.environment}`,
        next: answer(event),
      };
    case "request.signed":
      return {
        ...request(event),
        title: `${event.signer} signed ${event.request} of ${event.person}: ${line(event.summary)} in ${event.environment}`,
        next: event.isComplete
          ? `It may run now. To see what was signed: \`twokey request show ${event.request}\``
          : `It needs more signatures: \`twokey approve ${event.request}\``,
      };
    case "request.rejected":
      return {
        ...request(event),
        title: `${event.by} rejected ${event.request} of ${event.person}: ${line(event.summary)} in ${event.environment}`,
        next: `Their reason: ${line(event.reason)}`,
      };
    case "login.failed":
      // The name is a stranger's: it stands in no command that somebody may copy.
      return {
        who: { claimed: line(event.claimed), address: event.address },
        title: `failed login as "${line(event.claimed)}" from ${event.address} (${event.reason})`,
        next: "See all of them: `twokey audit search --event auth.failure --since 1h`",
      };
    case "login.new_address":
      return {
        who: who(event),
        where: where(event),
        title: `${event.person} logged in from ${event.address}, where they have never been`,
        next: `Ask whether it is they. If not: \`twokey sessions list\`, end it, and disable the login. ${audit(event.person)}`,
      };
    case "audit.unavailable":
      return {
        title: `the audit log can't be written: ${line(event.cause)}`,
        next: `Statements are refused until it can. Look at the disk of ${event.directory}`,
      };
    case "audit.available":
      return {
        status: "resolved",
        title: "the audit log can be written again",
        next: `See what was refused: \`twokey audit search --event chain.resumed --since 1d\``,
      };
    case "upstream.down":
      return {
        where: { upstream: event.upstream },
        title: `upstream ${event.upstream} can't be reached: ${line(event.cause)}`,
        next: "Look at the server, and at the way to it from here",
      };
    case "upstream.up":
      return {
        status: "resolved",
        where: { upstream: event.upstream },
        title: `upstream ${event.upstream} can be reached again`,
        next: "Nothing",
      };
    case "config.changed":
      return {
        title: `Twokey runs with a changed configuration: ${event.file} (SHA-256 ${event.sha256})`,
        next: "If nobody expects it, look at who changed the file",
      };
  }
}

/** What makes it the same thing happening again. */
export function sameness(event: AlertEvent): readonly string[] {
  switch (event.kind) {
    case "statement.refused":
    case "statement.failed":
      return [event.kind, event.person, event.environment, event.database, event.summary];
    case "statement.held":
    case "statement.approved":
    case "request.created":
    case "request.signed":
    case "request.rejected":
      return [event.kind, event.request];
    case "login.failed":
      return [event.kind, event.claimed, event.address];
    case "login.new_address":
      return [event.kind, event.person, event.address];
    case "audit.unavailable":
    case "audit.available":
      return ["audit"];
    case "upstream.down":
    case "upstream.up":
      return ["upstream", event.upstream];
    case "config.changed":
      return [event.kind, event.sha256];
  }
}

function statement(
  event: Who & Where & What,
  wording: Wording,
): Pick<Described, "who" | "where" | "what" | "rule"> {
  return {
    who: who(event),
    where: where(event),
    what: { ...what(event, wording), destructive: event.isDestructive },
    rule: event.rule,
  };
}

function request(
  event: Extract<AlertEvent, { kind: "request.created" | "request.signed" | "request.rejected" }>,
): Pick<Described, "who" | "where" | "rule" | "request"> {
  const { person, rule, request: id } = event;
  return { who: { person }, where: where(event), rule, request: id };
}

function who({ person, roles, address, applicationName }: Who): AlertWho {
  return { person, roles, address, application_name: line(applicationName) };
}

function where({ environment, database }: Where): Where {
  return { environment, database };
}

function what({ summary, sql }: Pick<What, "summary" | "sql">, { statements }: Wording): AlertWhat {
  return {
    statement: line(summary),
    ...(statements === "text" && { sql: cut(visibleText(sql), MAX_SQL) }),
    sql_sha256: sha256(sql),
  };
}

function answer({
  request: id,
  approvers,
}: {
  readonly request: string;
  readonly approvers: readonly string[];
}): string {
  return `${approvers.join(" or ")}: \`twokey approve ${id}\`, or \`twokey reject ${id}\``;
}

function audit(person: string): string {
  return `\`twokey audit search --person ${person} --since 1h\``;
}

/** Text from outside on one line of ours, with nothing in it that a terminal or a mail program would obey. */
function line(text: string): string {
  return cut(visibleText(text).replaceAll(/\s+/g, " ").trim(), MAX_LINE);
}

function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  // Not through the middle of a character.
  return `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
