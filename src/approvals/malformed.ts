import { SQLSTATE, TwokeyError, type ErrorDetails } from "../base/errors.ts";

/** What somebody handed in as a document, signature, key or registry isn't one; the message says where it goes wrong. */
export class Malformed extends TwokeyError {
  constructor(message: string, details?: ErrorDetails) {
    super(SQLSTATE.insufficientPrivilege, message, details);
  }
}
