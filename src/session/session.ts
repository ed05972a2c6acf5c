import { randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { FrontendChannel } from "../auth/authentication.ts";
import type { LoggedIn } from "../auth/login.ts";
import { ConnectionRefused, LimitReached, SQLSTATE } from "../base/errors.ts";
import type { SessionIdentity } from "../habits/session-habits.ts";
import { parseIpAddress } from "../policy/network.ts";
import type { UpstreamLink } from "../upstream/connect.ts";
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeNegotiateProtocolVersion,
  encodeParameterStatus,
  encodeReadyForQuery,
} from "../wire/encode-backend.ts";
import { NEWEST_MINOR_VERSION } from "../wire/startup-packet.ts";
import { authenticate } from "./authenticate.ts";
import type { CancelKey } from "./cancel-keys.ts";
import { Gate } from "./gate.ts";
import { BackupDuty } from "./backup-duty.ts";
import { Holds } from "./holds.ts";
import type { Opening } from "./open-frontend.ts";
import { Relay, type Ending } from "./relay.ts";
import type { Route, SessionServices } from "./services.ts";
import { RecentStatements } from "./recent-statements.ts";
import { SecondPerson } from "./second-person.ts";
import { SessionFunctions } from "./session-functions.ts";
import { SessionRecorder } from "./session-recorder.ts";
import { SessionSql } from "./session-sql.ts";
import type { Situation } from "./situation.ts";
import { checkOwnPlace, greetingNotice, whereabouts, withOwnSettings } from "./whereabouts.ts";
import { checkReading } from "./check-reading.ts";
import { applicationNameIn, asSetStatement, startupSettings } from "./startup-settings.ts";

type Opened = Extract<Opening, { kind: "session" }>;

/**
 * One session from its StartupMessage to its end: who is it, where to, what may its settings be, then the relay.
 *
 * @throws TwokeyError for whatever keeps it from starting; how a started one ends is its own affair
 */
export async function runSession(
  opened: Opened,
  services: SessionServices,
  deadline: AbortSignal,
): Promise<void> {
  const { socket, tls, startup } = opened;
  const user = startup.parameters.get("user") ?? "";
  negotiateProtocol(opened);
  const address = socket.remoteAddress ?? "local";
  const authentication = await services.authentication(user, {
    channel: channelOf(tls),
    address,
    database: startup.parameters.get("database") || user, // eslint-disable-line @typescript-eslint/prefer-nullish-coalescing -- empty counts as absent
  });
  const { failedLoginDelayMs: failureDelayMs } = services.limits();
  const who = await authenticate(socket, authentication, {
    user,
    failureDelayMs,
    signal: deadline,
  });

  const leave = enter(who, services);
  try {
    await openSession(opened, who, { services, deadline });
  } finally {
    leave();
  }
}

async function openSession(
  opened: Opened,
  who: LoggedIn,
  { services, deadline }: { readonly services: SessionServices; readonly deadline: AbortSignal },
): Promise<void> {
  const { tls } = opened;
  refuseReplication(opened);
  const route = findRoute(opened, services);
  const situation = situationOf(opened, who, route);
  checkOwnPlace(situation);
  const recorder = recorderOf(situation, services);
  const functions =
    route.functions === undefined ? undefined : new SessionFunctions(route.functions);
  const sql = new SessionSql(functions);
  const { policy, asOfNow, desk, metrics, now } = services;
  const { classifier } = route;
  const holds = new Holds();
  const recent = new RecentStatements();
  const secondPerson = new SecondPerson({
    situation,
    desk,
    holds,
    recorder,
    metrics,
    recent: () => recent.list(services.recorded.literals),
    now,
  });
  const backupDuty = new BackupDuty({ situation, desk: services.backups, holds, now });
  const gate = new Gate({
    situation,
    policy,
    asOfNow,
    classifier,
    sql,
    functions,
    desk,
    secondPerson,
    backupDuty,
    recorder,
    habits: services.habits(identityOf(situation)),
    recent,
    metrics,
    now,
  });

  const settings = await judgedSettings(opened, gate);
  const principal = asOfNow(who.principal, situation.place);
  const upstreamSettings = withOwnSettings(settings, { ...situation, principal }, route);
  const link = await route.connect({ ...who, principal }, upstreamSettings, deadline);
  try {
    checkReading(link.parameters, sql);
    if (route.clearance !== undefined) gate.clearBy(route.clearance(link));
    recorder.started({
      authentication: who.method,
      backendPid: link.key?.processId,
      tls: tls?.getProtocol() ?? undefined,
      isPerson: who.principal.kind === "person",
    });
  } catch (error) {
    link.connection.destroy();
    throw error;
  }
  try {
    await relay({ opened, link, gate, sql, holds, recorder, situation, route, services });
  } finally {
    functions?.settled();
  }
}

