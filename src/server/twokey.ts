import { constants } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { openAdminServer, type AdminServer } from "../admin/admin-server.ts";
import type { Checks } from "../admin/health.ts";
import type { SilenceDesk } from "../admin/watch-routes.ts";
import { signatureRefused } from "../admin/refusals.ts";
import type { RequestStore } from "../approvals/request-store.ts";
import { formatInstant } from "../approvals/instant.ts";
import { LoginThrottle } from "../auth/login-throttle.ts";
import { SQLSTATE, TwokeyError } from "../base/errors.ts";
import type { Config, ListenTls } from "../config/config.ts";
import { readSecret } from "../config/secret-source.ts";
import { Habits } from "../habits/habits.ts";
import type { Principal } from "../policy/principal.ts";
import { ApprovalDesk } from "../session/approval-desk.ts";
import { CancelKeys } from "../session/cancel-keys.ts";
import { Classifier } from "../session/classifier.ts";
import { FrontendListener } from "../session/frontend-listener.ts";
import { FrontendTls } from "../session/frontend-tls.ts";
import { OpenSessions } from "../session/open-sessions.ts";
import type { Route, SessionServices } from "../session/services.ts";
import { openShippers } from "../shipping/open-shippers.ts";
import type { AuditFile } from "../store/audit-file.ts";
import { ShortLivedPasswords } from "../store/short-lived-passwords.ts";
import type { Log } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { openAlerting } from "./alerting.ts";
import { keepAudit, openAudit } from "./audit-log.ts";
import { openAuthentication } from "./authentication.ts";
import type { Backups } from "../backup/backups.ts";
import { openBackups } from "./backups.ts";
import { recordConfig } from "./config-record.ts";
import { Directory } from "./directory.ts";
import { Elevations } from "./elevations.ts";
import { every } from "./every.ts";
import { openLoginSecret } from "./login-secret.ts";
import { Impacts } from "./measure-request.ts";
import { newestBackup } from "./newest-backup.ts";
import { noticeAnswers, noticeSubmission } from "./notice-answers.ts";
import { openRequestStore } from "./request-stores.ts";
import { openPasswords } from "./passwords.ts";
import { requestAccess } from "./request-access.ts";
import { rotateOld } from "./rotation.ts";
import { openRoutes, warnOfOpenCredentials } from "./routes.ts";
import { verifyItself } from "./self-verify.ts";
import { sessionViews } from "./session-views.ts";
import { remindOfReviews } from "./remind-reviews.ts";
import { settleUses } from "./settle-uses.ts";
import { SignerRegistry } from "./signer-registry.ts";
import { submitRequest } from "./submit.ts";
import { UpstreamVerifiers } from "./upstream-verifiers.ts";
import { UpstreamWatch } from "./upstream-watch.ts";

export interface StartOptions {
  readonly config: Config;
  readonly log: Log;
  readonly version: string;
}

/** A running Twokey: the proxy, its admin port, and what they share. */
export interface Twokey {
  readonly port: number;
  readonly adminUrl: string;
  /** Lets sessions end what they are in the middle of for so long, then closes everything, the audit log last. */
  readonly stop: (options: { readonly drainMs: number }) => Promise<void>;
}

const EXPIRE_EVERY_MS = 30_000;
const ROTATE_EVERY_MS = 600_000;
const PROBE_EVERY_MS = 15_000;
const PROBE_TIMEOUT_MS = 5_000;

/**
 * Opens what has to be there before the first connection: the audit log, the store, the parser, the admin port and
 * last the proxy's. What was opened is closed again when a later step fails.
 *
 * @throws TwokeyError that names what could not be opened
 */
