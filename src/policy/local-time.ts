export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

export type Weekday = (typeof WEEKDAYS)[number];

/** The clock on the wall of one place. */
export type LocalTime = Intl.DateTimeFormat;

/** @throws Error for a time zone that does not exist */
export function localTimeIn(timeZone: string): LocalTime {
  try {
    return new Intl.DateTimeFormat("en-US", {
      timeZone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
  } catch (cause) {
    throw new Error("no such time zone; the names are like Europe/Madrid or UTC", { cause });
  }
}

/** @returns the day as an index into {@link WEEKDAYS}, and the minute of that day */
export function readLocalTime(localTime: LocalTime, at: Date): { day: number; minute: number } {
  const parts = new Map(localTime.formatToParts(at).map(({ type, value }) => [type, value]));
  const day = WEEKDAYS.findIndex((weekday) => weekday === parts.get("weekday")?.toLowerCase());
  return { day, minute: Number(parts.get("hour")) * 60 + Number(parts.get("minute")) };
}
