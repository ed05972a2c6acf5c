import type { Brand } from "../base/brand.ts";
import { assertNever } from "../base/assert-never.ts";
import { canonicalJson, type Json } from "../base/canonical-json.ts";
import { sha256, type Sha256 } from "../base/digest.ts";
import type { ApprovalTerms } from "../policy/decision.ts";
import { parseApprovalDocument, type ApprovedAccess, type ApprovedStatement } from "./document.ts";
import type { Instant } from "./instant.ts";
import type { RequestId } from "./request-id.ts";

/** What somebody wants to run and needs signatures for. Never changes; may be sent as JSON as it stands. */
export interface Asked {
  readonly requester: string;
  /** Who asked in the requester's name, which is a workload's then; as little an approver as the requester. */
  readonly submitter?: string;
  readonly roles: readonly string[];
  /** Where from: the address and what the client calls itself; for the approver to read, bound to nothing. */
  readonly client: string;
  readonly database: string;
  readonly environment: string;
  readonly upstream: string;
  readonly rule: string;
  readonly terms: ApprovalTerms;
  /** To be run in this order; one, unless a migration is signed ahead. */
  readonly statements: readonly ApprovedStatement[];
  /** Instead of statements: a role for a while. */
  readonly access?: ApprovedAccess;
  /** What the session had run just before, the newest last; for the approver to read. */
  readonly recent?: readonly RecentStatement[];
  /** What lists and alerts call it: `DROP DATABASE "shop"`. */
  readonly summary: string;
  readonly effects: readonly string[];
  /** The requester's own words; may be empty. */
  readonly reason: string;
}

/** A statement that the requester's session ran before, cut where it is long. */
interface RecentStatement {
  readonly at: Instant;
  readonly sql: string;
}

/** A signed document as it came: what a stranger needs to check it, besides the registry. */
export interface SignedApproval {
  /** Canonical JSON; its UTF-8 bytes are what is signed. */
  readonly document: string;
  /** Armored SSHSIG. */
  readonly signature: string;
}

/** Names one use for ever, so that after a crash the audit log and the store can be told apart or together. */
export type UseId = Brand<string, "UseId">;

export interface Use {
  readonly id: UseId;
  /** Counts statements run under the request: the n-th use of statement i out of N is step n × N + i. */
  readonly step: number;
  /** Which replica took it. */
  readonly instance: string;
  readonly usedAt: Instant;
}

export type RequestState =
  | { readonly kind: "pending" }
  | { readonly kind: "approved" }
  | { readonly kind: "used"; readonly at: Instant }
  | { readonly kind: "expired"; readonly at: Instant }
  | {
      readonly kind: "rejected";
      readonly by: string;
      readonly reason: string;
      readonly at: Instant;
    }
  | { readonly kind: "cancelled"; readonly by: string; readonly at: Instant };

export interface Request {
  readonly id: RequestId;
  readonly asked: Asked;
  readonly state: RequestState;
  readonly createdAt: Instant;
  /** Pending: when nobody may sign any more. Approved: when the first of the signatures runs out. */
  readonly expiresAt: Instant;
  readonly timesAsked: number;
  readonly approvals: readonly SignedApproval[];
  readonly uses: readonly Use[];
  /** Once the glass was broken: a second person still has to look at what was done. */
  readonly review?: Review;
}

type Review =
  | {
      readonly kind: "open";
      readonly since: Instant;
      /** How often people have been reminded of it. */
      readonly reminders: number;
    }
  | { readonly kind: "signed"; readonly at: Instant; readonly signed: SignedApproval };

/** What comes of trying to move a request on. */
export type Transition =
  | { readonly kind: "moved"; readonly request: Request }
  | { readonly kind: "refused"; readonly because: RefusedTransition };

export type RefusedTransition =
  | { readonly kind: "closed"; readonly state: ClosedState["kind"] }
  | { readonly kind: "not_approved" }
  | { readonly kind: "already_signed" }
  | { readonly kind: "already_approved" }
  | { readonly kind: "other_request" }
  | { readonly kind: "not_due" }
  | { readonly kind: "no_review_open" }
  /** Somebody else took this step; look again, there may be another use left. */
  | { readonly kind: "step_taken" };