export async function startTwokey({ config, log, version }: StartOptions): Promise<Twokey> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.reverse()) await closer();
  };
  try {
    const now = (): Date => new Date();
    const metrics = new Metrics({ version, now: Date.now });
    let tell: SessionServices["notice"] = () => undefined;
    const notice: SessionServices["notice"] = (what) => {
      tell(what);
    };
    const audit = openAudit(config, { metrics, log, notice });
    closers.push(() => audit.close());
    recordConfig(config, audit);
    const shippers = openShippers(config.audit, { audit, metrics, log });
    closers.push(() => shippers.close());
    closers.push(keepAudit(config, { audit, log, shippedSeq: shippers.shippedSeq }));
    const alerting = await openAlerting({ config, audit, metrics, log, now });
    closers.push(() => alerting.close());
    tell = alerting.notice;
    closers.push(verifyItself(config, { audit, log, notice }));
    const habits = await Habits.open({ config: config.habits, notice, log, nowMs: Date.now });
    closers.push(() => habits.close());
    const backups = openBackups(config, { audit, metrics, notice, log, now });
    closers.push(() => backups.close());

    const store = await openRequestStore(config);
    closers.push(() => store.close());
    // The same after a restart, so that what a killed process left is found.
    const instance = `${hostname()}:${config.audit.directory}`;
    await settleUses({ store, audit }, instance);
    const directory = new Directory(
      config,
      openLoginSecret(path.dirname(config.audit.checkpoint.keyFile)),
      log,
    );
    const upstreamVerifiers = new UpstreamVerifiers(config, log);
    await upstreamVerifiers.refresh();
    const shortLived = new ShortLivedPasswords(
      path.join(path.dirname(config.audit.checkpoint.keyFile), "short-lived-passwords.json"),
    );
    const registry = new SignerRegistry(config, directory, log);
    const elevations = new Elevations({
      offers: config.access,
      store,
      registry: () => registry.now(now()),
      audit,
      instance,
      log,
      now,
    });
    await elevations.start();
    closers.push(() => elevations.close());
    const throttle = new LoginThrottle(config.limits.logins);
    const classifiers = openClassifiers(config, metrics);
    closers.push(() => classifiers.postgresql.close());
    closers.push(() => classifiers.redshift.close());
    await warnOfOpenCredentials(config, log);
    const watch = new UpstreamWatch(notice);
    const { routes, functions } = openRoutes({ config, classifiers, metrics, watch, log });
    closers.push(() => {
      for (const route of routes.values()) route.close();
    });
    for (const each of functions) closers.push(() => each.close());
    await Promise.all(functions.map((each) => each.refresh()));

    const services: SessionServices = {
      tls: openTls(config.listen.tls),
      isTlsRequired: config.listen.tls.mode === "require",
      limits: () => ({
        startupTimeoutMs: config.limits.startupTimeoutMs,
        maxMessageBytes: config.limits.maxMessageBytes,
        maxNamedObjects: config.limits.maxNamedObjects,
        maxSessionsPerPerson: config.limits.connections.perPerson,
        idleInTransactionMs: config.limits.idleInTransactionMs,
        failedLoginDelayMs: config.limits.logins.delayMs,
      }),
      authentication: openAuthentication({
        config,
        directory,
        shortLived,
        upstreamVerifiers,
        throttle,
        now,
      }),
      route: (database) => routes.get(database),
      policy: () => config.policy,
      asOfNow: (principal, place) => elevations.asOfNow(principal, place),
      desk: new ApprovalDesk({
        store,
        registry: () => registry.now(now()),
        instance,
        requestSeconds: Math.floor(config.approvals.requestsExpireMs / 1000),
        onRefused: (request, because) => {
          audit.append({
            event: "approval.rejected",
            request,
            reason: signatureRefused(because),
          });
        },
        onCancelled: (request, person) => {
          audit.append({ event: "request.closed", request, outcome: "cancelled", person });
          metrics.request("cancelled");
        },
        now,
      }),
      backups: backups.desk,
      audit,
      recorded: config.audit,
      cancelKeys: new CancelKeys(),
      sessions: new OpenSessions(),
      metrics,
      habits: (who) => habits.session(who),
      notice,
      log,
      now,
    };

    const listener = new FrontendListener({
      services,
      maxConnections: () => config.limits.connections,
    });
    const admin = await openAdmin({
      config,
      version,
      services,
      store,
      directory,
      shortLived,
      registry,
      routes,
      listener,
      silences: alerting.silences,
      habits,
      backups: backups.backups,
    });
    closers.push(() => admin.close());
    closers.push(
      every(EXPIRE_EVERY_MS, () => expireRequests({ store, audit, metrics }), log),
      every(
        EXPIRE_EVERY_MS,
        () =>
          remindOfReviews(noticeAnswers(store, notice), {
            everyMs: config.approvals.remindOfReviewsMs,
            now: now(),
          }),
        log,
      ),
      every(PROBE_EVERY_MS, () => probeUpstreams(routes), log),
      every(EXPIRE_EVERY_MS, () => elevations.refresh(), log),
      every(ROTATE_EVERY_MS, () => rotateOld({ config, audit, log, now }), log),
      ...refreshVerifiers(config, upstreamVerifiers, log),
    );
    const port = await listen(listener, config);
    const stop: Twokey["stop"] = async ({ drainMs }) => {
      await listener.close({ drainMs });
      await close();
    };
    return { port, adminUrl: admin.url, stop };
  } catch (error) {
    await close();
    throw error;
  }
}

