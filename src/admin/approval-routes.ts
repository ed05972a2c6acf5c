import { randomBytes } from "node:crypto";
import { z } from "zod";
import {
  admit,
  admitReview,
  type CountingApproval,
  type DoesNotCount,
  type Registry,
} from "../approvals/admit.ts";
import { encodeApprovalDocument, parseApprovalDocument } from "../approvals/document.ts";
import { draftApproval } from "../approvals/draft.ts";
import { addApproval, addReview } from "../approvals/add-approval.ts";
import type { Instant } from "../approvals/instant.ts";
import { Malformed } from "../approvals/malformed.ts";
import type { RequestId } from "../approvals/request-id.ts";
import type { Request, SignedApproval } from "../approvals/request.ts";
import { formatPublicKey } from "../approvals/ssh-key.ts";
import { APPROVAL_NAMESPACE } from "../approvals/sshsig.ts";
import type { Json } from "../base/canonical-json.ts";
import { sha256 } from "../base/digest.ts";
import { frozenBy } from "../policy/freeze.ts";
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
  /** What it would do, measured on the server now; says so where that can't be told. */
  readonly impact: (request: Request) => Promise<Readonly<Record<string, Json>>>;
}

const draftBody = z.strictObject({
  act: z
    .enum(["approval", "break_glass", "review"])
    .default("approval")
    .describe("`break_glass`: alone, for your own request. `review`: of what was run so."),
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
      refuseWhatWouldNotCount(request, person, { ...body, now: instant(options) });
      const document = draftApproval(request, {
        approver: person.name,
        act: body.act === "approval" ? undefined : body.act,
        now: instant(options),
        nonce: randomBytes(16),
        reason: body.reason,
        uses: body.uses,
        validitySeconds: body.validity_seconds,
        ...(body.act !== "review" && { impact: await options.impact(request) }),
      });
      return { document: encodeApprovalDocument(document), namespace: APPROVAL_NAMESPACE };
    },
  );

  app.get(
    "/requests/:id/impact",
    {
      config: { summary: "What it would do, measured on the server now" },
      schema: { params: idParams, response: { 200: z.record(z.string(), z.json()) } },
    },
    async ({ person, params: { id } }) => {
      const request = await findRequest(options, person, id);
      return { ...(await options.impact(request)) } as Record<string, z.core.util.JSONType>;
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
      const context = { request, terms, registry: registry(), now };
      const refuse = async (because: DoesNotCount): Promise<never> => {
        metrics.approval("refused");
        const refused = approvalRefused(because);
        const reason = refused.message;
        await audit({ event: "approval.rejected", request: id, person: person.name, reason });
        throw refused;
      };
      if (isReview(signed)) {
        const admission = admitReview(signed, context);
        if (admission.kind === "does_not_count") return refuse(admission.because);
        const { review } = admission;
        refuseUnlessMoves(addReview(request, review, now));
        await recordSigned(review, id);
        const reviewed = changed(await requests.addReview(id, review, now));
        metrics.approval("accepted");
        return reply.code(201).send(requestView(reviewed));
      }
      const admission = admit(signed, context);
      if (admission.kind === "does_not_count") return refuse(admission.because);
      const { approval } = admission;
      refuseUnlessMoves(addApproval(request, approval, now));
      await recordSigned(approval, id);
      const approved = changed(await requests.addApproval(id, approval, now));
      metrics.approval("accepted");
      if (approved.state.kind === "approved") metrics.request("approved");
      return reply.code(201).send(requestView(approved));
    },
  );

  async function recordSigned(
    { signed, document, key }: Omit<CountingApproval, symbol>,
    id: RequestId,
  ): Promise<void> {
    await audit({
      event: "approval.signed",
      request: id,
      approval: sha256(signed.document),
      ...(document.act !== undefined && { act: document.act }),
      person: document.approver,
      document: signed.document,
      signature: signed.signature,
      namespace: APPROVAL_NAMESPACE,
      signer: document.approver,
      public_key: formatPublicKey(key),
    });
  }
}

/** Which of the two it is to be judged as; whoever can't be read is judged as an approval, and told why it is none. */
function isReview({ document }: SignedApproval): boolean {
  try {
    return parseApprovalDocument(document).act === "review";
  } catch (error) {
    if (error instanceof Malformed) return false;
    throw error;
  }
}

/** Told before a key is touched; it is judged again when the signature comes. */
function refuseWhatWouldNotCount(
  request: Request,
  person: Principal,
  body: z.output<typeof draftBody> & { readonly now: Instant },
): void {
  const because = whyItWouldNotCount(request, person, body);
  if (because !== undefined) throw approvalRefused(because);
  const { state, review } = request;
  if (body.act === "review") {
    if (review?.kind !== "open") throw transitionRefused({ kind: "no_review_open" });
    return;
  }
  if (state.kind === "approved") throw transitionRefused({ kind: "already_approved" });
  if (state.kind !== "pending") throw transitionRefused({ kind: "closed", state: state.kind });
  const approvers = request.approvals.map(
    (signed) => parseApprovalDocument(signed.document).approver,
  );
  if (approvers.includes(person.name)) throw transitionRefused({ kind: "already_signed" });
}

function whyItWouldNotCount(
  request: Request,
  person: Principal,
  {
    act,
    now,
    reason,
    uses,
    validity_seconds: seconds,
  }: Parameters<typeof refuseWhatWouldNotCount>[2],
): DoesNotCount | undefined {
  const { terms } = request.asked;
  if (act === "break_glass") {
    if (request.asked.requester !== person.name) return { kind: "not_own_request" };
    if (!isIn(terms.breakGlass, person)) {
      return { kind: "may_not_break_glass", groups: terms.breakGlass };
    }
  } else {
    if (isAskedBy(request, person)) return { kind: "own_request" };
    if (!isIn(terms.approvers, person)) return { kind: "not_in_group", groups: terms.approvers };
  }
  if (act === "review") return undefined;
  const freeze = act === "approval" ? frozenBy(terms.freezes, new Date(now)) : undefined;
  if (freeze !== undefined) return { kind: "frozen", freeze: freeze.name };
  const isReasonRequired = terms.isReasonRequired || act === "break_glass";
  if (isReasonRequired && reason.trim() === "") return { kind: "reason_missing" };
  if (uses > terms.maxUses) return { kind: "too_many_uses", maxUses: terms.maxUses };
  const maxSeconds = terms.maxValiditySeconds;
  return seconds !== undefined && seconds > maxSeconds
    ? { kind: "valid_too_long", maxSeconds }
    : undefined;
}
