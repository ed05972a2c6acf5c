import type { CountingApproval } from "./admit.ts";
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
  if (all.length < request.asked.terms.signatures) return moved({ ...request, approvals });
  const untils = all.map(({ validity }) => validity.until).sort();
  const expiresAt = untils[0] ?? request.expiresAt;
  return moved({ ...request, approvals, state: { kind: "approved" }, expiresAt });
}

function isSignedBy({ document: message, signature }: SignedApproval, key: SshPublicKey): boolean {
  const verified = verifySshsig(signature, { message, namespace: APPROVAL_NAMESPACE });
  return verified.kind === "valid" && isSameKey(verified.key, key);
}
