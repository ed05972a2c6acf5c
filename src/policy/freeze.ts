import { localTimeIn, readLocalTime, WEEKDAYS, type LocalTime } from "./local-time.ts";

/**
 * A time when nothing is approved, every week or once. Plain data: it stands in requests, which are kept. `from` and
 * `to` are minutes of the week since Monday, 00:00, in the time zone; or instants.
 */
export type Freeze =
  | {
      readonly name: string;
      readonly kind: "weekly";
      readonly fromMinute: number;
      readonly toMinute: number;
      readonly timeZone: string;
    }
  | {
      readonly name: string;
      readonly kind: "once";
      /** RFC 3339 in UTC, as `Date` writes it. */
      readonly from: string;
      readonly to: string;
    };

const MINUTES_A_DAY = 24 * 60;

/**
 * Reads one end of a weekly freeze: `fri 16:00`.
 *
 * @returns minutes since Monday, 00:00
 * @throws Error for anything else
 */
export function parseMinuteOfWeek(text: string): number {
  const [, weekday, hour, minute] = /^([a-z]{3}) ([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  const day = WEEKDAYS.findIndex((name) => name === weekday);
  if (day < 0) throw new Error('not a time of the week such as "fri 16:00"');
  return day * MINUTES_A_DAY + Number(hour) * 60 + Number(minute);
}

/** The first of the freezes that `at` falls into. */
export function frozenBy(freezes: readonly Freeze[], at: Date): Freeze | undefined {
  return freezes.find((freeze) => isFrozen(freeze, at));
}

function isFrozen(freeze: Freeze, at: Date): boolean {
  if (freeze.kind === "once") return at >= new Date(freeze.from) && at < new Date(freeze.to);
  const { fromMinute, toMinute } = freeze;
  const minute = minuteOfWeek(freeze.timeZone, at);
  // Past Sunday midnight where it runs backwards.
  return fromMinute < toMinute
    ? minute >= fromMinute && minute < toMinute
    : minute >= fromMinute || minute < toMinute;
}

const localTimes = new Map<string, LocalTime>();

function minuteOfWeek(timeZone: string, at: Date): number {
  let localTime = localTimes.get(timeZone);
  if (localTime === undefined) localTimes.set(timeZone, (localTime = localTimeIn(timeZone)));
  const { day, minute } = readLocalTime(localTime, at);
  return day * MINUTES_A_DAY + minute;
}
