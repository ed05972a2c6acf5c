import { parseBackupId } from "../backup/backup-id.ts";
import { pickBackup } from "../backup/catalogue.ts";
import { restoreBackup } from "../backup/restore-backup.ts";
import { describe, openLogin, type ServerLogin } from "../backup/server-login.ts";
import { listAt, withStore, type Site } from "../backup/site.ts";
import { readAdministrator } from "../provision/administrator.ts";
import { credentialOf } from "../provision/credentials.ts";
import { openAsAdministrator } from "../provision/open-session.ts";
import { identifier } from "../provision/sql-text.ts";
import { CommandFailed } from "./command-failed.ts";
import { findSite, loadFor, sizeOf, timeOf, type BackupOptions } from "./backup-options.ts";
import { withStopSignal } from "./stop-signal.ts";
import type { Terminal } from "./terminal.ts";

interface RestoreOptions extends BackupOptions {
  readonly into: string;
  readonly table?: string;
  readonly asAdmin?: string;
}

/** `twokey backup restore`: beside the original, compared, with what to do next. */
export async function restore(
  text: string,
  options: RestoreOptions,
  terminal: Terminal,
): Promise<void> {
  const id = parseBackupId(text);
  const site = await findSite(id, loadFor(options, terminal), options.database);
  const known = pickBackup(await listAt(site), id);
  const { manifest } = known;
  const startedAt = performance.now();
  const seconds = (): string => ((performance.now() - startedAt) / 1000).toFixed(1);
  const say = (line: string): void => {
    if (options.json !== true) terminal.print(line);
  };
  const { comparison } = await withStopSignal((signal) =>
    withStore(site, async (store) => {
      const server = await openServer(site, options, terminal);
      let bytesRead = 0;
      try {
        return await restoreBackup(known, {
          store,
          backups: site.backups,
          server,
          into: options.into,
          table: options.table,
          signal,
          onStep: (step) => {
            const what = {
              created: `database "${options.into}" is made, empty, like ${manifest.server_database} was`,
              restored: `${options.table ?? (manifest.scope === "database" ? "everything" : manifest.scope.join(", "))} is restored from ${sizeOf(bytesRead)}`,
              compared: "it is compared, and has its owner, settings and privileges",
            };
            say(`${seconds().padStart(7)} s  ${what[step]}`);
          },
          onProgress: (bytes) => {
            bytesRead = bytes;
          },
        });
      } finally {
        server.session.close();
      }
    }),
  );
  const tookMs = Math.round(performance.now() - startedAt);
  if (options.json === true) {
    terminal.print(
      JSON.stringify({ backup: id, into: options.into, duration_ms: tookMs, ...comparison }),
    );
  }
  if (comparison.kind === "different") {
    throw new CommandFailed(
      1,
      `"${options.into}" is there, but not as it was noted:\n${comparison.differences.join("\n")}`,
    );
  }
  const { objects, tables, rows, checksums } = comparison.compared;
  say(
    `${objects} objects of the schema, ${rows} rows of ${tables} tables and ${checksums} checksums of contents are as they were ` +
      `at ${timeOf(manifest.snapshot_at)}`,
  );
  for (const line of nextSteps(site, options)) say(line);
}

/** Whoever may make a database. */
async function openServer(
  { upstream }: Site,
  { asAdmin }: RestoreOptions,
  { env }: Terminal,
): Promise<ServerLogin> {
  if (asAdmin === undefined) {
    return openLogin({ upstream, database: "postgres" }, credentialOf(upstream));
  }
  const administrator = readAdministrator(asAdmin, env);
  const session = await openAsAdministrator(administrator, { upstream, database: "postgres" });
  const host = administrator.host ?? upstream.hosts[0];
  if (host === undefined) throw new CommandFailed(2, "the upstream has no host");
  const { user, password } = administrator;
  return describe(session, { upstream, host, user, password, database: "postgres" });
}

/** Nothing is restored over a live database: that needs a second person, as everything irreversible does. */
function nextSteps({ serverDatabase }: Site, { into, table }: RestoreOptions): readonly string[] {
  if (table !== undefined) {
    return [
      `To bring rows back: pg_dump --data-only --table '${table}' ${identifier(into)}, and send what it prints through Twokey.`,
    ];
  }
  return [
    "To put it in the original's place, run these through Twokey, which asks a second person:",
    `  ALTER DATABASE ${identifier(serverDatabase)} RENAME TO ${identifier(`${serverDatabase}_before`)};`,
    `  ALTER DATABASE ${identifier(into)} RENAME TO ${identifier(serverDatabase)};`,
  ];
}