interface Started {
  readonly opened: Opened;
  readonly link: UpstreamLink;
  readonly gate: Gate;
  readonly sql: SessionSql;
  readonly holds: Holds;
  readonly recorder: SessionRecorder;
  readonly situation: Situation;
  readonly route: Route;
  readonly services: SessionServices;
}

async function relay(started: Started): Promise<void> {
  const { opened, link, gate, sql, holds, recorder, situation, route, services } = started;
  const { socket: frontend } = opened;
  const { metrics, sessions, cancelKeys } = services;
  const { greets } = started.route;
  const { maxMessageBytes, maxNamedObjects, idleInTransactionMs } = services.limits();
  const joined = new Relay({
    frontend,
    upstream: link.connection,
    gate,
    sql,
    holds,
    reminder: greets ? `Here ${whereabouts(situation)}.` : undefined,
    maxMessageBytes,
    maxNamedObjects,
    idleInTransactionMs,
    cancel: () => {
      route.cancel(link);
    },
    countBytes: (direction, bytes) => {
      metrics.bytes(direction, bytes);
    },
  });
  const session = { situation, startedAt: services.now(), relay: joined };
  const cancelKey = greet(started);
  sessions.add(session);
  metrics.sessionOpened(situation.place.environment);
  joined.start();
  const ending = await joined.ending;
  gate.close();
  metrics.sessionClosed(situation.place.environment);
  sessions.remove(session);
  if (cancelKey !== undefined) cancelKeys.revoke(cancelKey);
  const durationMs = services.now().getTime() - session.startedAt.getTime();
  recorder.ended(reasonOf(ending), durationMs);
  report(ending, started);
}

/** Everything between a successful authentication and the first statement (PostgreSQL docs, "Start-Up"). */
function greet(started: Started): CancelKey | undefined {
  const { opened, link, holds, route, situation, services } = started;
  const { socket, startup } = opened;
  const key =
    link.key === undefined
      ? undefined
      : services.cancelKeys.issue(link.key.processId, startup.minorVersion, () => {
          if (!holds.cancel()) route.cancel(link);
        });
  socket.write(
    Buffer.concat([
      encodeAuthenticationOk(),
      ...[...reported(started)].map(([name, value]) => encodeParameterStatus(name, value)),
      ...(key === undefined ? [] : [encodeBackendKeyData(key.processId, key.secret)]),
      ...link.notices,
      ...(route.greets ? [greetingNotice(situation)] : []),
      encodeReadyForQuery(link.transactionStatus),
    ]),
  );
  return key;
}

/** What the server reports; the frontend's own name for itself is what it gave. */
function reported({ link, situation, route }: Started): ReadonlyMap<string, string> {
  if (!route.showsPerson || !link.parameters.has("application_name")) return link.parameters;
  return new Map([...link.parameters, ["application_name", situation.client.applicationName]]);
}

function negotiateProtocol({ socket, startup }: Opened): void {
  const { minorVersion, protocolOptions } = startup;
  if (minorVersion <= NEWEST_MINOR_VERSION && protocolOptions.length === 0) return;
  const agreed = Math.min(minorVersion, NEWEST_MINOR_VERSION);
  socket.write(encodeNegotiateProtocolVersion(agreed, protocolOptions));
}

function channelOf(tls: TLSSocket | undefined): FrontendChannel {
  if (tls === undefined) return { kind: "plain" };
  const own = tls.getCertificate();
  // Without its bytes there is nothing that a channel could be bound to.
  if (own === null || !("raw" in own)) return { kind: "plain" };
  return {
    kind: "tls",
    ownCertificate: own.raw,
    verifiedPeer: tls.authorized ? tls.getPeerX509Certificate() : undefined,
  };
}

// What the server takes as false; everything else asks for replication, or is no boolean and refused as well.
const NO_REPLICATION = new Set(["false", "off", "no", "0", "f", "n", "of"]);

