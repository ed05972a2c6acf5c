import type { Brand } from "./brand.ts";

/** Five characters as in PostgreSQL docs, "PostgreSQL Error Codes". */
export type Sqlstate = Brand<string, "Sqlstate">;

/** @throws Error unless `text` is five upper-case letters or digits */
export function parseSqlstate(text: string): Sqlstate {
  if (!/^[0-9A-Z]{5}$/.test(text)) throw new Error("not a SQLSTATE");
  return text as Sqlstate;
}

/** The SQLSTATEs that Twokey itself gives. */
export const SQLSTATE = {
  successfulCompletion: parseSqlstate("00000"),
  insufficientPrivilege: parseSqlstate("42501"),
  ioError: parseSqlstate("58030"),
  protocolViolation: parseSqlstate("08P01"),
  cannotConnect: parseSqlstate("08001"),
  connectionFailure: parseSqlstate("08006"),
  invalidPassword: parseSqlstate("28P01"),
  invalidAuthorization: parseSqlstate("28000"),
  invalidCatalogName: parseSqlstate("3D000"),
  tooManyConnections: parseSqlstate("53300"),
  programLimitExceeded: parseSqlstate("54000"),
  statementTooComplex: parseSqlstate("54001"),
  featureNotSupported: parseSqlstate("0A000"),
  syntaxError: parseSqlstate("42601"),
  characterNotInRepertoire: parseSqlstate("22021"),
  adminShutdown: parseSqlstate("57P01"),
  cannotConnectNow: parseSqlstate("57P03"),
  queryCanceled: parseSqlstate("57014"),
  invalidSqlStatementName: parseSqlstate("26000"),
  invalidCursorName: parseSqlstate("34000"),
  internalError: parseSqlstate("XX000"),
} as const satisfies Record<string, Sqlstate>;

export interface ErrorDetails {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/**
 * Everything thrown on purpose. The message is as PostgreSQL writes them: lower case, no full stop; the way
 * out stands in `hint`. Neither holds a secret or a bound value.
 */
export class TwokeyError extends Error {
  readonly sqlstate: Sqlstate;
  readonly detail: string | undefined;
  readonly hint: string | undefined;

  constructor(sqlstate: Sqlstate, message: string, { detail, hint, cause }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.sqlstate = sqlstate;
    this.detail = detail;
    this.hint = hint;
  }
}

/** The peer broke the wire protocol; the connection's stream can't be trusted any more. */
export class ProtocolViolation extends TwokeyError {
  constructor(message: string, details?: ErrorDetails) {
    super(SQLSTATE.protocolViolation, message, details);
  }
}

/** The audit log can't take the record, so what it would have recorded does not happen. */
export class AuditUnavailable extends TwokeyError {
  constructor(message: string, details?: ErrorDetails) {
    super(SQLSTATE.ioError, message, details);
  }
}

/** The frontend has not proved who it is. One message for every reason, so that none can be told apart. */
export class AuthenticationFailed extends TwokeyError {
  constructor(message: string, details?: ErrorDetails) {
    super(SQLSTATE.invalidPassword, message, details);
  }
}

/** The frontend may not connect like this at all: TLS missing, database unknown to it, replication. */
export class ConnectionRefused extends TwokeyError {}

/** The upstream can't be reached (08001) or was lost (08006). */
export class UpstreamUnavailable extends TwokeyError {}

/** A configured limit: connections (53300), size (54000) or depth of a statement (54001). */
export class LimitReached extends TwokeyError {}

export class Unsupported extends TwokeyError {
  constructor(message: string, details?: ErrorDetails) {
    super(SQLSTATE.featureNotSupported, message, details);
  }
}

export class ShuttingDown extends TwokeyError {
  constructor(message: string, details?: ErrorDetails) {
    super(SQLSTATE.adminShutdown, message, details);
  }
}
