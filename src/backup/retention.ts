import type { Keep } from "../config/backups.ts";
import type { BackupId } from "./backup-id.ts";
import type { Listing } from "./catalogue.ts";

const DAY_MS = 86_400_000;

/** An upload that is still going on looks the same as one that was given up. */
const UNFINISHED_FOR_MS = 2 * DAY_MS;

/**
 * Which backups go. Of each day, ISO week and month (UTC) the newest counts. The newest verified one stays whatever `keep`
 * says, and so does everything while there is no whole backup. Those of some tables are not counted: they go once the oldest
 * whole backup that stays is newer.
 */
export function expired({ good, broken }: Listing, keep: Keep, now: Date): readonly BackupId[] {
  const whole = good.filter(({ manifest }) => manifest.scope === "database");
  const times = whole.map(({ manifest }) => manifest.snapshot_at);
  const stays = new Set([
    ...times.slice(0, keep.last),
    ...newestOfEach(times, dayOf, keep.daily),
    ...newestOfEach(times, weekOf, keep.weekly),
    ...newestOfEach(times, monthOf, keep.monthly),
  ]);
  const verified = whole.find((one) => one.verified !== undefined);
  if (verified !== undefined) stays.add(verified.manifest.snapshot_at);
  const oldest = [...stays].sort()[0];
  return [
    ...good
      .filter(({ manifest: { scope, snapshot_at: at } }) =>
        scope === "database" ? !stays.has(at) : oldest !== undefined && at < oldest,
      )
      .map(({ manifest }) => manifest.backup),
    ...broken
      .filter(({ id, why }) => isUnfinished(why) && now.getTime() - startOf(id) > UNFINISHED_FOR_MS)
      .map(({ id }) => id),
  ];
}

/** Damaged ones stay: somebody will want to look at them. */
function isUnfinished(why: string): boolean {
  return why.includes("never finished");
}

/** @param times - newest first */
function newestOfEach(
  times: readonly string[],
  periodOf: (time: string) => string,
  count: number,
): readonly string[] {
  const newest = new Map<string, string>();
  for (const time of times) {
    const period = periodOf(time);
    if (!newest.has(period)) newest.set(period, time);
  }
  return [...newest.values()].slice(0, count);
}

function dayOf(time: string): string {
  return time.slice(0, 10);
}

function monthOf(time: string): string {
  return time.slice(0, 7);
}

/** Its Monday. */
function weekOf(time: string): string {
  const day = new Date(`${dayOf(time)}T00:00:00Z`);
  const sinceMonday = (day.getUTCDay() + 6) % 7;
  return new Date(day.getTime() - sinceMonday * DAY_MS).toISOString().slice(0, 10);
}

function startOf(id: BackupId): number {
  const [, y, mo, d, h, mi, s] = /^B-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(id) ?? [];
  return Date.parse(`${y ?? ""}-${mo ?? ""}-${d ?? ""}T${h ?? ""}:${mi ?? ""}:${s ?? ""}Z`);
}
