import { assertNever } from "../base/assert-never.ts";
import type { ApprovalTerms } from "../policy/decision.ts";
import { admit, type CountingApproval, type DoesNotCount, type Registry } from "./admit.ts";
import { isSameParameters, type BoundParameter } from "./bound-parameters.ts";
import type { Instant } from "./instant.ts";
import type { RequestId } from "./request-id.ts";
import { expireRequest, stepsAUse, type Request, type RequestState } from "./request.ts";
import { isSameKey } from "./ssh-key.ts";

/** What is about to be run, by whom and where, and what the rule asks for it. */
export interface Demand {
  readonly requester: string;
  readonly database: string;
  readonly environment: string;
  readonly upstream: string;
  readonly rule: string;
  readonly sql: string;
  readonly parameters: "none" | readonly BoundParameter[];
  readonly terms: ApprovalTerms;
}

export type Coverage =
  | {
      readonly kind: "covered";
      readonly request: Request;
      /** The use to take, before anything else does: {@link Request.uses} counts on from here. */
      readonly step: number;
      readonly approvals: readonly CountingApproval[];
    }
  | { readonly kind: "not_covered"; readonly reasons: readonly NotCovered[] };

/** Why one request does not cover the statement. */
interface NotCovered {
  readonly request: RequestId;
  readonly because:
    | { readonly kind: "not_approved"; readonly state: RequestState["kind"] }
    | { readonly kind: "other"; readonly member: DemandMember }
    | { readonly kind: "other_statement" }
    /** It is among the statements, but another one is next. */
    | { readonly kind: "out_of_order"; readonly next: number }
    | { readonly kind: "other_parameters" }
    | {
        readonly kind: "too_few_signatures";
        readonly count: number;
        readonly needed: number;
        /** Of each signature that is there, in order, and why it does not count. */
        readonly refused: readonly SignatureRefused[];
      };
}

export type SignatureRefused = DoesNotCount | { readonly kind: "used_up" | "same_person_twice" };

const DEMAND_MEMBERS = ["requester", "database", "environment", "upstream", "rule"] as const;
type DemandMember = (typeof DEMAND_MEMBERS)[number];

/**
 * Is there a request whose signatures cover exactly this, now? Compares the text itself, never a fingerprint of
 * it: `DELETE FROM t` and `DELETE FROM t WHERE false` have the same one.
 */
export function covers(
  requests: readonly Request[],
  demand: Demand,
  { registry, now }: { readonly registry: Registry; readonly now: Instant },
): Coverage {
  const reasons: NotCovered[] = [];
  for (const request of requests) {
    const because =
      whyNotMatching(expireRequest(request, now), demand) ?? whyNotAllowed(request, demand);
    if (because !== undefined) {
      reasons.push({ request: request.id, because });
      continue;
    }
    const { approvals, refused } = countSignatures(request, demand.terms, { registry, now });
    const needed = neededSignatures(demand.terms, approvals);
    if (approvals.length >= needed) {
      return { kind: "covered", request, step: request.uses.length, approvals };
    }
    const count = approvals.length;
    reasons.push({
      request: request.id,
      because: { kind: "too_few_signatures", count, needed, refused },
    });
  }
  return { kind: "not_covered", reasons };
}

/** Do enough of its signatures still count? Where not, it can never be used, and takes no further ones. */
export function isSigned(
  request: Request,
  { registry, now }: { readonly registry: Registry; readonly now: Instant },
): boolean {
  // A freeze passes.
  const terms = { ...request.asked.terms, freezes: [] };
  const { approvals } = countSignatures(request, terms, { registry, now });
  return approvals.length >= neededSignatures(terms, approvals);
}

/** INVARIANT: a statement that needs approval needs one signature at least, whatever the terms say. */
function neededSignatures(
  { signatures }: ApprovalTerms,
  counting: readonly CountingApproval[],
): number {
  if (counting.some(({ document }) => document.act === "break_glass")) return 1;
  return Number.isSafeInteger(signatures) && signatures > 1 ? signatures : 1;
}

function whyNotMatching(request: Request, demand: Demand): NotCovered["because"] | undefined {
  if (request.state.kind !== "approved") {
    return { kind: "not_approved", state: request.state.kind };
  }
  // A list is signed under one rule, but its statements may each fall under another: the terms of that one are
  // asked at its use, as always.
  const isList = request.asked.statements.length > 1;
  const member = DEMAND_MEMBERS.find(
    (name) => request.asked[name] !== demand[name] && !(isList && name === "rule"),
  );
  return member === undefined ? undefined : { kind: "other", member };
}

function whyNotAllowed(
  { asked, uses }: Request,
  demand: Demand,
): NotCovered["because"] | undefined {
  const { statements } = asked;
  const next = uses.length % statements.length;
  const statement = statements[next];
  if (statement?.sql !== demand.sql) {
    return statements.some(({ sql }) => sql === demand.sql)
      ? { kind: "out_of_order", next }
      : { kind: "other_statement" };
  }
  const isBound =
    statement.parameters === "any"
      ? demand.terms.parameters === "any"
      : isSameParameters(statement.parameters, demand.parameters);
  return isBound ? undefined : { kind: "other_parameters" };
}

function countSignatures(
  request: Request,
  terms: ApprovalTerms,
  { registry, now }: { registry: Registry; now: Instant },
): { approvals: readonly CountingApproval[]; refused: readonly SignatureRefused[] } {
  const approvals: CountingApproval[] = [];
  const refused: SignatureRefused[] = [];
  for (const signed of request.approvals) {
    const admission = admit(signed, { request, terms, registry, now });
    switch (admission.kind) {
      case "does_not_count":
        refused.push(admission.because);
        break;
      case "counts":
        if (isUsedUp(request, admission.approval)) refused.push({ kind: "used_up" });
        else if (approvals.some((other) => isSamePerson(other, admission.approval))) {
          refused.push({ kind: "same_person_twice" });
        } else approvals.push(admission.approval);
        break;
      default:
        assertNever(admission);
    }
  }
  return { approvals, refused };
}

function isUsedUp({ uses, asked }: Request, { document }: CountingApproval): boolean {
  return uses.length >= document.uses * stepsAUse(asked);
}

function isSamePerson(a: CountingApproval, b: CountingApproval): boolean {
  return a.document.approver === b.document.approver || isSameKey(a.key, b.key);
}
