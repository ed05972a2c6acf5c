import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type { AuditRecord } from "../audit/record.ts";
import { SQLSTATE } from "../base/errors.ts";
import type { Principal } from "../policy/principal.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { Problem } from "./problem.ts";
import type { Api } from "./schema.ts";
import { LOGIN_NAMESPACE, type SignIn } from "./sign-in.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who makes it; set before any handler of a route that isn't for anyone. */
    person: Principal;
  }
}

interface LoginOptions {
  readonly signIn: SignIn;
  /** Who there is; whoever is disabled isn't found. */
  readonly findPrincipal: (name: string) => Principal | undefined;
  readonly audit: (record: AuditRecord) => Promise<void>;
  readonly metrics: Metrics;
}

/** Plenty for people; what one address fails at goes into the audit log, so it may not fail endlessly. */
const RATE_LIMIT = { max: 30, timeWindow: "1 minute" };

/** Makes every route of `app` ask who is there, but those that say `access: "anyone"`; and adds the way to say it. */
export function loginRoutes(
  app: Api,
  { signIn, findPrincipal, audit, metrics }: LoginOptions,
): void {
  app.decorateRequest("person");
  app.addHook("onRequest", (request, _reply, done) => {
    if (request.routeOptions.config.access !== "anyone") request.person = identify(request);
    done();
  });

  function identify(request: FastifyRequest): Principal {
    const token = bearerToken(request);
    const name = token === undefined ? undefined : signIn.personOf(token);
    const person = name === undefined ? undefined : findPrincipal(name);
    if (!person) throw new Problem("not-signed-in", "sign in first", "twokey does by itself");
    return person;
  }

  app.post(
    "/login/challenge",
    {
      config: { summary: "Ask for a challenge to sign", access: "anyone", rateLimit: RATE_LIMIT },
      schema: {
        body: z.strictObject({ person: z.string().min(1).max(256) }),
        response: { 200: z.object({ challenge: z.string(), namespace: z.string() }) },
      },
    },
    ({ body }) => ({ challenge: signIn.challenge(body.person), namespace: LOGIN_NAMESPACE }),
  );

  app.post(
    "/login",
    {
      config: {
        summary: "Exchange a signed challenge for a token",
        access: "anyone",
        rateLimit: RATE_LIMIT,
      },
      schema: {
        body: z.strictObject({
          challenge: z.string().max(4096),
          signature: z.string().max(32_768),
        }),
        response: {
          200: z.object({
            person: z.string(),
            token: z.string(),
            expires_at: z.iso.datetime(),
          }),
        },
      },
    },
    async (request) => {
      const result = signIn.redeem(request.body);
      const client = { address: request.ip };
      if (result.kind === "refused" || !findPrincipal(result.person)) {
        metrics.authFailed("login");
        const reason = result.kind === "refused" ? result.because : "nobody of that name";
        await audit({
          event: "auth.failure",
          person: result.person,
          client,
          reason,
          sqlstate: SQLSTATE.invalidAuthorization,
        });
        throw new Problem("not-signed-in", reason);
      }
      await audit({
        event: "admin.action",
        person: result.person,
        operation: "login",
        target: client.address,
        outcome: "done",
      });
      return {
        person: result.person,
        token: result.token,
        expires_at: new Date(result.expiresAtMs).toISOString(),
      };
    },
  );

  app.get(
    "/login",
    {
      config: { summary: "Who am I" },
      schema: { response: { 200: z.object({ person: z.string(), roles: z.array(z.string()) }) } },
    },
    ({ person }) => ({ person: person.name, roles: [...person.roles] }),
  );

  app.delete(
    "/login",
    { config: { summary: "Sign out: the token is worth nothing afterwards" } },
    (request, reply) => {
      signIn.revoke(bearerToken(request) ?? "");
      return reply.code(204).send();
    },
  );
}

function bearerToken(request: FastifyRequest): string | undefined {
  return /^Bearer ([\w.-]{1,128})$/.exec(request.headers.authorization ?? "")?.[1];
}
