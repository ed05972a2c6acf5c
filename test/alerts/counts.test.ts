import { expect, test } from "vitest";
import { Counts } from "../../src/alerts/counts.ts";

const THREE = { times: 3, withinMs: 1000 };

test("the third within the time counts, and the next count begins anew", () => {
  const counts = new Counts();
  const at = [0, 400, 800, 900, 1000, 1100];
  expect(at.map((ms) => counts.add("a", { at: ms, ...THREE }))).toEqual([
    false,
    false,
    true,
    false,
    false,
    true,
  ]);
});

test("what is too long ago does not count", () => {
  const counts = new Counts();
  const at = [0, 600, 1001, 1599];
  expect(at.map((ms) => counts.add("a", { at: ms, ...THREE }))).toEqual([
    false,
    false,
    false,
    true,
  ]);
});

test("each has a count of their own", () => {
  const counts = new Counts();
  const names = ["a", "b", "a", "b", "a"];
  expect(names.map((name) => counts.add(name, { at: 0, ...THREE }))).toEqual([
    false,
    false,
    false,
    false,
    true,
  ]);
});

test("of too many, the one that was quiet for longest is forgotten", () => {
  const counts = new Counts();
  counts.add("a", { at: 0, ...THREE });
  counts.add("a", { at: 0, ...THREE });
  for (let n = 0; n < 10_000; n++) counts.add(`stranger ${n}`, { at: 0, ...THREE });
  expect(counts.add("a", { at: 0, ...THREE })).toBe(false);
});
