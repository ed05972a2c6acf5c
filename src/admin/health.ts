import { z } from "zod";
import { equalConstantTime, sha256 } from "../base/digest.ts";
import { TwokeyError } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { Problem } from "./problem.ts";
import type { Api } from "./schema.ts";

const CHECK_TIMEOUT_MS = 2000;

/** What must hold to be ready, by name; a check that fails rejects with the reason. */
export type Checks = ReadonlyMap<string, () => Promise<void>>;

const readiness = z.object({
  ready: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), reason: z.string().optional() })),
});
type Readiness = z.infer<typeof readiness>;

export interface HealthOptions {
  readonly metrics: Metrics;
  readonly checks: Checks;
  /** What who asks for `/metrics` has to send; `undefined` for whoever asks. Read each time, so that a new one counts at once. */
  readonly metricsToken: () => Secret | undefined;
}

/** `/healthz`, `/readyz` and `/metrics`: for orchestrators and Prometheus, who do not sign in. They show no SQL. */
export function healthRoutes(app: Api, options: HealthOptions): void {
  app.get("/healthz", (_request, reply) => reply.type("text/plain").send("alive\n"));

  app.get("/metrics", async (request, reply) => {
    const token = options.metricsToken();
    if (token !== undefined && !isBearer(request.headers.authorization, token)) {
      void reply.header("www-authenticate", 'Bearer realm="metrics"');
      const hint = "send admin.metrics.token as Authorization: Bearer";
      throw new Problem("not-signed-in", "the metrics are for who has their token", hint);
    }
    return reply.type(options.metrics.contentType).send(await options.metrics.text());
  });

  // One run serves everyone who asks meanwhile, so that asking often costs the upstream nothing.
  let running: Promise<Readiness> | undefined;
  app.get(
    "/readyz",
    { schema: { response: { 200: readiness, 503: readiness } } },
    async (_request, reply) => {
      running ??= runChecks(options.checks).finally(() => (running = undefined));
      const result = await running;
      return reply.code(result.ready ? 200 : 503).send(result);
    },
  );
}

/** Digests are compared: they are as long as each other whatever is sent, and their time tells nothing of the token. */
function isBearer(authorization: string | undefined, token: Secret): boolean {
  const sent = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
  if (sent === undefined) return false;
  return equalConstantTime(Buffer.from(sha256(sent)), Buffer.from(sha256(token.reveal())));
}

async function runChecks(checks: Checks): Promise<Readiness> {
  const results = await Promise.all(
    [...checks].map(async ([name, check]) => {
      try {
        await withDeadline(check());
        return { name, ok: true };
      } catch (error) {
        // Anybody may read this: only what was worded for others.
        const reason = error instanceof TwokeyError ? error.message : "failed";
        return { name, ok: false, reason };
      }
    }),
  );
  return { ready: results.every(({ ok }) => ok), checks: results };
}

async function withDeadline(check: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error("timed out"));
    }, CHECK_TIMEOUT_MS);
  });
  try {
    await Promise.race([check, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
