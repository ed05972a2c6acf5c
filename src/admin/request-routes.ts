import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { Malformed } from "../approvals/malformed.ts";
import { formatInstant, type Instant } from "../approvals/instant.ts";
import { parseRequestId, type RequestId } from "../approvals/request-id.ts";
import type { Change, RequestStore } from "../approvals/request-store.ts";
import {
  cancelRequest,
  expireRequest,
  rejectRequest,
  type Request,
  type Transition,
} from "../approvals/request.ts";
import type { AuditRecord } from "../audit/record.ts";
import type { Principal } from "../policy/principal.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { Problem } from "./problem.ts";
import { transitionRefused } from "./refusals.ts";
import {
  requestSchema,
  requestSummary,
  requestSummarySchema,
  requestView,
  stateSchema,
} from "./request-views.ts";
import type { Api } from "./schema.ts";

/** What somebody asks to have signed before they run it. */
export interface Wanted {
  readonly database: string;
  /** The workload that will run it, where that isn't who asks. */
  readonly requester?: string | undefined;
  readonly statements: readonly string[];
  readonly reason: string;
  readonly client: string;
}

export type Submission =
  | { readonly kind: "opened" | "joined"; readonly request: Request }
  /** Policy allows or blocks it as it is, it can't be read, or too much is open. */
  | { readonly kind: "refused"; readonly because: string; readonly hint: string | undefined };

export interface RequestOptions {
  readonly requests: RequestStore;
  /** Judges what is wanted as if it were run now, and opens, on record, the request that its refusal would. */
  readonly submit: (requester: Principal, wanted: Wanted) => Promise<Submission>;
  readonly isOperator: (person: Principal) => boolean;
  readonly audit: (record: AuditRecord) => Promise<void>;
  readonly metrics: Metrics;
  readonly now: () => number;
}

/** A list looks at no more of the store than this many pages; `next` goes on from there. */
const MAX_PAGES = 20;

export const idParams = z.object({
  id: z.string().transform((typed, context): RequestId => {
    try {
      return parseRequestId(typed);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      context.addIssue({ code: "custom", message: `${error.message}: ${error.hint ?? ""}` });
      return z.NEVER;
    }
  }),
});

