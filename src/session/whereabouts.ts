import { SQLSTATE } from "../base/errors.ts";
import { isAtOwnPlace } from "../policy/named-place.ts";
import { onlyReads } from "../policy/principal.ts";
import { encodeNoticeResponse } from "../wire/encode-backend.ts";
import { LoginFailed } from "./authenticate.ts";
import type { Route } from "./services.ts";
import type { Situation } from "./situation.ts";

/** So that nobody takes it for the database on their laptop. */
export function whereabouts({ principal, place }: Situation): string {
  return `you are on ${place.environment.toUpperCase()} as ${principal.name}`;
}

/** @throws LoginFailed for somebody who is tied to other places, or comes in another way */
export function checkOwnPlace(situation: Situation): void {
  const { principal, client, place } = situation;
  if (isAtOwnPlace(principal.places ?? [], client, place.environment)) return;
  throw new LoginFailed(principal.name, "place", {
    sqlstate: SQLSTATE.invalidAuthorization,
    message: `twokey: "${principal.name}" may not log in from here, or not like this`,
    detail: `Here ${whereabouts(situation)}, by ${client.method} from ${situation.address}.`,
    hint: "Come from where, and by the method, that only_from names for you in twokey's configuration.",
  });
}

export function greetingNotice(situation: Situation): Buffer {
  return encodeNoticeResponse({
    severity: "NOTICE",
    sqlstate: SQLSTATE.successfulCompletion,
    message: `twokey: ${whereabouts(situation)}`,
  });
}

/** As long as the server keeps it (NAMEDATALEN - 1). */
const MAX_NAME_BYTES = 63;
const MAX_PERSON_CHARACTERS = 30;

/**
 * The settings that the server is given besides the frontend's own: who it is, for pg_stat_activity and its log, and
 * that they only read.
 */
export function withOwnSettings(
  settings: ReadonlyMap<string, string>,
  { session, principal, client, readOnlyRoles }: Situation,
  { showsPerson }: Route,
): ReadonlyMap<string, string> {
  const own = new Map(settings);
  if (showsPerson) {
    const person = principal.name.slice(0, MAX_PERSON_CHARACTERS);
    const name = `${person} twokey:${session} ${client.applicationName}`.trimEnd();
    // The server keeps ASCII only; cut in the middle of a character, the rest would be one more `?`.
    own.set("application_name", name.replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_NAME_BYTES));
  }
  if (onlyReads(principal, readOnlyRoles)) own.set("default_transaction_read_only", "on");
  return own;
}
