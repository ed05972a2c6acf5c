import { ConnectionRefused, SQLSTATE } from "../base/errors.ts";
import type { SessionSql } from "./session-sql.ts";
import { textEncoding } from "./text-encoding.ts";

// The grammar's own: what a later server reads differently, or anew, we would not know.
const NEWEST_SERVER_MAJOR = 18;

/**
 * Checks, before the first statement is judged, that the server reads text in a way that we can follow.
 *
 * @param parameters - what ParameterStatus reported
 * @throws ConnectionRefused when it does not
 */
export function checkReading(parameters: ReadonlyMap<string, string>, sql: SessionSql): void {
  const reported = (name: string): string => parameters.get(name) ?? "";
  const clientEncoding = reported("client_encoding");
  if (!sql.useEncoding(clientEncoding)) {
    throw unreadable(`statements in the client encoding "${clientEncoding}" can't be read safely`, {
      hint: "Set client_encoding to UTF8.",
    });
  }
  // Not every server of the Redshift kind tells; where it is told, it has to be one that servers have.
  const serverEncoding = parameters.get("server_encoding");
  if (serverEncoding !== undefined && textEncoding(serverEncoding) === undefined) {
    throw unreadable(`the server encoding "${serverEncoding}" is not known`);
  }
  if (reported("standard_conforming_strings") !== "on") {
    throw unreadable(
      "the server has standard_conforming_strings off, so statements can't be read as it reads them",
      {
        hint: "Turn it on for the role and the database: ALTER ROLE … RESET standard_conforming_strings.",
      },
    );
  }
  const version = reported("server_version");
  const major = Number(/^\d+/.exec(version)?.[0] ?? NaN);
  if (!(major <= NEWEST_SERVER_MAJOR)) {
    throw unreadable(
      `the server's version "${version}" is not known, so statements may not be read as it reads them`,
      {
        hint: `This release of twokey reads as PostgreSQL ${NEWEST_SERVER_MAJOR} and older do; a newer one may read more.`,
      },
    );
  }
}

function unreadable(what: string, { hint }: { readonly hint?: string } = {}): ConnectionRefused {
  return new ConnectionRefused(SQLSTATE.featureNotSupported, `twokey: ${what}`, { hint });
}
