import { assertNever } from "../base/assert-never.ts";
import { canonicalJson, type Json } from "../base/canonical-json.ts";
import type { ApprovalTerms } from "../policy/decision.ts";
import { frozenBy } from "../policy/freeze.ts";
import { isKeyOf, matchSigner, type AllowedSigners, type SignerMatch } from "./allowed-signers.ts";
import { parseApprovalDocument, type ApprovalDocument } from "./document.ts";
import { recycleOf } from "./draft.ts";
import type { Instant } from "./instant.ts";
import { Malformed } from "./malformed.ts";
import type { Request, SignedApproval } from "./request.ts";
import { isRevoked, type RevokedKeys } from "./revoked-keys.ts";
import { APPROVAL_NAMESPACE, verifySshsig, type SignatureVerification } from "./sshsig.ts";
import type { SshPublicKey } from "./ssh-key.ts";

/** Who may sign, with which keys. */
export interface Registry {
  readonly signers: AllowedSigners;
  readonly revoked: RevokedKeys;
  /** The groups of every person, by name; whoever isn't in here is in none. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
}

/** Is the document whole, and signed by a key that its approver may sign with? What `ssh-keygen -Y verify` answers. */
export type Verification =
  | { readonly kind: "verified"; readonly document: ApprovalDocument; readonly key: SshPublicKey }
  | { readonly kind: "malformed_document"; readonly because: string }
  | { readonly kind: "bad_signature"; readonly because: BadSignature }
  | { readonly kind: "signer_refused"; readonly because: Exclude<SignerMatch["kind"], "allowed"> }
  | { readonly kind: "key_revoked" };

export type BadSignature = Exclude<SignatureVerification, { readonly kind: "valid" }>;

/** Made by {@link admit} alone: no store takes an approval that has not passed it. */
export interface CountingApproval {
  readonly signed: SignedApproval;
  readonly document: ApprovalDocument;
  readonly key: SshPublicKey;
  readonly [admitted]: true;
}
const admitted: unique symbol = Symbol("admitted");

/** Made by {@link admitReview} alone. */
export interface CountingReview {
  readonly signed: SignedApproval;
  readonly document: ApprovalDocument;
  readonly key: SshPublicKey;
  readonly [reviewed]: true;
}
const reviewed: unique symbol = Symbol("reviewed");

export type Admission =
  | { readonly kind: "counts"; readonly approval: CountingApproval }
  | { readonly kind: "does_not_count"; readonly because: DoesNotCount };

export type DoesNotCount =
  | Exclude<Verification, { readonly kind: "verified" }>
  /** A member of the document that differs from the request or from what is to be run. */
  | { readonly kind: "other"; readonly member: BoundMember }
  /** A review is no approval, nor the other way round. */
  | { readonly kind: "other_act" }
  | { readonly kind: "own_request" }
  /** Who breaks the glass goes alone, not for somebody else. */
  | { readonly kind: "not_own_request" }
  | { readonly kind: "may_not_break_glass"; readonly groups: readonly string[] }
  | { readonly kind: "frozen"; readonly freeze: string }
  /** The registry lets this key sign for the requester too, so it may be the same person. */
  | { readonly kind: "requesters_key" }
  | { readonly kind: "not_in_group"; readonly groups: readonly string[] }
  | { readonly kind: "not_yet_valid"; readonly from: Instant }
  | { readonly kind: "no_longer_valid"; readonly until: Instant }
  | { readonly kind: "valid_too_long"; readonly maxSeconds: number }
  | { readonly kind: "too_many_uses"; readonly maxUses: number }
  | { readonly kind: "reason_missing" };

const BOUND_MEMBERS = [
  "request",
  "requester",
  "submitter",
  "database",
  "environment",
  "upstream",
  "rule",
  "statements",
  "access",
  "recycle",
] as const;
export type BoundMember = (typeof BOUND_MEMBERS)[number];

export function verifyApproval(
  { document: text, signature }: SignedApproval,
  { registry, now }: { readonly registry: Registry; readonly now: Instant },
): Verification {
  const document = parseOrWhyNot(text);
  if (typeof document === "string") return { kind: "malformed_document", because: document };
  const namespace = APPROVAL_NAMESPACE;
  const verified = verifySshsig(signature, { message: text, namespace });
  if (verified.kind !== "valid") return { kind: "bad_signature", because: verified };
  const { key } = verified;
  if (isRevoked(registry.revoked, key)) return { kind: "key_revoked" };
  const principal = document.approver;
  const match = matchSigner(registry.signers, { key, principal, namespace, at: now });
  if (match.kind !== "allowed") return { kind: "signer_refused", because: match.kind };
  return { kind: "verified", document, key };
}

/**
 * Does this approval count for this request, under these terms, now? Asked when it is handed in and again at every
 * use: a key revoked or a rule tightened in between takes effect, and a store's row is never believed.
 */
export function admit(
  signed: SignedApproval,
  {
    request,
    terms,
    registry,
    now,
  }: {
    readonly request: Pick<Request, "id" | "asked">;
    readonly terms: ApprovalTerms;
    readonly registry: Registry;
    readonly now: Instant;
  },
): Admission {
  const verification = verifyApproval(signed, { registry, now });
  if (verification.kind !== "verified") return no(verification);
  const { document, key } = verification;
  const because =
    whyNotBound(document, request) ??
    whyNotActing(document, { key, terms, registry, now }) ??
    whyNotTerms(document, { terms, now });
  if (because !== undefined) return no(because);
  return { kind: "counts", approval: { signed, document, key, [admitted]: true } };
}

/** Does this count as a second person's look at what was done when the glass was broken? It lets nothing run. */
export function admitReview(
  signed: SignedApproval,
  { request, registry, now }: Omit<Parameters<typeof admit>[1], "terms">,
):
  | { readonly kind: "counts"; readonly review: CountingReview }
  | { readonly kind: "does_not_count"; readonly because: DoesNotCount } {
  const verification = verifyApproval(signed, { registry, now });
  if (verification.kind !== "verified") return no(verification);
  const { document, key } = verification;
  const { terms } = request.asked;
  const because =
    whyNotBound(document, request) ??
    (document.act === "review" ? undefined : ({ kind: "other_act" } as const)) ??
    whyNotApprover(document, { key, terms, registry }) ??
    whyNotNow(document, now);
  if (because !== undefined) return no(because);
  return { kind: "counts", review: { signed, document, key, [reviewed]: true } };
}

function parseOrWhyNot(text: string): ApprovalDocument | string {
  try {
    return parseApprovalDocument(text);
  } catch (error) {
    if (error instanceof Malformed) return error.message;
    throw error;
  }
}

function whyNotBound(
  document: ApprovalDocument,
  { id, asked }: Pick<Request, "id" | "asked">,
): DoesNotCount | undefined {
  const expected = { access: undefined, submitter: undefined, ...asked, request: id };
  const bound = { ...expected, recycle: recycleOf(asked).recycle };
  const member = BOUND_MEMBERS.find((name) => canonical(document[name]) !== canonical(bound[name]));
  return member === undefined ? undefined : { kind: "other", member };
}

function canonical(value: ApprovalDocument[BoundMember]): string {
  return value === undefined ? "" : canonicalJson(value as Json);
}

function whyNotActing(
  document: ApprovalDocument,
  {
    key,
    terms,
    registry,
    now,
  }: { key: SshPublicKey; terms: ApprovalTerms; registry: Registry; now: Instant },
): DoesNotCount | undefined {
  switch (document.act) {
    case "break_glass":
      return whyNotAlone(document, { terms, registry });
    case "review":
      return { kind: "other_act" };
    case undefined:
      return whyNotApprover(document, { key, terms, registry }) ?? whyFrozen(terms, now);
    default:
      return assertNever(document.act);
  }
}

/** The requester, alone: in a group that may, and with a reason. */
function whyNotAlone(
  { approver, requester, reason }: ApprovalDocument,
  { terms: { breakGlass }, registry }: { terms: ApprovalTerms; registry: Registry },
): DoesNotCount | undefined {
  if (approver !== requester) return { kind: "not_own_request" };
  const groups = registry.groups.get(approver) ?? [];
  if (!breakGlass.some((group) => groups.includes(group))) {
    return { kind: "may_not_break_glass", groups: breakGlass };
  }
  return reason.trim() === "" ? { kind: "reason_missing" } : undefined;
}

function whyFrozen({ freezes }: ApprovalTerms, now: Instant): DoesNotCount | undefined {
  const freeze = frozenBy(freezes, new Date(now));
  return freeze === undefined ? undefined : { kind: "frozen", freeze: freeze.name };
}

function whyNotApprover(
  { approver, requester, submitter = requester }: ApprovalDocument,
  { key, terms, registry }: { key: SshPublicKey; terms: ApprovalTerms; registry: Registry },
): DoesNotCount | undefined {
  for (const principal of [requester, submitter]) {
    if (approver === principal) return { kind: "own_request" };
    if (isKeyOf(registry.signers, { key, principal })) return { kind: "requesters_key" };
  }
  const groups = registry.groups.get(approver) ?? [];
  return terms.approvers.some((group) => groups.includes(group))
    ? undefined
    : { kind: "not_in_group", groups: terms.approvers };
}

function whyNotTerms(
  document: ApprovalDocument,
  { terms, now }: { terms: ApprovalTerms; now: Instant },
): DoesNotCount | undefined {
  const {
    validity: { from, until },
    uses,
    reason,
  } = document;
  const because = whyNotNow(document, now);
  if (because !== undefined) return because;
  const seconds = (Date.parse(until) - Date.parse(from)) / 1000;
  // Written so that a limit which is no number admits nothing.
  if (!(seconds <= terms.maxValiditySeconds)) {
    return { kind: "valid_too_long", maxSeconds: terms.maxValiditySeconds };
  }
  if (!(uses <= terms.maxUses)) return { kind: "too_many_uses", maxUses: terms.maxUses };
  if (terms.isReasonRequired && reason.trim() === "") return { kind: "reason_missing" };
  return undefined;
}

function whyNotNow(
  { validity: { from, until } }: ApprovalDocument,
  now: Instant,
): DoesNotCount | undefined {
  if (now < from) return { kind: "not_yet_valid", from };
  if (now >= until) return { kind: "no_longer_valid", until };
  return undefined;
}

function no(because: DoesNotCount): Extract<Admission, { kind: "does_not_count" }> {
  return { kind: "does_not_count", because };
}
