import { gzip } from "node:zlib";
import { promisify } from "node:util";
import { z } from "zod";
import type { KeyObject } from "node:crypto";
import type { BackupsConfig, DatabaseBackup } from "../config/backups.ts";
import type { Upstream } from "../config/config.ts";
import { literal } from "../provision/sql-text.ts";
import { BackupFailed, BackupUnderWay, reasonOf } from "./backup-failed.ts";
import type { BackupId } from "./backup-id.ts";
import type { BackupStore } from "./backup-store.ts";
import { encrypted, encryptStep } from "./encryption.ts";
import type { Manifest } from "./manifest.ts";
import { measured } from "./measured.ts";
import { TABLES } from "./note-sql.ts";
import { takeNote } from "./note.ts";
import { Pipeline, type Step } from "./pipeline.ts";
import { findProgram, whereIs, type Program } from "./programs.ts";
import { backupCredential, openLogin, withLibpq, type ServerLogin } from "./server-login.ts";
import { keyId, signDocument } from "./signed-document.ts";

const compress = promisify(gzip);

export interface TakeBackup {
  readonly id: BackupId;
  readonly backup: DatabaseBackup;
  readonly backups: Pick<BackupsConfig, "encryption" | "programsDirectory">;
  readonly upstream: Upstream;
  readonly serverDatabase: string;
  /** `database`, or tables by their names, which may lack a schema. */
  readonly scope: "database" | readonly TableName[];
}

export interface TableName {
  readonly schema: string | undefined;
  readonly name: string;
}

export interface TakeParts {
  readonly store: BackupStore;
  readonly signingKey: KeyObject;
  readonly signal: AbortSignal;
  readonly now: () => Date;
  readonly onProgress: (progress: Progress) => void;
  /** Asked once the lock is held: another replica may have been quicker. */
  readonly isStillWanted?: (() => Promise<boolean>) | undefined;
}

export interface Progress {
  /** Bytes that are in the store. */
  readonly storedBytes: number;
  readonly tablesNoted: number;
  readonly tables: number;
}

/**
 * Dumps a database into a store by pg_dump, streaming, and notes of the very snapshot that is dumped what a restore has
 * to have. The manifest is written last: before it, there is no backup.
 *
 * @returns `undefined` when it was no longer wanted
 * @throws BackupUnderWay; BackupFailed and whatever the server says
 */
export async function takeBackup(
  what: TakeBackup,
  parts: TakeParts,
): Promise<Manifest | undefined> {
  const { upstream, serverDatabase, backup } = what;
  const login = await openLogin(
    { upstream, database: serverDatabase },
    backupCredential(backup, upstream),
  );
  try {
    await takeLock(login);
    if (parts.isStillWanted !== undefined && !(await parts.isStillWanted())) return undefined;
    return await dump(what, login, parts);
  } finally {
    login.session.close(); // and with it the lock
  }
}

/** Of the session, on the server that is dumped: all replicas meet there, and whoever dies lets go of it. */
async function takeLock({ session, database }: ServerLogin): Promise<void> {
  const [got] = await session.rows(
    "SELECT pg_try_advisory_lock(hashtextextended('twokey backup of ' || current_database(), 0)) AS got",
    z.object({ got: z.boolean() }),
  );
  if (got?.got === true) return;
  throw new BackupUnderWay(`a backup of ${database} is under way already`, {
    hint: "wait for it to end; `twokey backup list` shows it then",
  });
}

