import { SQLSTATE, TwokeyError, type ErrorDetails } from "../base/errors.ts";

/** A backup could not be taken, read, tested or restored. Says which step, and never a credential. */
export class BackupFailed extends TwokeyError {
  constructor(message: string, details?: ErrorDetails) {
    super(SQLSTATE.ioError, message, details);
  }
}

/** What is stored is not what was stored: a digest, a signature or an authentication tag doesn't hold. */
export class BackupDamaged extends BackupFailed {}

/** Another run holds the database's lock, here or on another replica. */
export class BackupUnderWay extends BackupFailed {}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
