import {
  localTimeIn,
  readLocalTime,
  WEEKDAYS,
  type LocalTime,
  type Weekday,
} from "./local-time.ts";

/** Recurring times of the week, in the local time of one place. */
export interface Schedule {
  readonly days: readonly Weekday[];
  /** From the first minute of the day up to, not including, the second; past midnight where it runs backwards. */
  readonly windows: readonly { readonly fromMinute: number; readonly toMinute: number }[];
  readonly localTime: LocalTime;
}

export interface ScheduleText {
  /** Absent: every day. */
  readonly days?: readonly Weekday[] | undefined;
  /** `08:00-18:00`, `22:00-06:00`; absent: the whole day. */
  readonly hours?: readonly string[] | undefined;
  /** A name of the IANA time zone database, such as `Europe/Madrid`. */
  readonly timeZone: string;
}

const MINUTES_A_DAY = 24 * 60;

/** @throws Error for hours or a time zone that can't be read */
export function parseSchedule({ days = WEEKDAYS, hours, timeZone }: ScheduleText): Schedule {
  return {
    days,
    windows: hours?.map(parseWindow) ?? [{ fromMinute: 0, toMinute: MINUTES_A_DAY }],
    localTime: localTimeIn(timeZone),
  };
}

/** Whether `at` falls into it. A window past midnight belongs to the day on which it begins. */
export function isWithin({ days, windows, localTime }: Schedule, at: Date): boolean {
  const { day, minute } = readLocalTime(localTime, at);
  const isOn = (index: number): boolean => days.some((weekday) => weekday === WEEKDAYS.at(index));
  return windows.some(({ fromMinute, toMinute }) => {
    if (fromMinute < toMinute) return isOn(day) && minute >= fromMinute && minute < toMinute;
    return (isOn(day) && minute >= fromMinute) || (isOn(day - 1) && minute < toMinute);
  });
}

function parseWindow(text: string): Schedule["windows"][number] {
  const [from, to] = text.split("-").map(parseMinute);
  if (from === undefined || to === undefined || text.split("-").length !== 2) {
    throw new Error('not hours such as "08:00-18:00"');
  }
  if (from === to) throw new Error("begins and ends at once; leave hours out for the whole day");
  return { fromMinute: from, toMinute: to };
}

function parseMinute(text: string): number | undefined {
  if (text === "24:00") return MINUTES_A_DAY;
  const [, hour, minute] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  return hour === undefined ? undefined : Number(hour) * 60 + Number(minute);
}