/** As often as the most impatient upstream asks; without any, never. */
function refreshVerifiers(
  { upstreams }: Config,
  verifiers: UpstreamVerifiers,
  log: Log,
): (() => void)[] {
  const intervals = [...upstreams.values()].flatMap((one) => one.verifiers?.refreshMs ?? []);
  if (intervals.length === 0) return [];
  return [every(Math.min(...intervals), () => verifiers.refresh(), log)];
}

type Classifiers = Record<"postgresql" | "redshift", Classifier>;

function openClassifiers({ catalogue, limits }: Config, metrics: Metrics): Classifiers {
  const open = (dialect: keyof Classifiers): Classifier => {
    const classifier = new Classifier({
      dialect,
      functions: catalogue,
      maxTextBytes: limits.maxStatementBytes,
    });
    classifier.warmUp();
    return classifier;
  };
  const classifiers: Classifiers = { postgresql: open("postgresql"), redshift: open("redshift") };
  metrics.readCache(() => {
    const stats = Object.values(classifiers).map((classifier) => classifier.stats());
    return {
      hit: stats.reduce((sum, { hits }) => sum + hits, 0),
      miss: stats.reduce((sum, { misses }) => sum + misses, 0),
    };
  });
  return classifiers;
}

function openTls(tls: ListenTls): FrontendTls | undefined {
  if (tls.mode === "off") return undefined;
  const { certFile, keyFile, clientCaFile, clientCrlFile } = tls;
  return new FrontendTls({
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    ...(clientCaFile !== undefined && {
      ca: readFileSync(clientCaFile),
      requestCert: true,
      // Who shows no certificate, or a wrong one, may still log in another way.
      rejectUnauthorized: false,
      // A session that is taken up again would be believed without its certificate being checked against the list.
      secureOptions: constants.SSL_OP_NO_TICKET,
    }),
    ...(clientCrlFile !== undefined && { crl: readFileSync(clientCrlFile) }),
  });
}

interface AdminParts {
  readonly config: Config;
  readonly version: string;
  readonly services: SessionServices;
  readonly store: RequestStore;
  readonly directory: Directory;
  readonly shortLived: ShortLivedPasswords;
  readonly registry: SignerRegistry;
  readonly routes: ReadonlyMap<string, Route>;
  readonly listener: FrontendListener;
  readonly silences: SilenceDesk;
  readonly backups: Backups;
  readonly habits: Habits;
}