async function dump(
  what: TakeBackup,
  login: ServerLogin,
  { store, signingKey, signal, now, onProgress }: TakeParts,
): Promise<Manifest> {
  const { id, backup, backups } = what;
  const { session } = login;
  const program = await findProgram("pg_dump", {
    directory: backups.programsDirectory,
    serverMajor: login.major,
  });
  const folder = `${backup.database}/${id}`;
  const written: string[] = [];
  const progress = { storedBytes: 0, tablesNoted: 0, tables: 0 };
  const put = async (
    name: string,
    content: AsyncIterable<Uint8Array>,
    { isLimited }: { readonly isLimited: boolean },
  ): Promise<Manifest["objects"][number]> => {
    const passed = measured(content, {
      bytesPerSecond: isLimited ? backup.bytesPerSecond : undefined,
      onBytes: (bytes) => {
        if (isLimited) progress.storedBytes = bytes;
        onProgress({ ...progress });
      },
      signal,
    });
    written.push(`${folder}/${name}`);
    await store.put(`${folder}/${name}`, passed.content, signal);
    return { name, bytes: passed.measure.bytes, sha256: passed.measure.digest() };
  };
  try {
    await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const snapshotAt = now();
    const snapshot = await exportSnapshot(login);
    const tables = what.scope === "database" ? undefined : await resolveTables(login, what.scope);
    const without = tables === undefined ? [] : await otherTables(login, tables);
    const { steps, compression } = dumpSteps({
      program,
      backup,
      backups,
      snapshot,
      tables,
      without,
    });
    const ownEnd = new AbortController();
    const end = AbortSignal.any([signal, ownEnd.signal]);
    end.addEventListener("abort", () => {
      session.destroy();
    });
    const noting = takeNote(session, {
      contents: backup.contents,
      serverMajor: login.major,
      only: tables,
      onTable: (done, all) => {
        progress.tablesNoted = done;
        progress.tables = all;
        onProgress({ ...progress });
      },
    });
    const dumping = withLibpq(login, { clientMajor: program.major }, (environment) => {
      const pipeline = new Pipeline(
        steps.map((step, index) => (index === 0 ? { ...step, env: environment } : step)),
        end,
      );
      return put("dump", inProcess(pipeline.output(), steps, backups), { isLimited: true });
    });
    // The snapshot is good for as long as the transaction that noted it: both have to end well.
    const [note, dumped] = await bothOrNeither(noting, dumping, () => {
      ownEnd.abort();
    });
    await session.run("COMMIT");
    const noted = await put("note", noteContent(note, backups), { isLimited: false });
    const manifest = {
      format: 1 as const,
      backup: id,
      database: backup.database,
      server_database: what.serverDatabase,
      scope: tables ?? ("database" as const),
      engine: `pg_dump ${program.version}`,
      server: login.version,
      compression,
      encryption: backups.encryption === undefined ? ("none" as const) : ("age" as const),
      contents: backup.contents,
      snapshot_at: snapshotAt.toISOString(),
      finished_at: now().toISOString(),
      objects: [dumped, noted],
      tables: note.tables.length,
      rows: note.tables.reduce((sum, [, rows]) => sum + rows, 0),
    };
    signal.throwIfAborted();
    const signed = signDocument(manifest, signingKey);
    await store.put(`${folder}/manifest.json`, once(signed), signal);
    return { ...manifest, key: keyId(signingKey) };
  } catch (cause) {
    // Without a manifest nobody takes it for a backup; what can be tidied up is.
    for (const name of written) await store.remove(name).catch(() => undefined);
    if (signal.aborted)
      throw new BackupFailed(`${id} was stopped: ${reasonOf(signal.reason)}`, { cause });
    throw cause;
  }
}

async function exportSnapshot({ session }: ServerLogin): Promise<string> {
  const [found] = await session.rows(
    "SELECT pg_export_snapshot() AS id",
    z.object({ id: z.string().regex(/^[0-9A-F-]+$/) }),
  );
  if (found === undefined) throw new BackupFailed("the server exports no snapshot");
  return found.id;
}

/** Every table that may be meant, qualified and quoted; partitions with their parents. */
async function resolveTables(
  { session }: ServerLogin,
  tables: readonly TableName[],
): Promise<string[]> {
  const meant = tables
    .map(({ schema, name }) => {
      const inSchema = schema === undefined ? "true" : `n.nspname = ${literal(schema)}`;
      return `(c.relname = ${literal(name)} AND ${inSchema})`;
    })
    .join(" OR ");
  const rows = await session.rows(
    `WITH RECURSIVE meant AS (
       SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND (${meant})
       UNION SELECT i.inhrelid FROM pg_inherits i JOIN meant ON meant.oid = i.inhparent)
     SELECT c.oid::regclass::text AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN meant ON meant.oid = c.oid
     WHERE c.relkind = 'r' ORDER BY 1`,
    z.object({ name: z.string() }),
  );
  if (rows.length > 0) return rows.map(({ name }) => name);
  throw new BackupFailed(
    `no table ${tables.map(({ name }) => name).join(", ")} is there to be backed up`,
  );
}