type ClosedState = Exclude<RequestState, { readonly kind: "pending" | "approved" }>;

/**
 * Refusals with the same key are one request: the same person wanting the same thing in the same place. The terms
 * belong to it, so that a rule made stricter asks anew instead of waiting for signatures that no longer suffice.
 */
export function joinKey(asked: Asked): Sha256 {
  const { requester, submitter, database, environment, upstream, rule, terms, statements } = asked;
  const place = { database, environment, upstream };
  const access = asked.access === undefined ? {} : { access: asked.access };
  const what = { rule, terms, statements, ...access };
  const same = { requester, submitter: submitter ?? null, ...place, ...what };
  return sha256(canonicalJson(same as unknown as Json));
}

export function openRequest(
  id: RequestId,
  asked: Asked,
  { now, expiresAt }: { readonly now: Instant; readonly expiresAt: Instant },
): Request {
  return {
    id,
    asked,
    state: { kind: "pending" },
    createdAt: now,
    expiresAt,
    timesAsked: 1,
    approvals: [],
    uses: [],
  };
}

export function isOpen({ state }: Request): boolean {
  return closedState(state) === undefined;
}

/** Asked for once more, while open: nothing but a count changes. */
export function joinRequest(request: Request): Request {
  return { ...request, timesAsked: request.timesAsked + 1 };
}

export function rejectRequest(
  request: Request,
  { by, reason, now }: { readonly by: string; readonly reason: string; readonly now: Instant },
): Transition {
  return (
    closedAt(request, now) ??
    moved({ ...request, state: { kind: "rejected", by, reason, at: now } })
  );
}

export function cancelRequest(
  request: Request,
  { by, now }: { readonly by: string; readonly now: Instant },
): Transition {
  return closedAt(request, now) ?? moved({ ...request, state: { kind: "cancelled", by, at: now } });
}

/** The request as it is at `now`: expired when its time is over, else unchanged. */
export function expireRequest(request: Request, now: Instant): Request {
  if (!isOpen(request) || now < request.expiresAt) return request;
  return { ...request, state: { kind: "expired", at: request.expiresAt } };
}

/** Takes one step. Whether the signatures cover the statement is `covers`' question, asked just before. */
export function takeUse(request: Request, use: Use): Transition {
  const closed = closedAt(request, use.usedAt);
  if (closed !== undefined) return closed;
  if (request.state.kind !== "approved") return refused({ kind: "not_approved" });
  if (use.step !== request.uses.length) return refused({ kind: "step_taken" });
  const uses = [...request.uses, use];
  const state: RequestState =
    uses.length >= stepsAllowed(request) ? { kind: "used", at: use.usedAt } : request.state;
  return moved({ ...request, uses, state });
}

/** The most careful of the approvers decides how often the whole list may run. */
function stepsAllowed({ approvals, asked }: Request): number {
  const uses = approvals.map(({ document }) => parseApprovalDocument(document).uses);
  return Math.min(...uses) * stepsAUse(asked);
}

/** How many steps one use has: each statement is one, and access is one. */
export function stepsAUse({ statements }: Asked): number {
  return Math.max(1, statements.length);
}

export function closedAt(request: Request, now: Instant): Transition | undefined {
  const state = closedState(expireRequest(request, now).state);
  return state === undefined ? undefined : refused({ kind: "closed", state: state.kind });
}

function closedState(state: RequestState): ClosedState | undefined {
  switch (state.kind) {
    case "pending":
    case "approved":
      return undefined;
    case "used":
    case "expired":
    case "rejected":
    case "cancelled":
      return state;
    default:
      return assertNever(state);
  }
}

export function moved(request: Request): Transition {
  return { kind: "moved", request };
}

export function refused(because: RefusedTransition): Transition {
  return { kind: "refused", because };
}
