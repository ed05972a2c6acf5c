import { describe, expect, test } from "vitest";
import { Groups, type Draft } from "../../src/alerts/groups.ts";
import { ALERT } from "./samples.ts";

function open(maxPerMinute = 20): Groups {
  let ids = 0;
  return new Groups({ groupMs: 300_000, maxPerMinute, newId: () => `A-${++ids}` });
}

function draft(group: string, changes: Partial<Draft> = {}): Draft {
  return { ...ALERT, group, ...changes };
}

describe("the same again", () => {
  test("is told at once, then counted, then told once", () => {
    const groups = open();
    expect(groups.add(draft("a"), 0)).toMatchObject({ id: "A-1", times: 1 });
    expect(groups.add(draft("a"), 1000)).toBeUndefined();
    expect(groups.add(draft("a", { title: "the last" }), 2000)).toBeUndefined();
    expect(groups.nextDue()).toBe(300_000);
    expect(groups.due(299_999)).toEqual([]);
    expect(groups.due(300_000)).toMatchObject([{ id: "A-2", times: 2, title: "the last" }]);
  });

  test("goes on being counted for as long as it goes on", () => {
    const groups = open();
    groups.add(draft("a"), 0);
    groups.add(draft("a"), 1);
    groups.due(300_000);
    expect(groups.add(draft("a"), 300_001)).toBeUndefined();
    expect(groups.due(600_000)).toMatchObject([{ times: 1 }]);
    expect(groups.due(900_000)).toEqual([]);
    expect(groups.nextDue()).toBeUndefined();
    expect(groups.add(draft("a"), 900_001)).toMatchObject({ times: 1 });
  });

  test("does not hide something else", () => {
    const groups = open();
    groups.add(draft("a"), 0);
    expect(groups.add(draft("b"), 1)).toMatchObject({ times: 1 });
  });

  test("is told before the end", () => {
    const groups = open();
    groups.add(draft("a"), 0);
    groups.add(draft("a"), 1);
    expect(groups.flush()).toMatchObject([{ times: 1 }]);
    expect(groups.flush()).toEqual([]);
  });

  test("is news when the state ended in between", () => {
    const groups = open();
    const down = draft("upstream");
    const up = draft("upstream", { status: "resolved" });
    const told = [down, down, up, down, up].map((one, at) => groups.add(one, at)?.status);
    expect(told).toEqual(["firing", undefined, "resolved", "firing", "resolved"]);
    expect(groups.due(900_000)).toEqual([]);
  });
});

describe("too many at once", () => {
  test("are told as one a minute later", () => {
    const groups = open(2);
    const told = ["a", "b", "c", "d"].map((group) => groups.add(draft(group), 0)?.group);
    expect(told).toEqual(["a", "b", undefined, undefined]);
    const [rest, ...others] = groups.due(60_000);
    expect(rest).toMatchObject({ times: 2, group: "d" });
    expect(rest?.title).toMatch(/^2 more of destruction-attempted; the last: alice: DROP/);
    expect(others).toEqual([]);
    expect(groups.add(draft("e"), 60_000)).toMatchObject({ times: 1 });
  });

  test("of one person do not hide another's, nor those of another rule", () => {
    const groups = open(1);
    groups.add(draft("a"), 0);
    expect(groups.add(draft("b"), 0)).toBeUndefined();
    expect(groups.add(draft("c", { who: { person: "bob" } }), 0)).toBeDefined();
    expect(groups.add(draft("d", { alert: "other" }), 0)).toBeDefined();
  });

  test("of strangers, whoever they say to be, share one measure", () => {
    const groups = open(1);
    groups.add(draft("a", { who: { claimed: "alice" } }), 0);
    expect(groups.add(draft("b", { who: { claimed: "bob" } }), 0)).toBeUndefined();
  });
});
