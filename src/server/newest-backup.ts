import type { Backups } from "../backup/backups.ts";
import type { Config } from "../config/config.ts";
import type { NewestBackup } from "../impact/impact.ts";

/** What an approver is told of a database's backups: the newest that a restore has proved. */
export async function newestBackup(
  database: string,
  { backups, config, now }: { backups: Backups; config: Config["backups"]; now: () => Date },
): Promise<NewestBackup> {
  if (config.databases.size === 0) {
    return { state: "unknown", because: "no backups are configured" };
  }
  const configured = config.databases.get(database);
  if (configured === undefined) return { state: "none", because: `${database} is not backed up` };
  const newest = await backups.newestVerified(database);
  if (newest === undefined) {
    return { state: "none", because: `no backup of ${database} has been restored and compared` };
  }
  const { backup, snapshot_at: snapshotAt } = newest.manifest;
  return {
    state: "verified",
    age_seconds: Math.max(0, Math.round((now().getTime() - Date.parse(snapshotAt)) / 1000)),
    place: `${backup} in the store ${configured.store}`,
  };
}
