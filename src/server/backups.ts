import { Backups, type Finished } from "../backup/backups.ts";
import { placeWarning, siteOf, type Site } from "../backup/site.ts";
import type { Config } from "../config/config.ts";
import type { BackupDesk } from "../session/backup-duty.ts";
import type { SessionServices } from "../session/services.ts";
import { every } from "./every.ts";

const LOOK_EVERY_MS = 60_000;

export interface OpenBackups {
  readonly backups: Backups;
  readonly desk: BackupDesk;
  readonly close: () => Promise<void>;
}

/** The schedule of what is backed up, with what it tells: the audit log, metrics, alerts and the running log. */
export function openBackups(
  config: Config,
  {
    audit,
    metrics,
    notice,
    log,
    now,
  }: Pick<SessionServices, "audit" | "metrics" | "notice" | "log" | "now">,
): OpenBackups {
  const names = [...config.backups.databases.keys()];
  const sites = new Map(names.map((name) => [name, siteOf(config, name)]));
  for (const site of sites.values()) {
    const warning = placeWarning(site);
    if (warning !== undefined) log.warn({ database: site.database }, warning);
  }
  const record = (finished: Finished): void => {
    try {
      audit.append({ event: "backup.finished", ...recordOf(finished) });
    } catch (error) {
      log.error({ err: error, backup: finished.id }, "the end of a backup is not on record");
    }
  };
  const backups = new Backups({
    sites,
    now,
    random: Math.random,
    events: {
      started: ({ id, site, reason, person }) => {
        const { environment, database } = site;
        audit.append({
          event: "backup.started",
          backup: id,
          environment,
          database,
          reason,
          ...(person !== undefined && { person }),
        });
      },
      finished: (finished) => {
        const { id, site, outcome } = finished;
        record(finished);
        if (outcome.kind === "verified") {
          log.info({ backup: id, database: site.database }, "a backup was restored and compared");
          return;
        }
        metrics.backupFinished(site.database, outcome.kind === "taken" ? "succeeded" : "failed");
        if (outcome.kind === "taken") {
          // Its age is that of what is in it.
          if (outcome.manifest.scope === "database") {
            metrics.backupFound(site.database, Date.parse(outcome.manifest.snapshot_at));
          }
          log.info({ backup: id, database: site.database }, "a backup was taken");
          return;
        }
        log.error({ err: outcome.error, backup: id, database: site.database }, "a backup failed");
        notice({
          kind: "backup.failed",
          database: site.database,
          cause: outcome.error instanceof Error ? outcome.error.message : String(outcome.error),
        });
      },
      found: (database, snapshotAt) => {
        metrics.backupFound(database, snapshotAt.getTime());
      },
      stale: (database, { ageMs, maxAgeMs }) => {
        const ageSeconds = ageMs === undefined ? undefined : ageMs / 1000;
        notice({ kind: "backup.stale", database, ageSeconds, maxAgeSeconds: maxAgeMs / 1000 });
      },
      fresh: (database) => {
        notice({ kind: "backup.fresh", database });
      },
      trouble: (database, error) => {
        log.error({ err: error, database }, "trouble with backups");
      },
    },
  });
  const stopLooking =
    sites.size === 0 ? () => Promise.resolve() : every(LOOK_EVERY_MS, () => backups.look(), log);
  return {
    backups,
    desk: deskOf(backups),
    close: async () => {
      await stopLooking();
      await backups.close();
    },
  };
}

function recordOf({ id, site, outcome, durationMs }: Finished): {
  readonly backup: string;
  readonly environment: Site["environment"];
  readonly database: string;
  readonly outcome: "verified" | "taken" | "failed";
  readonly bytes: number;
  readonly duration_ms: number;
} {
  const objects = outcome.kind === "taken" ? outcome.manifest.objects : [];
  return {
    backup: id,
    environment: site.environment,
    database: site.database,
    outcome: outcome.kind,
    bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
    duration_ms: Math.round(durationMs),
  };
}

function deskOf(backups: Backups): BackupDesk {
  return {
    newest: async (database, wanted) => {
      const found = await backups.newest(database, wanted);
      if (found === undefined) return undefined;
      const { backup, snapshot_at: at } = found.manifest;
      return { id: backup, snapshotAt: new Date(at) };
    },
    take: async (database, { onProgress, ...options }) => {
      const manifest = await backups.take(database, {
        ...options,
        onProgress: ({ storedBytes, tablesNoted, tables }) => {
          const mebibytes = (storedBytes / 2 ** 20).toFixed(0);
          onProgress(`${mebibytes} MiB stored, ${tablesNoted} of ${tables} tables noted`);
        },
      });
      return manifest.backup;
    },
    timeoutSeconds: (database) => Math.ceil(backups.timeoutMs(database) / 1000),
  };
}
