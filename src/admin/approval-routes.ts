import { randomBytes } from "node:crypto";
import { z } from "zod";
import { admit, type DoesNotCount, type Registry } from "../approvals/admit.ts";
import { encodeApprovalDocument, parseApprovalDocument } from "../approvals/document.ts";
import { draftApproval } from "../approvals/draft.ts";
import { addApproval } from "../approvals/add-approval.ts";
import type { Request } from "../approvals/request.ts";
import { formatPublicKey } from "../approvals/ssh-key.ts";
import { APPROVAL_NAMESPACE } from "../approvals/sshsig.ts";
import { sha256 } from "../base/digest.ts";
import type { Principal } from "../policy/principal.ts";
import { approvalRefused, transitionRefused } from "./refusals.ts";
import {
  changed,
  findRequest,
  idParams,
  instant,
  isAskedBy,
  isIn,
  refuseUnlessMoves,
  type RequestOptions,
} from "./request-routes.ts";
import { requestSchema, requestView } from "./request-views.ts";
import type { Api } from "./schema.ts";

export interface ApprovalOptions extends RequestOptions {
  readonly registry: () => Registry;
}

const draftBody = z.strictObject({
  reason: z.string().max(2000).default(""),
  uses: z.int().min(1).default(1),
  validity_seconds: z.int().min(1).optional(),
});

/** What is to be signed, and the signature. Whether it counts is for `approvals` to say, here and at every use. */
export function approvalRoutes(app: Api, options: ApprovalOptions): void {
  const { requests, registry, audit, metrics } = options;

  app.post(
    "/requests/:id/approval-document",
    {
      config: { summary: "The exact bytes that you would sign; nothing is kept of them" },
      schema: {
        params: idParams,
        body: draftBody,
        response: { 200: z.object({ document: z.string(), namespace: z.string() }) },
      },
    },
    async ({ person, params: { id }, body }) => {
      const request = await findRequest(options, person, id);
      refuseWhatWouldNotCount(request, person, body);
      const document = draftApproval(request, {
        approver: person.name,
        now: instant(options),
        nonce: randomBytes(16),
        reason: body.reason,
        uses: body.uses,
        validitySeconds: body.validity_seconds,
      });
      return { document: encodeApprovalDocument(document), namespace: APPROVAL_NAMESPACE };
    },
  );

  app.post(
    "/requests/:id/approvals",
    {
      config: { summary: "Hand in a signed approval document" },
      schema: {
        params: idParams,
        body: z.strictObject({
          document: z.string().describe("As it was signed, byte for byte."),
          signature: z.string().max(32_768).describe("What ssh-keygen -Y sign wrote."),
        }),
        response: { 201: requestSchema },
      },
    },
    async ({ person, params: { id }, body: signed }, reply) => {
      const request = await findRequest(options, person, id);
      const now = instant(options);
      const { terms } = request.asked;
      const admission = admit(signed, { request, terms, registry: registry(), now });
      if (admission.kind === "does_not_count") {
        metrics.approval("refused");
        const refused = approvalRefused(admission.because);
        const reason = refused.message;
        await audit({ event: "approval.rejected", request: id, person: person.name, reason });
        throw refused;
      }
      const { approval } = admission;
      refuseUnlessMoves(addApproval(request, approval, now));
      await audit({
        event: "approval.signed",
        request: id,
        approval: sha256(signed.document),
        person: approval.document.approver,
        document: signed.document,
        signature: signed.signature,
        namespace: APPROVAL_NAMESPACE,
        signer: approval.document.approver,
        public_key: formatPublicKey(approval.key),
      });
      const approved = changed(await requests.addApproval(id, approval, now));
      metrics.approval("accepted");
      if (approved.state.kind === "approved") metrics.request("approved");
      return reply.code(201).send(requestView(approved));
    },
  );
}

/** Told before a key is touched; it is judged again when the signature comes. */
function refuseWhatWouldNotCount(
  request: Request,
  person: Principal,
  { reason, uses, validity_seconds: seconds }: z.output<typeof draftBody>,
): void {
  const { terms } = request.asked;
  const refuse = (because: DoesNotCount): never => {
    throw approvalRefused(because);
  };
  if (isAskedBy(request, person)) refuse({ kind: "own_request" });
  if (!isIn(terms.approvers, person)) refuse({ kind: "not_in_group", groups: terms.approvers });
  const { state } = request;
  if (state.kind === "approved") throw transitionRefused({ kind: "already_approved" });
  if (state.kind !== "pending") throw transitionRefused({ kind: "closed", state: state.kind });
  const approvers = request.approvals.map(
    (signed) => parseApprovalDocument(signed.document).approver,
  );
  if (approvers.includes(person.name)) throw transitionRefused({ kind: "already_signed" });
  if (terms.isReasonRequired && reason.trim() === "") refuse({ kind: "reason_missing" });
  if (uses > terms.maxUses) refuse({ kind: "too_many_uses", maxUses: terms.maxUses });
  const maxSeconds = terms.maxValiditySeconds;
  if (seconds !== undefined && seconds > maxSeconds) refuse({ kind: "valid_too_long", maxSeconds });
}
