import { canonicalJson, type Json } from "../base/canonical-json.ts";
import type { ApprovalTerms } from "../policy/decision.ts";
import { isKeyOf, matchSigner, type AllowedSigners, type SignerMatch } from "./allowed-signers.ts";
import { parseApprovalDocument, type ApprovalDocument } from "./document.ts";
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

export type Admission =
  | { readonly kind: "counts"; readonly approval: CountingApproval }
  | { readonly kind: "does_not_count"; readonly because: DoesNotCount };

export type DoesNotCount =
  | Exclude<Verification, { readonly kind: "verified" }>
  /** A member of the document that differs from the request or from what is to be run. */
  | { readonly kind: "other"; readonly member: BoundMember }
  | { readonly kind: "own_request" }
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
    whyNotApprover(document, { key, terms, registry }) ??
    whyNotTerms(document, { terms, now });
  if (because !== undefined) return no(because);
  return { kind: "counts", approval: { signed, document, key, [admitted]: true } };
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
  const expected = { ...asked, request: id };
  const member = BOUND_MEMBERS.find(
    (name) => canonical(document[name]) !== canonical(expected[name]),
  );
  return member === undefined ? undefined : { kind: "other", member };
}

function canonical(value: ApprovalDocument[BoundMember]): string {
  return value === undefined ? "" : canonicalJson(value as Json);
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
  { validity: { from, until }, uses, reason }: ApprovalDocument,
  { terms, now }: { terms: ApprovalTerms; now: Instant },
): DoesNotCount | undefined {
  if (now < from) return { kind: "not_yet_valid", from };
  if (now >= until) return { kind: "no_longer_valid", until };
  const seconds = (Date.parse(until) - Date.parse(from)) / 1000;
  // Written so that a limit which is no number admits nothing.
  if (!(seconds <= terms.maxValiditySeconds)) {
    return { kind: "valid_too_long", maxSeconds: terms.maxValiditySeconds };
  }
  if (!(uses <= terms.maxUses)) return { kind: "too_many_uses", maxUses: terms.maxUses };
  if (terms.isReasonRequired && reason.trim() === "") return { kind: "reason_missing" };
  return undefined;
}

function no(because: DoesNotCount): Admission {
  return { kind: "does_not_count", because };
}
