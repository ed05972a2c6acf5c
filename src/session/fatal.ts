import { SQLSTATE, TwokeyError } from "../base/errors.ts";
import { encodeErrorResponse } from "../wire/encode-backend.ts";

/**
 * The one place where an error becomes a frontend's last message. One that was not thrown on purpose is not shown:
 * its text may hold anything.
 */
export function encodeFatal(error: unknown): Buffer {
  if (error instanceof TwokeyError) {
    const { sqlstate, message, detail, hint } = error;
    return encodeErrorResponse({ severity: "FATAL", sqlstate, message, detail, hint });
  }
  return encodeErrorResponse({
    severity: "FATAL",
    sqlstate: SQLSTATE.internalError,
    message: "twokey: internal error, the session was closed",
    hint: "Twokey's own log has the details.",
  });
}
