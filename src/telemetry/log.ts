import { pino, type DestinationStream, type Logger } from "pino";
import { TwokeyError } from "../base/errors.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** The running log: what a service says about itself. Not the audit log, as it is never synced to disk. */
export type Log = Logger;

/** Members that are never printed, at the top of a line or one level down, whoever logs them. */
const SECRET_MEMBERS = [
  "password",
  "secret",
  "token",
  "signature",
  "authorization",
  "cookie",
  "verifier",
  "key",
];

/** Opens the running log: one JSON object a line, on standard output unless told otherwise. */
export function openLog(
  options: { readonly level: LogLevel },
  destination: DestinationStream = pino.destination({ fd: 1, sync: true }),
): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      redact: {
        paths: SECRET_MEMBERS.flatMap((name) => [name, `*.${name}`]),
        censor: "[redacted]",
      },
    },
    destination,
  );
}

interface ErrorDescription {
  readonly type: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly sqlstate?: string;
  readonly code?: string;
  readonly cause?: ErrorDescription;
}

/**
 * Only chosen members: a driver's error may carry values of rows in its others (PostgreSQL puts them into DETAIL).
 * Causes are followed a few steps, since a chain may be a circle.
 */
function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) {
    return { type: typeof error, message: "not an Error was thrown", stack: undefined };
  }
  const code: unknown = "code" in error ? error.code : undefined;
  return {
    type: error.name,
    message: error.message,
    stack: error.stack,
    ...(error instanceof TwokeyError && { sqlstate: error.sqlstate }),
    ...(typeof code === "string" && { code }),
    ...(error.cause !== undefined && depth < 4 && { cause: describeError(error.cause, depth + 1) }),
  };
}
