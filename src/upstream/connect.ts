import { addAbortListener } from "node:events";
import { assertNever } from "../base/assert-never.ts";
import { ProtocolViolation, SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import type { ScramCredential } from "../auth/login.ts";
import type { Secret } from "../base/secret.ts";
import {
  decodeBackendKeyData,
  decodeNegotiateProtocolVersion,
  decodeReadyForQuery,
  type BackendKey,
} from "../wire/decode-backend.ts";
import { encodeStartupMessage } from "../wire/encode-frontend.ts";
import { BACKEND, type TransactionStatus } from "../wire/message-types.ts";
import type { UpstreamConnection } from "./connection.ts";
import { dial, type DialedConnection, type UpstreamAddress, type UpstreamTls } from "./dial.ts";
import { nameOf, type HostHealth } from "./host-health.ts";
import { logIn } from "./log-in.ts";
import { StartupMessages, UpstreamRefused } from "./startup-messages.ts";

type TargetSession = "any" | "primary" | "standby" | "read-write" | "read-only";

export interface UpstreamOptions {
  /** Tried in this order. */
  readonly hosts: readonly UpstreamAddress[];
  /** As libpq's `target_session_attrs`. */
  readonly targetSession: TargetSession | "prefer-standby";
  /** What is remembered of the hosts from one connection to the next. */
  readonly health?: HostHealth | undefined;
  readonly tls: UpstreamTls;
  readonly user: string;
  /** Called when a server asks for a password: anew for each connection, so that it can be rotated. */
  readonly password: () => Promise<Secret | ScramCredential>;
  readonly database: string;
  /** Further start-up parameters: `application_name`, settings. They can't stand in for the ones above. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Of protocol 3; the server may negotiate it down. */
  readonly minorVersion: number;
  /** For all of it, all hosts together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A session with the upstream that is ready for its first query. Nobody listens to the connection yet. */
export interface UpstreamLink {
  readonly connection: UpstreamConnection;
  readonly address: UpstreamAddress;
  readonly isEncrypted: boolean;
  readonly minorVersion: number;
  /** What ParameterStatus reported. */
  readonly parameters: ReadonlyMap<string, string>;
  /** `undefined` when the server gives none: such a session can't be cancelled. */
  readonly key: BackendKey | undefined;
  /** NoticeResponse messages, whole, for the frontend. */
  readonly notices: readonly Buffer[];
  readonly transactionStatus: TransactionStatus;
}

/**
 * Opens a session with the first host that gives one.
 *
 * @throws UpstreamRefused when a server says no in its own words; UpstreamUnavailable (08001) when none can be
 *   reached, or one is not what it should be. Neither says anything of the credential.
 */
export async function connectUpstream(options: UpstreamOptions): Promise<UpstreamLink> {
  const { health } = options;
  const endsAt = Date.now() + options.timeoutMs;
  const failures: (UpstreamRefused | UpstreamUnavailable)[] = [];
  const attempts = attemptsFor(options);
  for (const [i, { address, target }] of attempts.entries()) {
    // An equal share of what is left: a host that swallows packets doesn't use up the others' time.
    const timeoutMs = Math.max(1, Math.ceil((endsAt - Date.now()) / (attempts.length - i)));
    try {
      const link = await connectHost(address, { ...options, target }, timeoutMs);
      health?.reached(address);
      return link;
    } catch (error) {
      if (!(error instanceof UpstreamRefused || error instanceof UpstreamUnavailable)) throw error;
      failures.push(error);
      if (error instanceof UpstreamRefused && !isWorthAnotherHost(error)) throw error;
      if (options.signal?.aborted === true) break;
      health?.failed(address, performance.now());
    }
  }
  const [first] = failures;
  if (first === undefined) throw unavailable("no upstream host is configured");
  if (failures.length === 1) throw first;
  const reasons = [...new Set(failures.map(({ message }) => message))].join("; ");
  throw unavailable(reasons, new AggregateError(failures));
}

/** Each host once; to prefer a standby, each again whatever it is. */
function attemptsFor({
  hosts,
  targetSession,
  health,
}: UpstreamOptions): { readonly address: UpstreamAddress; readonly target: TargetSession }[] {
  const ordered = health?.order(hosts, performance.now()) ?? hosts;
  const targets: readonly TargetSession[] =
    targetSession === "prefer-standby" ? ["standby", "any"] : [targetSession];
  return targets.flatMap((target) => ordered.map((address) => ({ address, target })));
}

/** Another host may have room or be up; it won't know another password or database. */
function isWorthAnotherHost({ sqlstate }: UpstreamRefused): boolean {
  return sqlstate === SQLSTATE.tooManyConnections || sqlstate === SQLSTATE.cannotConnectNow;
}

async function connectHost(
  address: UpstreamAddress,
  options: UpstreamOptions & { readonly target: TargetSession },
  timeoutMs: number,
): Promise<UpstreamLink> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const end = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  try {
    const dialed = await dial(address, options.tls, end);
    const onEnd = addAbortListener(end, () => {
      dialed.connection.destroy();
    });
    try {
      return { address, ...(await startSession(dialed, options)) };
    } catch (error) {
      dialed.connection.destroy();
      throw error;
    } finally {
      // Once it stands, the session outlives the deadline of its making.
      onEnd[Symbol.dispose]();
    }
  } catch (cause) {
    if (cause instanceof UpstreamRefused) throw cause;
    const reason = deadline.aborted ? "no answer in time" : reasonOf(cause);
    throw unavailable(`could not connect to upstream ${nameOf(address)}: ${reason}`, cause);
  }
}

async function startSession(
  { connection, certificate }: DialedConnection,
  options: UpstreamOptions & { readonly target: TargetSession },
): Promise<Omit<UpstreamLink, "address">> {
  const { user, database, password } = options;
  const messages = new StartupMessages(connection);
  const parameters = new Map([...options.parameters, ["user", user], ["database", database]]);
  connection.write(encodeStartupMessage(options.minorVersion, parameters));

  let message = await messages.next();
  let { minorVersion } = options;
  if (message.type === BACKEND.NegotiateProtocolVersion) {
    minorVersion = negotiated(message.body, minorVersion);
    message = await messages.next();
  }
  await logIn(message, {
    user,
    password,
    certificate,
    messages,
    send: (bytes) => connection.write(bytes),
  });

  let key: BackendKey | undefined;
  message = await messages.next();
  if (message.type === BACKEND.BackendKeyData) {
    key = decodeBackendKeyData(message.body);
    message = await messages.next();
  }
  if (message.type !== BACKEND.ReadyForQuery) {
    throw new ProtocolViolation("unexpected message from the server before ReadyForQuery");
  }
  const transactionStatus = decodeReadyForQuery(message.body);
  checkSession(messages.parameters, options.target);
  messages.handOver();
  return {
    connection,
    isEncrypted: certificate !== undefined,
    minorVersion,
    parameters: messages.parameters,
    key,
    notices: messages.notices,
    transactionStatus,
  };
}

function negotiated(body: Buffer, askedFor: number): number {
  const { minorVersion } = decodeNegotiateProtocolVersion(body);
  if (minorVersion > askedFor) {
    throw new ProtocolViolation("the server negotiated a newer protocol than was asked for");
  }
  return minorVersion;
}

/** By what servers report since PostgreSQL 14; an older one, which doesn't tell, is good for `any` only. */
function checkSession(parameters: ReadonlyMap<string, string>, target: TargetSession): void {
  if (target === "any") return;
  const isStandby = parameters.get("in_hot_standby");
  const isReadOnly = parameters.get("default_transaction_read_only");
  if (isStandby === undefined || isReadOnly === undefined) {
    throw new Error(`the server does not tell whether it is ${target}`);
  }
  const isPrimary = isStandby === "off";
  const isWritable = isPrimary && isReadOnly === "off";
  if (!isTarget(target, { isPrimary, isWritable })) throw new Error(`the session is not ${target}`);
}

function isTarget(
  target: Exclude<TargetSession, "any">,
  { isPrimary, isWritable }: { readonly isPrimary: boolean; readonly isWritable: boolean },
): boolean {
  switch (target) {
    case "primary":
      return isPrimary;
    case "standby":
      return !isPrimary;
    case "read-write":
      return isWritable;
    case "read-only":
      return !isWritable;
    default:
      return assertNever(target);
  }
}

/** Of several addresses that a name has, Node gives the errors only, without a message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(", ");
  return error instanceof Error ? error.message : String(error);
}

function unavailable(message: string, cause?: unknown): UpstreamUnavailable {
  return new UpstreamUnavailable(SQLSTATE.cannotConnect, message, { cause });
}
