import { z } from "zod";
import type { Principal } from "../policy/principal.ts";
import { Problem } from "./problem.ts";
import type { Submission } from "./request-routes.ts";
import { requestSchema, requestView } from "./request-views.ts";
import type { Api } from "./schema.ts";

/** A role that somebody asks to have for a while. */
export interface WantedAccess {
  readonly role: string;
  readonly seconds: number;
  readonly database: string;
  readonly reason: string;
  readonly client: string;
}

export interface AccessOptions {
  /** Opens the request, on record, where the configuration offers the role to whoever asks. */
  readonly requestAccess: (person: Principal, wanted: WantedAccess) => Promise<Submission>;
}

export function accessRoutes(api: Api, { requestAccess }: AccessOptions): void {
  api.post(
    "/requests/access",
    {
      config: { summary: "Ask for a role for a while, signed as a statement would be" },
      schema: {
        body: z.strictObject({
          database: z.string().min(1).max(256),
          role: z.string().min(1).max(256),
          seconds: z.int().min(60).max(604_800),
          reason: z.string().trim().min(1).max(2000),
        }),
        response: { 200: requestSchema, 201: requestSchema },
      },
    },
    async (request, reply) => {
      const client = `${request.ip} (twokey API)`;
      const result = await requestAccess(request.person, { ...request.body, client });
      if (result.kind === "refused") throw new Problem("wrong-state", result.because, result.hint);
      return reply.code(result.kind === "opened" ? 201 : 200).send(requestView(result.request));
    },
  );
}