function refuseReplication({ startup }: Opened): void {
  const replication = startup.parameters.get("replication");
  if (replication === undefined || NO_REPLICATION.has(replication.toLowerCase())) return;
  throw new ConnectionRefused(
    SQLSTATE.insufficientPrivilege,
    "twokey: replication connections are refused",
    {
      hint: "A replication connection copies or changes a whole cluster; point it at the server itself.",
    },
  );
}

function enter({ principal }: LoggedIn, { sessions, limits }: SessionServices): () => void {
  const { maxSessionsPerPerson } = limits();
  const leave = sessions.enter(principal.name, maxSessionsPerPerson);
  if (leave !== undefined) return leave;
  throw new LimitReached(
    SQLSTATE.tooManyConnections,
    `too many connections for user "${principal.name}"`,
    { hint: `Close some of the ${maxSessionsPerPerson}, or raise limits.connections.per_person.` },
  );
}

function findRoute({ startup }: Opened, { route }: SessionServices): Route {
  const user = startup.parameters.get("user") ?? "";
  // An absent or empty name means the user's.
  const database = startup.parameters.get("database") || user; // eslint-disable-line @typescript-eslint/prefer-nullish-coalescing -- empty counts as absent
  const found = route(database);
  if (found !== undefined) return found;
  throw new ConnectionRefused(
    SQLSTATE.invalidCatalogName,
    `database "${database}" does not exist`,
    {
      hint: "Twokey's configuration does not name it under databases.",
    },
  );
}

function situationOf(
  { socket, tls, startup }: Opened,
  { principal, method }: LoggedIn,
  { place, neighbours, upstream, readOnlyRoles }: Route,
): Situation {
  const { remoteAddress } = socket;
  return {
    session: randomBytes(8).toString("hex"),
    principal,
    client: {
      address: remoteAddress === undefined ? undefined : parseIpAddress(remoteAddress),
      applicationName: applicationNameIn(startup.parameters),
      hasTls: tls !== undefined,
      method,
    },
    address: remoteAddress ?? "local",
    place,
    neighbours,
    upstream,
    readOnlyRoles,
  };
}

function identityOf({ session, principal, address, client, place }: Situation): SessionIdentity {
  return {
    session,
    person: principal.name,
    roles: principal.roles,
    address,
    applicationName: client.applicationName,
    environment: place.environment,
    database: place.database,
  };
}

function recorderOf(
  { session, principal, address, client, place }: Situation,
  { audit, recorded, notice }: SessionServices,
): SessionRecorder {
  const fields = {
    session,
    person: principal.name,
    roles: principal.roles,
    client: { address, application_name: client.applicationName },
    environment: place.environment,
    database: place.database,
  };
  return new SessionRecorder(audit, fields, { recorded, notice });
}

/**
 * The start-up parameters for the upstream: each has passed the rules that SET passes.
 *
 * @throws ConnectionRefused for one that has not
 */
async function judgedSettings(
  { startup }: Opened,
  gate: Gate,
): Promise<ReadonlyMap<string, string>> {
  const settings = new Map<string, string>();
  for (const setting of startupSettings(startup.parameters)) {
    const judged = await gate.read(Buffer.from(asSetStatement(setting)));
    if (
      "sqlstate" in judged ||
      judged.decision.action !== "allow" ||
      judged.countedAs !== "session"
    ) {
      throw new ConnectionRefused(
        SQLSTATE.insufficientPrivilege,
        `twokey: the setting "${setting.name}" is refused in a startup packet`,
        { hint: "Connect without it; what policy allows can be SET afterwards." },
      );
    }
    settings.set(setting.name, setting.value);
  }
  return settings;
}

function reasonOf(ending: Ending): string {
  switch (ending.kind) {
    case "terminated":
      return "terminated by the frontend";
    case "frontend_lost":
      return "the frontend left";
    case "upstream_lost":
      return "the upstream closed the connection";
    case "failed":
      return ending.error instanceof Error ? ending.error.message : "failed";
  }
}

function report(ending: Ending, { situation, services }: Started): void {
  const { session } = situation;
  switch (ending.kind) {
    case "terminated":
    case "frontend_lost":
      services.log.debug(
        { session, err: ending.kind === "frontend_lost" ? ending.error : undefined },
        reasonOf(ending),
      );
      return;
    case "upstream_lost":
    case "failed":
      services.log.warn({ session, err: ending.error }, "session ended early");
      return;
  }
}
