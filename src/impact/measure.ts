import { TwokeyError } from "../base/errors.ts";
import type { ServerSession } from "../provision/server-session.ts";
import type { Classification } from "../sql/classification.ts";
import type { Impact, NewestBackup, StatementImpact } from "./impact.ts";
import { measureStatement } from "./measure-statement.ts";
import {
  clientsQuery,
  clientsRow,
  replicasQuery,
  replicasRow,
  serverQuery,
  serverRow,
} from "./server-facts.ts";

export interface MeasureOptions {
  /**
   * Opens a read-only session with short time limits: as Twokey itself, who sees the whole catalogue; or as the
   * requester, in whose name names are found and plans made, so that whatever a plan may run has no more rights than
   * they have.
   */
  readonly open: (who: "twokey" | "requester") => Promise<ServerSession>;
  readonly backup: () => Promise<NewestBackup>;
  readonly now: Date;
}

/** A list is measured so far; the rest is said to be unknown. */
const MAX_STATEMENTS = 20;

/** Never throws: what can't be measured is named in what comes out. */
export async function measureImpact(
  statements: readonly Classification[],
  { open, backup, now }: MeasureOptions,
): Promise<Impact> {
  const unknown: Impact["unknown"][number][] = [];
  const attempt = async <T>(what: string, otherwise: T, measure: () => Promise<T>): Promise<T> => {
    try {
      return await measure();
    } catch (error) {
      unknown.push({ what, because: reasonOf(error) });
      return otherwise;
    }
  };
  const known = await attempt<NewestBackup>(
    "the newest backup",
    { state: "unknown", because: "it could not be found out" },
    backup,
  );
  const own = await attempt("the server", undefined, () => open("twokey"));
  const theirs = await attempt("what the requester sees", undefined, () => open("requester"));
  try {
    const measured: StatementImpact[] = [];
    if (own !== undefined && theirs !== undefined) {
      for (const [index, classification] of statements.slice(0, MAX_STATEMENTS).entries()) {
        measured.push(await measureStatement(index, classification, { own, theirs, attempt }));
      }
    }
    if (statements.length > MAX_STATEMENTS) {
      const what = `statements from the ${MAX_STATEMENTS + 1}st on`;
      unknown.push({ what, because: "there are too many to measure" });
    }
    if (own === undefined) return { ...NOTHING, ...at(now), backup: known, unknown };
    return {
      ...at(now),
      server: await attempt("the server", null, async () => {
        const [server] = await own.rows(serverQuery, serverRow);
        return server ?? null;
      }),
      statements: measured,
      clients: await attempt<Impact["clients"]>("connected clients", [], () =>
        own.rows(clientsQuery(databasesOf(statements)), clientsRow),
      ),
      replicas: await attempt<Impact["replicas"]>("replicas", [], () =>
        own.rows(replicasQuery, replicasRow),
      ),
      backup: known,
      unknown,
    };
  } finally {
    own?.close();
    theirs?.close();
  }
}

const NOTHING = { server: null, statements: [], clients: [], replicas: [] };

function at(now: Date): Pick<Impact, "measured_at"> {
  return { measured_at: `${now.toISOString().slice(0, 19)}Z` };
}

function databasesOf(statements: readonly Classification[]): readonly string[] {
  return statements.flatMap((classification) =>
    classification.kind === "unparsed"
      ? []
      : classification.statements
          .flatMap(({ objects }) => objects)
          .filter(({ kind }) => kind === "database")
          .map(({ name }) => name),
  );
}

/** Only what was worded for others: it is shown, signed and kept. */
function reasonOf(error: unknown): string {
  return error instanceof TwokeyError ? error.message : "the server's answer could not be read";
}
