import { Command } from "commander";
import { parseBackupId } from "../backup/backup-id.ts";
import {
  checkAt,
  listAt,
  placeWarning,
  pruneAt,
  siteOf,
  takeAt,
  verifyAt,
} from "../backup/site.ts";
import { CommandFailed } from "./command-failed.ts";
import { makeKey } from "./backup-key.ts";
import { findSite, loadFor, sizeOf, timeOf, type BackupOptions } from "./backup-options.ts";
import { restore } from "./backup-restore.ts";
import { withStopSignal } from "./stop-signal.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** `twokey backup`: take, list, verify and restore backups. */
export function backupCommand(terminal: Terminal): Command {
  const command = new Command("backup").description("Backups that are known to restore");

  command
    .command("list")
    .description("What the stores hold, newest first; 1 if something there is no good backup")
    .requiredOption("--config <file>", "the configuration")
    .option("--database <name>", "of this one only")
    .option("--json", "print JSON, one backup a line")
    .action((options: BackupOptions) => list(options, terminal));

  command
    .command("run")
    .description("Take a backup now, then delete what is no longer to be kept")
    .argument("<database>", "one of backups.databases")
    .requiredOption("--config <file>", "the configuration")
    .option("--table <name...>", "rows of these tables only: NAME or SCHEMA.NAME, as stored")
    .option("--verify", "and test at once that it restores")
    .option("--json", "print JSON")
    .action((database: string, options: RunOptions) => run(database, options, terminal));

  command
    .command("verify")
    .description("Restore a backup into a scratch server and compare; 1 if it is not as it was")
    .argument("<backup>", "its id, from `backup list`")
    .requiredOption("--config <file>", "the configuration")
    .option("--database <name>", "whose it is; otherwise all are looked through")
    .option("--identity <file>", "the private key, where the configuration names none")
    .option("--checksum-only", "read all of it and compare SHA-256s, which proves no restore")
    .option("--json", "print JSON")
    .action((id: string, options: VerifyOptions) => verify(id, options, terminal));

  command
    .command("restore")
    .description("Restore a backup beside the original, as a new database, and compare")
    .argument("<backup>", "its id, from `backup list`")
    .requiredOption("--config <file>", "the configuration")
    .requiredOption("--into <name>", "the new database; it must not exist")
    .option("--database <name>", "whose backup it is; otherwise all are looked through")
    .option("--table <name>", "the rows of this one only: SCHEMA.TABLE")
    .option("--identity <file>", "the private key, where the configuration names none")
    .option("--as-admin <place>", "env:NAME or file:PATH that holds the URL of who may make it")
    .option("--json", "print JSON")
    .action((id: string, options: Parameters<typeof restore>[1]) => restore(id, options, terminal));

  command
    .command("key")
    .description("Make a pair of keys in age's format, and print the public one")
    .requiredOption("--out <file>", "where the private key goes; it must not exist")
    .action((options: { readonly out: string }) => makeKey(options, terminal));

  return command;
}

async function list({ json, ...options }: BackupOptions, terminal: Terminal): Promise<void> {
  const config = loadFor(options, terminal);
  const names =
    options.database === undefined ? [...config.backups.databases.keys()] : [options.database];
  if (names.length === 0)
    throw new CommandFailed(2, "no database is backed up", {
      hint: "name some under backups.databases",
    });
  const rows: string[][] = [];
  let hasBroken = false;
  for (const name of names) {
    const { good, broken } = await listAt(siteOf(config, name));
    hasBroken ||= broken.length > 0;
    for (const { manifest, verified } of good) {
      if (json === true)
        terminal.print(JSON.stringify({ ...manifest, verified: verified ?? null }));
      rows.push([
        manifest.backup,
        name,
        timeOf(manifest.snapshot_at),
        manifest.scope === "database" ? "all" : manifest.scope.join(" "),
        sizeOf(manifest.objects.reduce((sum, { bytes }) => sum + bytes, 0)),
        String(manifest.rows),
        verified === undefined ? "not verified" : `verified ${timeOf(verified.verified_at)}`,
      ]);
    }
    for (const { id, why } of broken) {
      if (json === true)
        terminal.print(JSON.stringify({ backup: id, database: name, broken: why }));
      rows.push([id, name, "", "", "", "", `NO BACKUP: ${why}`]);
    }
  }
  if (json !== true) {
    const head = ["BACKUP", "DATABASE", "SNAPSHOT", "WHAT", "SIZE", "ROWS", "STATE"];
    for (const line of table(head, rows)) terminal.print(line);
  }
  if (hasBroken) throw new CommandFailed(1, "some of these are no good backups");
}