/** Requesters see their own, approvers what their groups may sign, operators everything. */
export function requestRoutes(app: Api, options: RequestOptions): void {
  const { requests, audit, metrics } = options;
  const mayLook = visibility(options);

  app.get(
    "/requests",
    {
      config: { summary: "Requests you may see, the newest first" },
      schema: {
        querystring: z.strictObject({
          state: z.union([stateSchema.transform((one) => [one]), z.array(stateSchema)]).optional(),
          requester: z.string().exactOptional(),
          database: z.string().exactOptional(),
          environment: z.string().exactOptional(),
          review: z.enum(["open", "signed"]).exactOptional(),
          limit: z.coerce.number().int().min(1).max(200).default(50),
          after: z.string().max(256).optional(),
        }),
        response: {
          200: z.object({
            requests: z.array(requestSummarySchema).readonly(),
            next: z.string().optional().describe("Give it as `after` for the next page."),
          }),
        },
      },
    },
    async ({ person, query: { state, limit, after, ...filter } }) => {
      const now = instant(options);
      const found: Request[] = [];
      let next = after;
      for (let page = 0; page < MAX_PAGES && found.length < limit; page++) {
        const answer = await requests.list({
          ...filter,
          ...(state && { states: state }),
          limit: limit - found.length,
          ...(next !== undefined && { after: next }),
        });
        found.push(...answer.requests.filter((request) => mayLook(person, request)));
        next = answer.next;
        if (next === undefined) break;
      }
      return {
        requests: found.map((request) => requestSummary(expireRequest(request, now))),
        next,
      };
    },
  );

  app.get(
    "/requests/:id",
    {
      config: { summary: "A request with its statements and signatures" },
      schema: { params: idParams, response: { 200: requestSchema } },
    },
    async ({ person, params: { id } }) => {
      const request = await findRequest(options, person, id);
      await audit({
        event: "admin.action",
        person: person.name,
        operation: "view request",
        target: id,
        outcome: "done",
      });
      return requestView(request);
    },
  );

  app.post(
    "/requests",
    {
      config: { summary: "Ask ahead for what a statement, or a whole migration, will need" },
      schema: {
        body: z.strictObject({
          database: z.string().min(1).max(256),
          requester: z
            .string()
            .min(1)
            .max(256)
            .optional()
            .describe("The workload that will run it, in whose name you ask."),
          statements: z.array(z.string().min(1)).min(1).max(1000),
          reason: z.string().max(2000).default(""),
        }),
        response: { 200: requestSchema, 201: requestSchema },
      },
    },
    async (request, reply) => {
      const client = `${request.ip} (twokey API)`;
      const result = await options.submit(request.person, { ...request.body, client });
      if (result.kind === "refused") throw new Problem("wrong-state", result.because, result.hint);
      return reply.code(result.kind === "opened" ? 201 : 200).send(requestView(result.request));
    },
  );

  app.post(
    "/requests/:id/cancel",
    {
      config: { summary: "Take back a request, signed or not" },
      schema: { params: idParams, response: { 200: requestSchema } },
    },
    async ({ person, params: { id } }) => {
      const request = await findRequest(options, person, id);
      if (!isAskedBy(request, person) && !options.isOperator(person)) {
        throw new Problem("not-allowed", "only its requester may cancel a request", "reject it");
      }
      const how = { by: person.name, now: instant(options) };
      refuseUnlessMoves(cancelRequest(request, how));
      await audit({ event: "request.closed", request: id, outcome: "cancelled", person: how.by });
      const cancelled = changed(await requests.cancel(id, how));
      metrics.request("cancelled");
      return requestView(cancelled);
    },
  );

  app.post(
    "/requests/:id/reject",
    {
      config: { summary: "Say no, as one who might have signed" },
      schema: {
        params: idParams,
        body: z.strictObject({ reason: z.string().trim().min(1).max(2000) }),
        response: { 200: requestSchema },
      },
    },
    async ({ person, params: { id }, body: { reason } }) => {
      const request = await findRequest(options, person, id);
      const { approvers } = request.asked.terms;
      if (isAskedBy(request, person) || !isIn(approvers, person)) {
        throw new Problem("not-allowed", `only members of ${approvers.join(", ")} may reject this`);
      }
      const how = { by: person.name, reason, now: instant(options) };
      refuseUnlessMoves(rejectRequest(request, how));
      await audit({ event: "approval.rejected", request: id, person: person.name, reason });
      const rejected = changed(await requests.reject(id, how));
      metrics.request("rejected");
      return requestView(rejected);
    },
  );
}

/** @throws Problem for a request that isn't there or is none of the person's business, the same for both */
export async function findRequest(
  options: Pick<RequestOptions, "requests" | "isOperator" | "now">,
  person: FastifyRequest["person"],
  id: RequestId,
): Promise<Request> {
  const request = await options.requests.get(id);
  if (!request || !visibility(options)(person, request)) {
    throw new Problem("not-found", `there is no request ${id} that you may see`);
  }
  return expireRequest(request, instant(options));
}

function visibility({
  isOperator,
}: Pick<RequestOptions, "isOperator">): (person: Principal, request: Request) => boolean {
  return (person, request) =>
    isAskedBy(request, person) || isIn(request.asked.terms.approvers, person) || isOperator(person);
}

/** In their own name, or in a workload's. */
export function isAskedBy({ asked }: Request, { name }: Principal): boolean {
  return asked.requester === name || asked.submitter === name;
}

export function isIn(groups: readonly string[], { roles }: Principal): boolean {
  return groups.some((group) => roles.includes(group));
}

export function instant({ now }: { readonly now: () => number }): Instant {
  return formatInstant(new Date(now()));
}

/** Before it is put on record: what could not happen is not to be found there. */
export function refuseUnlessMoves(transition: Transition): void {
  if (transition.kind === "refused") throw transitionRefused(transition.because);
}

export function changed(change: Change): Request {
  switch (change.kind) {
    case "moved":
      return change.request;
    case "refused":
      throw transitionRefused(change.because);
    case "unknown_request":
      throw new Problem("not-found", "the request is gone");
  }
}
