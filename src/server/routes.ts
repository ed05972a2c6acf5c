import { readFileSync } from "node:fs";
import { Secret } from "../base/secret.ts";
import { SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import type { Config, Upstream } from "../config/config.ts";
import type { Classifier } from "../session/classifier.ts";
import type { Route } from "../session/services.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { cancelUpstream } from "../upstream/cancel.ts";
import { connectUpstream, type UpstreamLink, type UpstreamOptions } from "../upstream/connect.ts";
import { credentialWarning, loadCredential } from "../upstream/credential.ts";
import type { UpstreamTls } from "../upstream/dial.ts";
import { UpstreamRefused } from "../upstream/startup-messages.ts";

const CANCEL_TIMEOUT_MS = 10_000;

export interface RoutesOptions {
  readonly config: Config;
  readonly classifiers: Readonly<Record<"postgresql" | "redshift", Classifier>>;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** By the name that people connect to: where each database is, and how to get there. */
export function openRoutes({
  config,
  classifiers,
  metrics,
  log,
}: RoutesOptions): ReadonlyMap<string, Route> {
  const dialers = new Map(
    [...config.upstreams].map(([name, upstream]) => [name, dialer(upstream)]),
  );
  const routes = new Map<string, Route>();
  for (const [name, { upstream, dialect, place, neighbours }] of config.databases) {
    const dial = dialers.get(upstream);
    if (dial === undefined) throw new Error(`database ${name} has no upstream ${upstream}`);
    routes.set(name, {
      upstream,
      place,
      neighbours,
      classifier: classifiers[dialect],
      connect: async (parameters, signal) => {
        try {
          const link = await dial.connect(place.serverDatabase, parameters, signal);
          metrics.upstreamUp(upstream, true);
          return link;
        } catch (error) {
          if (error instanceof UpstreamUnavailable) metrics.upstreamUp(upstream, false);
          throw isAboutCredential(error) ? cannotLogIn(upstream, error) : error;
        }
      },
      cancel: (link) => {
        cancelUpstream(link, { tls: dial.tls, timeoutMs: CANCEL_TIMEOUT_MS }).catch(
          (error: unknown) => {
            log.warn({ err: error, upstream }, "a cancel request could not be delivered");
          },
        );
      },
    });
  }
  return routes;
}

// Class 28: the server does not take our credential. To the frontend that would read as if its own were wrong.
function isAboutCredential(error: unknown): boolean {
  return error instanceof UpstreamRefused && error.sqlstate.startsWith("28");
}

function cannotLogIn(upstream: string, cause: unknown): UpstreamUnavailable {
  return new UpstreamUnavailable(
    SQLSTATE.cannotConnect,
    `twokey can't log in to upstream ${upstream}`,
    {
      hint: "Your own login is fine. The operator of Twokey has to look at the upstream's user, password and pg_hba.conf.",
      cause,
    },
  );
}

/** Says in the log which upstream's password others on this machine can read. */
export async function warnOfOpenCredentials({ upstreams }: Config, log: Log): Promise<void> {
  for (const { name, password } of upstreams.values()) {
    const warning = password === undefined ? undefined : await credentialWarning(password);
    if (warning !== undefined) log.warn({ upstream: name }, warning);
  }
}

interface Dialer {
  readonly tls: UpstreamTls;
  readonly connect: (
    database: string,
    parameters: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ) => Promise<UpstreamLink>;
}

function dialer(upstream: Upstream): Dialer {
  const tls = readTls(upstream.tls);
  const options: Omit<UpstreamOptions, "database" | "parameters" | "signal"> = {
    hosts: upstream.hosts,
    targetSession: upstream.targetSessionAttrs,
    tls,
    user: upstream.user,
    password: () => readPassword(upstream),
    // Our own link needs nothing that a newer one would bring.
    minorVersion: 0,
    timeoutMs: upstream.connectTimeoutMs,
  };
  return {
    tls,
    connect: (database, parameters, signal) =>
      connectUpstream({ ...options, database, parameters, signal }),
  };
}

// Read for each connection, so that a rotated password is taken up at once.
function readPassword({ name, password }: Upstream): Promise<Secret> {
  return Promise.resolve().then(() => {
    if (password === undefined) {
      throw new UpstreamUnavailable(
        SQLSTATE.cannotConnect,
        `upstream ${name} asks for a password, and none is configured`,
        {
          hint: `say where it is found: upstreams.${name}.password`,
        },
      );
    }
    return loadCredential(password);
  });
}

function readTls({ mode, caFile, certFile, keyFile, isDirect }: Upstream["tls"]): UpstreamTls {
  return {
    mode,
    ca: read(caFile),
    certificate: read(certFile),
    key: keyFile === undefined ? undefined : new Secret(readFileSync(keyFile, "utf8")),
    isDirect,
  };
}

function read(file: string | undefined): string | undefined {
  return file === undefined ? undefined : readFileSync(file, "utf8");
}