async function otherTables(
  { session }: ServerLogin,
  tables: readonly string[],
): Promise<readonly string[]> {
  const rows = await session.rows(TABLES, z.object({ name: z.string() }));
  return rows.map(({ name }) => name).filter((name) => !tables.includes(name));
}

interface DumpSteps {
  readonly program: Program;
  readonly backup: DatabaseBackup;
  readonly backups: Pick<BackupsConfig, "encryption">;
  readonly snapshot: string;
  /** `undefined`: all there are. */
  readonly tables: readonly string[] | undefined;
  /** Those that are not among them. */
  readonly without: readonly string[];
}

/** Compression is zstd's where there is one: by pg_dump itself since 16, else by its own program. */
function dumpSteps({ program, backup, backups, snapshot, tables, without }: DumpSteps): {
  readonly steps: readonly Step[];
  readonly compression: Manifest["compression"];
} {
  const zstd = whereIs("zstd");
  const wants = backup.compression;
  const isByPgDump = wants === "gzip" || (wants === "auto" && zstd === undefined);
  if (wants === "zstd" && zstd === undefined) {
    throw new BackupFailed("there is no zstd program on this machine", {
      hint: "install zstd, or say compression: gzip",
    });
  }
  const compression = wants === "none" ? "none" : isByPgDump ? "in-dump" : "zstd";
  // With `--table` a dump lacks the types, functions and schemas that the table is made of, and can't be restored by itself.
  // Every name is quoted, so that no character of it is a pattern's (PostgreSQL docs, "psql", "Patterns").
  const only = without.map((table) => `--exclude-table-data=${quotedPattern(table)}`);
  if (tables !== undefined) only.push("--no-blobs");
  const steps: Step[] = [
    {
      name: "pg_dump",
      file: program.file,
      args: [
        "--format=custom",
        `--compress=${isByPgDump ? "6" : "0"}`,
        `--snapshot=${snapshot}`,
        "--no-password",
        "--lock-wait-timeout=60s",
        ...only,
      ],
    },
  ];
  if (compression === "zstd" && zstd !== undefined) {
    steps.push({ name: "zstd", file: zstd, args: ["-3", "--stdout", "--quiet", "--check"] });
  }
  const encrypt = backups.encryption && encryptStep(backups.encryption.recipients);
  if (encrypt !== undefined) steps.push(encrypt);
  return { steps, compression };
}

function quotedPattern(qualified: string): string {
  const part = /"(?:[^"]|"")+"|[^."]+/g;
  return (qualified.match(part) ?? [])
    .map((name) => (name.startsWith('"') ? name : `"${name}"`))
    .join(".");
}

/** Encrypted here, where no program did it. */
function inProcess(
  content: AsyncIterable<Uint8Array>,
  steps: readonly Step[],
  { encryption }: Pick<BackupsConfig, "encryption">,
): AsyncIterable<Uint8Array> {
  const isDone = encryption === undefined || steps.at(-1)?.name === "age";
  return isDone ? content : encrypted(content, encryption.recipients);
}

async function* noteContent(
  note: unknown,
  { encryption }: Pick<BackupsConfig, "encryption">,
): AsyncGenerator<Uint8Array> {
  const bytes = await compress(JSON.stringify(note));
  yield* encryption === undefined ? once(bytes) : encrypted(once(bytes), encryption.recipients);
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}

/** Waits for both; when one fails the other is told to stop, and waited for. */
async function bothOrNeither<A, B>(
  a: Promise<A>,
  b: Promise<B>,
  stop: () => void,
): Promise<readonly [A, B]> {
  let failure: { readonly error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    stop();
  };
  a.catch(fail);
  b.catch(fail);
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === "fulfilled" && second.status === "fulfilled") {
    return [first.value, second.value];
  }
  throw failure?.error;
}
