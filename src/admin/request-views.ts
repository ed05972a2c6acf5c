import { z } from "zod";
import { parseApprovalDocument } from "../approvals/document.ts";
import type { Request, RequestState, SignedApproval } from "../approvals/request.ts";

export const stateSchema = z.enum([
  "pending",
  "approved",
  "used",
  "expired",
  "rejected",
  "cancelled",
]) satisfies z.ZodType<RequestState["kind"]>;

/** A line of a list: what it is about, without the statements' text. */
export const requestSummarySchema = z.object({
  id: z.string(),
  state: stateSchema,
  summary: z.string(),
  requester: z.string(),
  database: z.string(),
  environment: z.string(),
  review: z.enum(["open", "signed"]).optional().describe("Where the glass was broken."),
  effects: z.array(z.string()).readonly(),
  signatures: z.int(),
  signatures_needed: z.int(),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
});

const signedApprovalSchema = z.object({
  approver: z.string(),
  act: z.enum(["approval", "break_glass", "review"]),
  reason: z.string(),
  uses: z.int(),
  valid_from: z.iso.datetime(),
  valid_until: z.iso.datetime(),
  document: z.string().describe("The exact bytes that were signed."),
  signature: z.string().describe("Armored SSHSIG; ssh-keygen -Y verify checks it."),
});

export const requestSchema = requestSummarySchema.omit({ review: true }).extend({
  closed: z
    .object({
      at: z.iso.datetime(),
      by: z.string().optional(),
      reason: z.string().optional(),
    })
    .optional(),
  submitter: z.string().optional().describe("Who asked in the requester's name."),
  roles: z.array(z.string()).readonly(),
  client: z.string(),
  upstream: z.string(),
  rule: z.string(),
  reason: z.string(),
  statements: z
    .array(
      z.object({
        sql: z.string(),
        sha256: z.string(),
        parameters: z.union([
          z.enum(["none", "any"]),
          z.array(z.looseObject({ oid: z.int() })).readonly(),
        ]),
      }),
    )
    .readonly(),
  access: z
    .object({ role: z.string(), seconds: z.int() })
    .optional()
    .describe("Instead of statements: a role for so long, from the last signature on."),
  approvers: z.array(z.string()).readonly().describe("Groups of whom any member may sign."),
  max_validity_seconds: z.number(),
  max_uses: z.int(),
  is_reason_required: z.boolean(),
  times_asked: z.int(),
  approvals: z.array(signedApprovalSchema).readonly(),
  uses: z.array(z.object({ step: z.int(), used_at: z.iso.datetime() })).readonly(),
  may_break_glass: z
    .array(z.string())
    .readonly()
    .describe("Groups whose members may sign for their own request, alone."),
  review: z
    .discriminatedUnion("state", [
      z.object({ state: z.literal("open"), since: z.iso.datetime() }),
      z.object({ state: z.literal("signed"), at: z.iso.datetime(), signed: signedApprovalSchema }),
    ])
    .optional()
    .describe("What a second person has to look at, once the glass was broken."),
  recent: z
    .array(z.object({ at: z.iso.datetime(), sql: z.string() }))
    .readonly()
    .describe("What the session ran before, the newest last."),
});

export type RequestSummary = z.infer<typeof requestSummarySchema>;
export type RequestView = z.infer<typeof requestSchema>;

export function requestSummary(request: Request): RequestSummary {
  const { id, asked } = request;
  return {
    id,
    state: request.state.kind,
    summary: asked.summary,
    requester: asked.requester,
    database: asked.database,
    environment: asked.environment,
    review: request.review?.kind,
    effects: asked.effects,
    signatures: request.approvals.length,
    signatures_needed: Math.max(1, asked.terms.signatures),
    created_at: request.createdAt,
    expires_at: request.expiresAt,
  };
}

export function requestView(request: Request): RequestView {
  const { asked, state } = request;
  return {
    ...requestSummary(request),
    closed: closed(state),
    submitter: asked.submitter,
    roles: asked.roles,
    client: asked.client,
    upstream: asked.upstream,
    rule: asked.rule,
    reason: asked.reason,
    statements: asked.statements,
    access: asked.access,
    approvers: asked.terms.approvers,
    max_validity_seconds: asked.terms.maxValiditySeconds,
    max_uses: asked.terms.maxUses,
    is_reason_required: asked.terms.isReasonRequired,
    times_asked: request.timesAsked,
    approvals: request.approvals.map(approvalView),
    uses: request.uses.map(({ step, usedAt }) => ({ step, used_at: usedAt })),
    may_break_glass: asked.terms.breakGlass,
    review: reviewView(request),
    recent: asked.recent ?? [],
  };
}

function closed(state: RequestState): RequestView["closed"] {
  switch (state.kind) {
    case "pending":
    case "approved":
      return undefined;
    case "used":
    case "expired":
      return { at: state.at };
    case "cancelled":
      return { at: state.at, by: state.by };
    case "rejected":
      return { at: state.at, by: state.by, reason: state.reason };
  }
}

function reviewView({ review }: Request): RequestView["review"] {
  switch (review?.kind) {
    case undefined:
      return undefined;
    case "open":
      return { state: "open", since: review.since };
    case "signed":
      return { state: "signed", at: review.at, signed: approvalView(review.signed) };
  }
}

function approvalView(signed: SignedApproval): RequestView["approvals"][number] {
  const {
    approver,
    act = "approval",
    reason,
    uses,
    validity,
  } = parseApprovalDocument(signed.document);
  return {
    approver,
    act,
    reason,
    uses,
    valid_from: validity.from,
    valid_until: validity.until,
    document: signed.document,
    signature: signed.signature,
  };
}
