import { describe, expect, it, test } from "vitest";
import { frozenBy, parseMinuteOfWeek, type Freeze } from "../../src/policy/freeze.ts";

const WEEKEND: Freeze = {
  name: "weekend",
  kind: "weekly",
  fromMinute: parseMinuteOfWeek("fri 16:00"),
  toMinute: parseMinuteOfWeek("mon 08:00"),
  timeZone: "Europe/Madrid",
};
const CHRISTMAS: Freeze = {
  name: "christmas",
  kind: "once",
  from: "2026-12-23T18:00:00.000Z",
  to: "2027-01-07T08:00:00.000Z",
};

describe("a weekly freeze", () => {
  test.each([
    { at: "2026-11-20T14:59:59Z", name: undefined, local: "Friday, 15:59 in Madrid" },
    { at: "2026-11-20T15:00:00Z", name: "weekend", local: "Friday, 16:00 in Madrid" },
    { at: "2026-11-21T03:00:00Z", name: "weekend", local: "Saturday" },
    { at: "2026-11-22T23:30:00Z", name: "weekend", local: "Monday, 0:30 in Madrid" },
    { at: "2026-11-23T06:59:59Z", name: "weekend", local: "Monday, 7:59 in Madrid" },
    { at: "2026-11-23T07:00:00Z", name: undefined, local: "Monday, 8:00 in Madrid" },
    { at: "2026-07-10T13:59:00Z", name: undefined, local: "Friday, 15:59 in summer" },
    { at: "2026-07-10T14:00:00Z", name: "weekend", local: "Friday, 16:00 in summer" },
    { at: "2026-11-25T12:00:00Z", name: undefined, local: "Wednesday" },
  ])("at $at, which is $local: $name", ({ at, name }) => {
    expect(frozenBy([WEEKEND], new Date(at))?.name).toBe(name);
  });

  it("within one day ends on it", () => {
    const lunch: Freeze = { ...WEEKEND, fromMinute: 720, toMinute: 780, timeZone: "UTC" };
    expect(frozenBy([lunch], new Date("2026-11-23T12:59:59Z"))).toBeDefined();
    expect(frozenBy([lunch], new Date("2026-11-23T13:00:00Z"))).toBeUndefined();
    expect(frozenBy([lunch], new Date("2026-11-24T12:30:00Z"))).toBeUndefined();
  });
});

test("a freeze of one time holds from its begin up to its end", () => {
  const both = [WEEKEND, CHRISTMAS];
  expect(frozenBy(both, new Date("2026-12-23T18:00:00Z"))?.name).toBe("christmas");
  expect(frozenBy([CHRISTMAS], new Date("2027-01-07T07:59:59Z"))?.name).toBe("christmas");
  expect(frozenBy([CHRISTMAS], new Date("2027-01-07T08:00:00Z"))).toBeUndefined();
  expect(frozenBy([CHRISTMAS], new Date("2026-12-23T17:59:59Z"))).toBeUndefined();
});

test.each(["fri", "fri 24:00", "Fri 16:00", "friday 16:00", "fri 16:00-18:00", "16:00"])(
  "%s is no time of the week",
  (text) => {
    expect(() => parseMinuteOfWeek(text)).toThrow("time of the week");
  },
);
