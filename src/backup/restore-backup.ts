import type { BackupsConfig } from "../config/backups.ts";
import { identifier } from "../provision/sql-text.ts";
import { BackupFailed } from "./backup-failed.ts";
import type { BackupStore } from "./backup-store.ts";
import type { KnownBackup } from "./catalogue.ts";
import { loadDump } from "./load-dump.ts";
import { completeDatabase, createDatabase } from "./new-database.ts";
import { compareNotes, narrowNote, takeNote, type Comparison } from "./note.ts";
import { readNote } from "./read-backup.ts";
import { openBeside, type ServerLogin } from "./server-login.ts";

export interface RestoreParts {
  readonly store: BackupStore;
  readonly backups: Pick<BackupsConfig, "encryption" | "programsDirectory">;
  /** Somebody who may make databases, logged in to any of the server. */
  readonly server: ServerLogin;
  /** Name of the new database. */
  readonly into: string;
  /** `SCHEMA.TABLE`: its rows only, in the whole schema without indexes and constraints. */
  readonly table?: string | undefined;
  readonly signal: AbortSignal;
  readonly onStep: (step: "created" | "restored" | "compared") => void;
  readonly onProgress: (bytesRead: number) => void;
}

export interface Restored {
  readonly comparison: Comparison;
}

/**
 * Restores a backup beside the original, as a database that is not there yet, and compares it with what was noted in the
 * dump's snapshot. What is not finished is dropped again.
 *
 * @throws BackupFailed, BackupDamaged
 */
export async function restoreBackup(
  { manifest }: KnownBackup,
  parts: RestoreParts,
): Promise<Restored> {
  const { store, backups, server, into, signal, onStep } = parts;
  const { encryption, programsDirectory } = backups;
  const noted = await readNote(store, manifest, { encryption, signal });
  const table = parts.table === undefined ? undefined : parseTable(parts.table);
  const only =
    table !== undefined
      ? [table.qualified]
      : manifest.scope === "database"
        ? undefined
        : manifest.scope;
  const wanted = only === undefined ? noted : narrowNote(noted, only);
  if (only !== undefined && wanted.tables.length !== only.length) {
    throw new BackupFailed(`${manifest.backup} holds no rows of ${only.join(", ")}`, {
      hint: "say the table as SCHEMA.TABLE; rows of a partitioned table are in its partitions",
    });
  }
  await createDatabase(server.session, into, { like: noted.database, keepsLocale: true });
  onStep("created");
  try {
    const login = await openBeside(server, into);
    try {
      const load = {
        manifest,
        encryption,
        programsDirectory,
        into: login,
        keepsTablespaces: true,
        signal,
        onBytes: parts.onProgress,
      };
      if (only === undefined) {
        await loadDump(store, { ...load, part: { kind: "all" } });
      } else {
        await loadDump(store, { ...load, part: { kind: "schema" } });
        await loadDump(store, { ...load, part: { kind: "rows", of: table ?? "all" } });
      }
      onStep("restored");
      const restored = await takeNote(login.session, {
        contents: manifest.contents,
        serverMajor: login.major,
        only,
      });
      await completeDatabase(server.session, into, noted.database);
      onStep("compared");
      return { comparison: compareNotes(wanted, restored) };
    } finally {
      login.session.close();
    }
  } catch (error) {
    await server.session
      .run(`DROP DATABASE IF EXISTS ${identifier(into)} WITH (FORCE)`)
      .catch(() => undefined); // the first failure tells more
    throw error;
  }
}

/** As SQL has it: what is not quoted is folded to lower case. */
function parseTable(text: string): {
  readonly schema: string;
  readonly name: string;
  readonly qualified: string;
} {
  const part = String.raw`("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
  const [, schema, name] = new RegExp(`^${part}\\.${part}$`, "u").exec(text) ?? [];
  if (schema === undefined || name === undefined) {
    throw new BackupFailed(`"${text}" is no SCHEMA.TABLE`);
  }
  const [s, n] = [plain(schema), plain(name)];
  return { schema: s, name: n, qualified: `${quotedWhereNeeded(s)}.${quotedWhereNeeded(n)}` };
}

function plain(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase();
}

/** As `quote_ident` does for names that are no key words, which a note is written with. */
function quotedWhereNeeded(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : identifier(name);
}
