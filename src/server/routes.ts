import { ConnectionRefused, SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import { authenticationFailed } from "../auth/authentication.ts";
import type { ScramCredential } from "../auth/login.ts";
import type { Config, Database, Upstream } from "../config/config.ts";
import { credentialOf, credentialsOf, loginOf, type Credential } from "../provision/credentials.ts";
import { withStoredPassword } from "../provision/stored-password.ts";
import type { Classifier } from "../session/classifier.ts";
import type { Route } from "../session/services.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { cancelUpstream } from "../upstream/cancel.ts";
import { connectUpstream, type UpstreamLink, type UpstreamOptions } from "../upstream/connect.ts";
import { credentialWarning } from "../upstream/credential.ts";
import type { UpstreamTls } from "../upstream/dial.ts";
import { HostHealth } from "../upstream/host-health.ts";
import { readTls } from "../upstream/read-tls.ts";
import { UpstreamRefused } from "../upstream/startup-messages.ts";
import { SecondLock } from "./second-lock.ts";
import { readFunctions, UpstreamFunctions } from "./upstream-functions.ts";
import type { UpstreamWatch } from "./upstream-watch.ts";

const CANCEL_TIMEOUT_MS = 10_000;

export interface RoutesOptions {
  readonly config: Config;
  readonly classifiers: Readonly<Record<"postgresql" | "redshift", Classifier>>;
  readonly metrics: Metrics;
  readonly watch: UpstreamWatch;
  readonly log: Log;
}

interface Routes {
  readonly routes: ReadonlyMap<string, Route>;
  /** Of the databases whose catalogue is gone by; not read yet. */
  readonly functions: readonly UpstreamFunctions[];
}

/** By the name that people connect to: where each database is, and how to get there. */
export function openRoutes({ config, classifiers, metrics, watch, log }: RoutesOptions): Routes {
  const dialers = new Map(
    [...config.upstreams].map(([name, upstream]) => [name, dialer(upstream)]),
  );
  const routes = new Map<string, Route>();
  const functions: UpstreamFunctions[] = [];
  for (const [name, database] of config.databases) {
    const { upstream, dialect, place, neighbours, trustsVolatility } = database;
    const own = config.upstreams.get(upstream);
    const dial = dialers.get(upstream);
    const secondLock = openSecondLock(database, own);
    if (dial === undefined || own === undefined)
      throw new Error(`database ${name} has no upstream ${upstream}`);
    const connect: Route["connect"] = async (who, parameters, signal) => {
      const login = loginFor(who, database, own);
      if (login === undefined) throw hasNoLogin(who, name);
      try {
        const link = await dial.connect(login, place.serverDatabase, parameters, signal);
        metrics.upstreamUp(upstream, true);
        watch.reached(upstream);
        return link;
      } catch (error) {
        if (error instanceof UpstreamUnavailable) {
          metrics.upstreamUp(upstream, false);
          watch.failed(upstream, error);
        }
        if (!isAboutCredential(error)) throw error;
        // The server knows another password by now than the one that was proved to us.
        if (login.kind === "theirs") throw authenticationFailed(login.user);
        throw cannotLogIn(upstream, error);
      }
    };
    const ownFunctions = trustsVolatility
      ? new UpstreamFunctions({ database: name, load: () => readFunctions(connect), log })
      : undefined;
    if (ownFunctions !== undefined) functions.push(ownFunctions);
    routes.set(name, {
      upstream,
      place,
      readOnlyRoles: config.readOnly.get(place.environment) ?? [],
      greets: config.greeting.has(place.environment),
      showsPerson: own.showsPerson === true,
      neighbours,
      classifier: classifiers[dialect],
      functions: ownFunctions,
      connect,
      clearance: secondLock && ((link) => secondLock.for(link)),
      close: () => secondLock?.close(),
      cancel: (link) => {
        cancelUpstream(link, { tls: dial.tls, timeoutMs: CANCEL_TIMEOUT_MS }).catch(
          (error: unknown) => {
            log.warn({ err: error, upstream }, "a cancel request could not be delivered");
          },
        );
      },
    });
  }
  return { routes, functions };
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

function openSecondLock(database: Database, own: Upstream | undefined): SecondLock | undefined {
  const { secondLock } = database;
  return own && secondLock && new SecondLock(database, own, secondLock);
}

type Who = Parameters<Route["connect"]>[0];

/** On the server they are themselves, or what their roles have there. */
type UpstreamLogin =
  | { readonly kind: "ours"; readonly credential: Credential }
  | { readonly kind: "theirs"; readonly user: string; readonly proof: ScramCredential };

function loginFor(who: Who, database: Database, own: Upstream): UpstreamLogin | undefined {
  if (who === "twokey") return { kind: "ours", credential: credentialOf(own) };
  const { principal, upstream } = who;
  if (upstream !== undefined) return { kind: "theirs", user: principal.name, proof: upstream };
  // What somebody has for a while goes before what they have anyway.
  const elevated = { ...principal, roles: principal.elevatedTo ?? [] };
  const credential =
    (principal.elevatedTo && loginOf(elevated, database, own)) ?? loginOf(principal, database, own);
  return credential && { kind: "ours", credential };
}

function hasNoLogin(who: Who, database: string): ConnectionRefused {
  const name = who === "twokey" ? who : who.principal.name;
  return new ConnectionRefused(
    SQLSTATE.insufficientPrivilege,
    `twokey: no login of database "${database}" is for any role of "${name}"`,
    { hint: `The operator of Twokey names roles under databases.${database}.logins.` },
  );
}

/** Says in the log which upstream's password others on this machine can read. */
export async function warnOfOpenCredentials(config: Config, log: Log): Promise<void> {
  for (const { upstream, source } of credentialsOf(config)) {
    const warning = source === undefined ? undefined : await credentialWarning(source);
    if (warning !== undefined) log.warn({ upstream }, warning);
  }
}

interface Dialer {
  readonly tls: UpstreamTls;
  readonly connect: (
    login: UpstreamLogin,
    database: string,
    parameters: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ) => Promise<UpstreamLink>;
}

function dialer(upstream: Upstream): Dialer {
  const tls = readTls(upstream.tls);
  const options: Omit<UpstreamOptions, "user" | "password" | "database" | "parameters" | "signal"> =
    {
      hosts: upstream.hosts,
      targetSession: upstream.targetSessionAttrs,
      health: new HostHealth(),
      tls,
      // Our own link needs nothing that a newer one would bring.
      minorVersion: 0,
      timeoutMs: upstream.connectTimeoutMs,
    };
  return {
    tls,
    // The password is read for each connection, so that a rotated one is taken up at once.
    connect: (login, database, parameters, signal) => {
      const connection = { ...options, database, parameters, signal };
      if (login.kind === "theirs") {
        const { user, proof } = login;
        return connectUpstream({ ...connection, user, password: () => Promise.resolve(proof) });
      }
      const { user, source, name } = login.credential;
      return withStoredPassword({ source, name }, (password) =>
        connectUpstream({ ...connection, user, password }),
      );
    },
  };
}