async function openAdmin(parts: AdminParts): Promise<AdminServer> {
  const { config, version, services, store, directory, shortLived, registry, backups } = parts;
  const { audit, metrics, log, now, sessions } = services;
  const { host, port, publicUrl, operators } = config.admin;
  const impacts = new Impacts({
    route: services.route,
    findPrincipal: (name) => directory.principal(name, now()),
    backup: (database) => newestBackup(database, { backups, config: config.backups, now }),
    now,
  });
  try {
    return await openAdminServer({
      host,
      port,
      publicUrl,
      version,
      log,
      metrics,
      checks: readinessChecks(parts),
      metricsToken: () => config.admin.metricsToken && readSecret(config.admin.metricsToken),
      tls: config.admin.tls && {
        cert: readFileSync(config.admin.tls.certFile),
        key: readFileSync(config.admin.tls.keyFile),
      },
      findPrincipal: (name) => directory.principal(name, now()),
      registry: () => registry.now(now()),
      operatorRoles: operators,
      requestAccess: async (person, wanted) => {
        const asked = await requestAccess(person, wanted, { offers: config.access, services });
        return noticeSubmission(asked, services.notice);
      },
      passwords: openPasswords({
        directory,
        kept: shortLived,
        maxSeconds: Math.floor(config.limits.logins.shortLivedMs / 1000),
        now: Date.now,
      }),
      sessions: sessionViews(sessions),
      silences: parts.silences,
      habits: parts.habits,
      requests: noticeAnswers(store, services.notice),
      impact: (request) => impacts.ofRequest(request),
      submit: async (person, wanted) => {
        const findPrincipal = (name: string): Principal | undefined =>
          directory.principal(name, now());
        const submission = await submitRequest(person, wanted, { ...services, findPrincipal });
        return noticeSubmission(submission, services.notice);
      },
      audit: async (record) => {
        await audit.synced(audit.append(record));
      },
      now: Date.now,
    });
  } catch (cause) {
    throw cannotListen({ host, port, setting: "admin.port" }, cause);
  }
}

/** One database of each upstream stands for its server. */
function readinessChecks({ services, routes, listener }: AdminParts): Checks {
  const checks = new Map<string, () => Promise<void>>([
    [
      "listening",
      () =>
        listener.isListening ? Promise.resolve() : Promise.reject(new Error("not listening yet")),
    ],
    [
      "audit",
      () =>
        services.audit.failure === undefined
          ? Promise.resolve()
          : Promise.reject(services.audit.failure),
    ],
  ]);
  for (const route of routes.values()) {
    checks.set(`upstream ${route.upstream}`, () => probe(route));
  }
  return checks;
}

async function probe(route: Route): Promise<void> {
  const link = await route.connect("twokey", new Map(), AbortSignal.timeout(PROBE_TIMEOUT_MS));
  link.connection.destroy();
}

async function probeUpstreams(routes: ReadonlyMap<string, Route>): Promise<void> {
  const one = new Map([...routes.values()].map((route) => [route.upstream, route]));
  // Each tells the metric how it went; that it went wrong is news to nobody else.
  await Promise.allSettled([...one.values()].map(probe));
}

async function expireRequests(parts: {
  readonly store: RequestStore;
  readonly audit: AuditFile;
  readonly metrics: Metrics;
}): Promise<void> {
  for (const { id } of await parts.store.expire(formatInstant(new Date()))) {
    parts.audit.append({ event: "request.closed", request: id, outcome: "expired" });
    parts.metrics.request("expired");
  }
}

async function listen(
  listener: FrontendListener,
  { listen: { host, port, unixSocketDirectory } }: Config,
): Promise<number> {
  try {
    await listener.listen({ host, port });
  } catch (cause) {
    throw cannotListen({ host, port, setting: "listen.port" }, cause);
  }
  const actual = listener.port ?? port;
  if (unixSocketDirectory !== undefined) {
    await listener.listenUnix(path.join(unixSocketDirectory, `.s.PGSQL.${actual}`));
  }
  return actual;
}

function cannotListen(
  { host, port, setting }: { host: string; port: number; setting: string },
  cause: unknown,
): TwokeyError {
  const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
  const why = isTaken
    ? "another program has it"
    : cause instanceof Error
      ? cause.message
      : String(cause);
  return new TwokeyError(SQLSTATE.ioError, `can't listen on ${host}:${port}: ${why}`, {
    hint: `choose another port with ${setting}, or stop what uses this one`,
    cause,
  });
}
