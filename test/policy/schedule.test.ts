import { expect, test } from "vitest";
import { isWithin, parseSchedule, type ScheduleText } from "../../src/policy/schedule.ts";

const office: ScheduleText = {
  days: ["mon", "tue", "wed", "thu", "fri"],
  hours: ["08:00-13:00", "15:00-18:30"],
  timeZone: "Europe/Madrid",
};
const fridayNight: ScheduleText = { days: ["fri"], hours: ["22:00-06:00"], timeZone: "UTC" };
const sundayNight: ScheduleText = { days: ["sun"], hours: ["22:00-06:00"], timeZone: "UTC" };

test.each<[string, ScheduleText, string, boolean]>([
  ["the first minute counts", office, "2026-11-23T07:00:00Z", true],
  ["the minute before does not", office, "2026-11-23T06:59:59Z", false],
  ["the last minute does not", office, "2026-11-23T12:00:00Z", false],
  ["a second window", office, "2026-11-23T17:29:59Z", true],
  ["not on Saturday", office, "2026-11-28T09:00:00Z", false],
  ["daylight saving time moves with the clock on the wall", office, "2026-07-20T06:00:00Z", true],
  [
    "the day is the place's own",
    { days: ["tue"], timeZone: "Asia/Tokyo" },
    "2026-11-23T15:00:00Z",
    true,
  ],
  ["all day", { timeZone: "UTC" }, "2026-11-23T23:59:59Z", true],
  ["up to midnight", { hours: ["18:00-24:00"], timeZone: "UTC" }, "2026-11-23T23:59:59Z", true],
  [
    "midnight is the next day",
    { hours: ["18:00-24:00"], timeZone: "UTC" },
    "2026-11-24T00:00:00Z",
    false,
  ],
  ["a night begins", fridayNight, "2026-11-27T22:00:00Z", true],
  ["a night goes on past midnight", fridayNight, "2026-11-28T05:59:00Z", true],
  ["a night ends", fridayNight, "2026-11-28T06:00:00Z", false],
  ["the morning before the night is another night's", fridayNight, "2026-11-27T05:00:00Z", false],
  ["a night from Sunday to Monday", sundayNight, "2026-11-23T05:00:00Z", true],
])("%s", (_, text, at, expected) => {
  expect(isWithin(parseSchedule(text), new Date(at))).toBe(expected);
});

test.each([
  { hours: ["8-18"], timeZone: "UTC" },
  { hours: ["08:00"], timeZone: "UTC" },
  { hours: ["08:00-12:00-18:00"], timeZone: "UTC" },
  { hours: ["08:00-25:00"], timeZone: "UTC" },
  { hours: ["08:00-08:00"], timeZone: "UTC" },
  { timeZone: "Europe/Atlantis" },
])("refuses %j", (text) => {
  expect(() => parseSchedule(text)).toThrow();
});
