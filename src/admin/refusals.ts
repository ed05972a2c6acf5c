import type { BadSignature, BoundMember, DoesNotCount } from "../approvals/admit.ts";
import type { RefusedTransition } from "../approvals/request.ts";
import type { SignatureRefused } from "../approvals/covers.ts";
import { Problem } from "./problem.ts";

/** Why a signature doesn't count, in words for the person who signed. */
export function approvalRefused(because: DoesNotCount): Problem {
  const refused = (detail: string, hint?: string): Problem =>
    new Problem("approval-refused", detail, hint);
  switch (because.kind) {
    case "malformed_document":
      return refused(`the document is not an approval: ${because.because}`);
    case "bad_signature":
      return refused(badSignature(because.because));
    case "signer_refused":
      return signerRefused(because.because);
    case "key_revoked":
      return refused("that key has been revoked", "sign with your new key");
    case "other":
      return refused(otherThanAsked(because.member));
    case "own_request":
      return refused(
        "you may not approve your own request",
        "ask somebody of the approving groups to sign",
      );
    case "other_act":
      return refused("the document is no approval by a second person, nor the breaking of a glass");
    case "not_own_request":
      return refused("only the requester can break the glass for a request");
    case "may_not_break_glass":
      return because.groups.length === 0
        ? refused("the rule lets nobody go alone", "ask somebody of the approving groups to sign")
        : refused(`only members of ${because.groups.join(", ")} may go alone`);
    case "frozen":
      return refused(`nothing is approved during the freeze ${because.freeze}`, "wait for its end");
    case "requesters_key":
      return refused("that key belongs to the requester, too, so it can't be the second one");
    case "not_in_group":
      return refused(`only members of ${because.groups.join(", ") || "no group"} may sign this`);
    case "not_yet_valid":
      return refused(`the approval is not valid before ${because.from}`);
    case "no_longer_valid":
      return refused(`the approval was valid until ${because.until}`, "sign a new one");
    case "valid_too_long":
      return refused(`the rule allows at most ${because.maxSeconds} seconds of validity`);
    case "too_many_uses":
      return refused(`the rule allows at most ${because.maxUses} uses`);
    case "reason_missing":
      return refused("the rule asks for a reason", "give it with --reason");
  }
}

/** Why a signature that was taken does not count at its use, in the same words. */
export function signatureRefused(because: SignatureRefused): string {
  switch (because.kind) {
    case "used_up":
      return "the approval has been used up";
    case "same_person_twice":
      return "the same person or key has signed twice";
    default:
      return approvalRefused(because).message;
  }
}

function otherThanAsked(member: BoundMember): string {
  if (member === "request") return "the document is for another request";
  const other = member === "statements" ? "other statements" : `another ${member}`;
  return `the document has ${other} than the request`;
}

function badSignature(because: BadSignature): string {
  switch (because.kind) {
    case "malformed":
      return because.because;
    case "other_namespace":
      return `the signature was made for ${because.namespace}`;
    case "nobody_present":
      return "the key was not touched";
    case "wrong_signature":
      return "the signature does not match the document";
  }
}

function signerRefused(
  because: Extract<DoesNotCount, { kind: "signer_refused" }>["because"],
): Problem {
  const name = "approval-refused";
  switch (because) {
    case "unknown_key":
      return new Problem(name, "that key is not registered", "have it added to allowed_signers");
    case "other_principal":
      return new Problem(name, "that key is registered for somebody else");
    case "other_namespace":
      return new Problem(name, "that key is not registered for approvals");
    case "not_yet_valid":
      return new Problem(name, "that key is not valid yet");
    case "no_longer_valid":
      return new Problem(name, "that key is no longer valid", "sign with your new key");
  }
}

/** Why a request can't be moved on. */
export function transitionRefused(because: RefusedTransition): Problem {
  switch (because.kind) {
    case "closed":
      return new Problem(
        "wrong-state",
        CLOSED[because.state],
        "run the statement again to ask anew",
      );
    case "already_signed":
      return new Problem("wrong-state", "you have signed this request already");
    case "already_approved":
      return new Problem("wrong-state", "the request has all its signatures already");
    case "other_request":
      return new Problem("approval-refused", "the document is for another request");
    case "no_review_open":
      return new Problem("wrong-state", "no review of the request is open");
    case "not_approved":
    case "step_taken":
    case "not_due":
      return new Problem("wrong-state", "the request has changed meanwhile, look again");
  }
}

const CLOSED = {
  used: "the approval has been used already",
  expired: "the request has expired",
  rejected: "the request has been rejected",
  cancelled: "the request has been cancelled",
};
