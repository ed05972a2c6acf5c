import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import { fastify, LogController, type FastifyBaseLogger, type RouteOptions } from "fastify";
import type { AddressInfo } from "node:net";
import type { Registry } from "../approvals/admit.ts";
import type { RequestStore } from "../approvals/request-store.ts";
import type { AuditRecord } from "../audit/record.ts";
import type { Principal } from "../policy/principal.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { accessRoutes, type AccessOptions } from "./access-routes.ts";
import { approvalRoutes, type ApprovalOptions } from "./approval-routes.ts";
import { healthRoutes, type Checks, type HealthOptions } from "./health.ts";
import { loginRoutes } from "./login-routes.ts";
import { openApiDocument } from "./openapi.ts";
import { passwordRoutes, type Passwords } from "./password-routes.ts";
import { Problem, sendProblem, toProblem } from "./problem.ts";
import { compileSerializer, compileValidator, type Api } from "./schema.ts";
import { requestRoutes, type RequestOptions } from "./request-routes.ts";
import { sessionRoutes, type Sessions } from "./session-routes.ts";
import { SignIn } from "./sign-in.ts";
import { watchRoutes, type HabitsDesk, type SilenceDesk } from "./watch-routes.ts";

export interface AdminOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Where clients reach it, if not at `http://host:port`: what they check a login challenge against. */
  readonly publicUrl: string | undefined;
  readonly version: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly checks: Checks;
  readonly metricsToken: HealthOptions["metricsToken"];
  /** PEM; `undefined` for plain HTTP. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  /** Who there is; whoever is disabled isn't found. */
  readonly findPrincipal: (name: string) => Principal | undefined;
  /** Who may sign, in and approvals, as of now. */
  readonly registry: () => Registry;
  /** Roles whose people see every session and request, and may end sessions. */
  readonly operatorRoles: readonly string[];
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly silences: SilenceDesk;
  readonly habits: HabitsDesk;
  readonly requests: RequestStore;
  /** Judges what is wanted as if it were run now, and opens, on record, the request that its refusal would. */
  readonly submit: RequestOptions["submit"];
  /** What a request would do, measured on the server now. */
  readonly impact: ApprovalOptions["impact"];
  readonly requestAccess: AccessOptions["requestAccess"];
  /** On record when it resolves; when it rejects, what was to be recorded isn't done. */
  readonly audit: (record: AuditRecord) => Promise<void>;
  readonly now: () => number;
}

/** Anything larger is no request of ours: an approval document has at most 1 MiB, its JSON string somewhat more. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
const RATE_LIMIT = { max: 1200, timeWindow: "1 minute" };

/** The HTTP server of the admin port. */
export interface AdminServer {
  /** Where clients reach it, without a slash at its end. */
  readonly url: string;
  readonly address: AddressInfo;
  close: () => Promise<void>;
}

/** Builds the server from its parts and listens. */
export async function openAdminServer(options: AdminOptions): Promise<AdminServer> {
  const loggerInstance: FastifyBaseLogger = options.log;
  const app: Api = fastify({
    loggerInstance,
    https: options.tls ?? null,
    // Who did what stands in the audit log; that a probe asked again is news to nobody.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: 30_000,
    // Held connections of clients that are gone would keep a shutdown waiting.
    forceCloseConnections: true,
  });
  app.setValidatorCompiler(compileValidator);
  app.setSerializerCompiler(compileSerializer);
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, new Problem("not-found", `there is no ${request.method} ${request.url}`)),
  );
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    if (problem.problem === "internal-error") request.log.error({ err: error }, "request failed");
    return sendProblem(reply, problem);
  });

  const routes: RouteOptions[] = [];
  app.addHook("onRoute", (route) => void routes.push(route));
  app.addHook("onSend", (_request, reply, payload, done) => {
    void reply.header("cache-control", "no-store");
    done(null, payload);
  });
  await app.register(helmet, HEADERS);
  await app.register(rateLimit, RATE_LIMIT);

  let url = options.publicUrl ?? "";
  const signIn = new SignIn({ audience: () => url, registry: options.registry, now: options.now });

  healthRoutes(app, options);
  await app.register(
    (api, _options, done) => {
      loginRoutes(api, { ...options, signIn });
      passwordRoutes(api, options);
      sessionRoutes(api, { ...options, isOperator });
      watchRoutes(api, { ...options, isOperator });
      requestRoutes(api, { ...options, isOperator });
      accessRoutes(api, options);
      approvalRoutes(api, { ...options, isOperator });
      openApiRoute(api, routes, options.version);
      done();
    },
    { prefix: "/api/v1" },
  );

  function isOperator(person: Principal): boolean {
    return person.roles.some((role) => options.operatorRoles.includes(role));
  }

  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address() as AddressInfo;
  const scheme = options.tls === undefined ? "http" : "https";
  url ||= `${scheme}://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
  return { url, address, close: () => app.close() };
}

/** Nothing here is a page: a browser that opens an answer may run, load and frame nothing. */
const HEADERS = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  },
  xFrameOptions: { action: "deny" },
  referrerPolicy: { policy: "no-referrer" },
} as const;

function openApiRoute(api: Api, routes: readonly RouteOptions[], version: string): void {
  api.get(
    "/openapi.json",
    { config: { summary: "This API, as an OpenAPI 3.1 document", access: "anyone" } },
    () => openApiDocument(routes, version),
  );
}