interface RunOptions extends BackupOptions {
  readonly table?: readonly string[];
  readonly verify?: boolean;
}

async function run(database: string, options: RunOptions, terminal: Terminal): Promise<void> {
  const site = siteOf(loadFor(options, terminal), database);
  const warning = placeWarning(site);
  if (warning !== undefined) terminal.note(terminal.colors.yellow(`warning: ${warning}`));
  await withStopSignal(async (signal) => {
    const progress = meter(terminal);
    const manifest = await takeAt(site, {
      scope: options.table?.map(tableName),
      signal,
      onProgress: ({ storedBytes, tablesNoted, tables }) => {
        progress(`${sizeOf(storedBytes)} stored, ${tablesNoted} of ${tables} tables noted`);
      },
    });
    if (manifest === undefined) return;
    const verified =
      options.verify === true ? await verifyAt(site, manifest.backup, { signal }) : undefined;
    const removed = await pruneAt(site);
    if (options.json === true) {
      terminal.print(JSON.stringify({ ...manifest, verified: verified ?? null, removed }));
      return;
    }
    const seconds = (Date.parse(manifest.finished_at) - Date.parse(manifest.snapshot_at)) / 1000;
    const bytes = manifest.objects.reduce((sum, one) => sum + one.bytes, 0);
    terminal.print(
      `${manifest.backup}: ${manifest.tables} tables, ${manifest.rows} rows, ${sizeOf(bytes)} stored in ${seconds.toFixed(1)} s`,
    );
    if (verified !== undefined) terminal.print(`verified: ${comparedText(verified)}`);
    for (const id of removed)
      terminal.print(`${id}: deleted, as backups.databases.${database}.keep says`);
  });
}

interface VerifyOptions extends BackupOptions {
  readonly checksumOnly?: boolean;
}

async function verify(text: string, options: VerifyOptions, terminal: Terminal): Promise<void> {
  const id = parseBackupId(text);
  const site = await findSite(id, loadFor(options, terminal), options.database);
  await withStopSignal(async (signal) => {
    if (options.checksumOnly === true) {
      const { objects } = await asAnswer(checkAt(site, id, signal));
      if (options.json === true) terminal.print(JSON.stringify({ backup: id, intact: true }));
      else terminal.print(`${id}: ${objects.length} objects are as they were written`);
      return;
    }
    const progress = meter(terminal);
    const verified = await asAnswer(
      verifyAt(site, id, {
        signal,
        onProgress: (bytes) => {
          progress(`${sizeOf(bytes)} read`);
        },
      }),
    );
    if (options.json === true) terminal.print(JSON.stringify(verified));
    else terminal.print(`${id} restores: ${comparedText(verified)}`);
  });
}

function comparedText({
  compared,
  server,
  duration_ms: ms,
}: Awaited<ReturnType<typeof verifyAt>>): string {
  const { objects, tables, rows, checksums } = compared;
  return (
    `${objects} objects of the schema, ${rows} rows of ${tables} tables and ${checksums} checksums of contents are the same ` +
    `on PostgreSQL ${server} (${(ms / 1000).toFixed(1)} s)`
  );
}

/** "It is not as it was" is an answer; that it could not be told is none. */
async function asAnswer<T>(work: Promise<T>): Promise<T> {
  const { BackupDamaged } = await import("../backup/backup-failed.ts");
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof BackupDamaged)) throw error;
    const { message, detail, hint } = error;
    throw new CommandFailed(1, detail === undefined ? message : `${message}\n${detail}`, {
      cause: error,
      ...(hint !== undefined && { hint }),
    });
  }
}

function tableName(text: string): { readonly schema: string | undefined; readonly name: string } {
  const at = text.indexOf(".");
  return at === -1
    ? { schema: undefined, name: text }
    : { schema: text.slice(0, at), name: text.slice(at + 1) };
}

const EVERY_MS = 5000;

/** A line now and then, where somebody waits. */
function meter({ note, isInteractive }: Terminal): (line: string) => void {
  let toldAt = performance.now();
  return (line) => {
    if (!isInteractive || performance.now() - toldAt < EVERY_MS) return;
    toldAt = performance.now();
    note(line);
  };
}
