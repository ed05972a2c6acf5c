import type { CountingApproval, CountingReview } from "./admit.ts";
import { parseApprovalDocument } from "./document.ts";
import type { Instant } from "./instant.ts";
import {
  closedAt,
  moved,
  refused,
  type Request,
  type SignedApproval,
  type Transition,
} from "./request.ts";
import { isSameKey, type SshPublicKey } from "./ssh-key.ts";
import { APPROVAL_NAMESPACE, verifySshsig } from "./sshsig.ts";

/** One signature more; with as many as its terms ask for, the request is approved. */
export function addApproval(
  request: Request,
  { signed, document, key }: CountingApproval,
  now: Instant,
): Transition {
  const closed = closedAt(request, now);
  if (closed !== undefined) return closed;
  if (request.state.kind === "approved") return refused({ kind: "already_approved" });
  if (document.request !== request.id) return refused({ kind: "other_request" });
  const documents = request.approvals.map((approval) => parseApprovalDocument(approval.document));
  if (documents.some(({ approver }) => approver === document.approver)) {
    return refused({ kind: "already_signed" });
  }
  // Two names with one key may be one person.
  if (request.approvals.some((approval) => isSignedBy(approval, key))) {
    return refused({ kind: "already_signed" });
  }
  const all = [...documents, document];
  const approvals = [...request.approvals, signed];
  const isAlone = document.act === "break_glass";
  if (!isAlone && all.length < request.asked.terms.signatures) {
    return moved({ ...request, approvals });
  }
  const untils = all.map(({ validity }) => validity.until).sort();
  const expiresAt = untils[0] ?? request.expiresAt;
  return moved({
    ...request,
    approvals,
    state: { kind: "approved" },
    expiresAt,
    ...(isAlone && { review: { kind: "open", since: now, reminders: 0 } }),
  });
}

/** A second person has looked at what was done when the glass was broken; whatever has become of the request by now. */
export function addReview(request: Request, { signed }: CountingReview, now: Instant): Transition {
  if (request.review?.kind !== "open") return refused({ kind: "no_review_open" });
  return moved({ ...request, review: { kind: "signed", at: now, signed } });
}

/** People are reminded of an open review once more; of several replicas that would, one does. */
export function remindOfReview(
  request: Request,
  { times }: { readonly times: number },
): Transition {
  const { review } = request;
  if (review?.kind !== "open") return refused({ kind: "no_review_open" });
  if (review.reminders >= times) return refused({ kind: "not_due" });
  return moved({ ...request, review: { ...review, reminders: times } });
}

function isSignedBy({ document: message, signature }: SignedApproval, key: SshPublicKey): boolean {
  const verified = verifySshsig(signature, { message, namespace: APPROVAL_NAMESPACE });
  return verified.kind === "valid" && isSameKey(verified.key, key);
}
