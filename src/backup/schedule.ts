import { Cron } from "croner";
import type { DatabaseBackup } from "../config/backups.ts";

type Scheduled = Pick<DatabaseBackup, "schedule" | "verifySchedule" | "timeZone" | "lateAfterMs">;

/** The last time before `now` that the schedule names; `undefined` where there is no schedule. */
export function lastDue({ schedule, timeZone }: Scheduled, now: Date): Date | undefined {
  return schedule === undefined ? undefined : lastOf(schedule, timeZone, now);
}

export function lastVerifyDue(
  { verifySchedule, timeZone }: Scheduled,
  now: Date,
): Date | undefined {
  return verifySchedule === undefined ? undefined : lastOf(verifySchedule, timeZone, now);
}

/** How old the newest good backup may be before somebody is told. */
export function lateAfterMs(
  { schedule, timeZone, lateAfterMs: said }: Scheduled,
  now: Date,
): number | undefined {
  if (said !== undefined || schedule === undefined) return said;
  const [first, second] = new Cron(schedule, { paused: true, timezone: timeZone }).nextRuns(2, now);
  return first === undefined || second === undefined
    ? undefined
    : 2 * (second.getTime() - first.getTime());
}

function lastOf(pattern: string, timeZone: string, now: Date): Date | undefined {
  // At this very minute it is due already.
  const after = new Date(now.getTime() + 1000);
  return new Cron(pattern, { paused: true, timezone: timeZone }).previousRuns(1, after)[0];
}
