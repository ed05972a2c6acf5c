import fc from "fast-check";
import { expect, test } from "vitest";
import { Budget } from "../../src/habits/budget.ts";

const WINDOW_MS = 60_000;
const SLOT_MS = WINDOW_MS / 60;

test("a budget holds the rows of its window, and forgets them at most a slot later (property)", () => {
  const event = fc.record({
    afterMs: fc.oneof(fc.nat(2000), fc.nat(2 * WINDOW_MS)),
    rows: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 50 }), (events) => {
      const budget = new Budget(WINDOW_MS);
      const all: { atMs: number; rows: number }[] = [];
      let nowMs = 1_800_000_000_000;
      for (const { afterMs, rows } of events) {
        nowMs += afterMs;
        all.push({ atMs: nowMs, rows });
        const since = (ms: number): number =>
          all.filter(({ atMs }) => atMs > nowMs - ms).reduce((sum, one) => sum + one.rows, 0);
        const sum = budget.add(rows, nowMs);
        expect(sum).toBeGreaterThanOrEqual(since(WINDOW_MS));
        expect(sum).toBeLessThanOrEqual(since(WINDOW_MS + SLOT_MS));
      }
    }),
  );
});

test("a clock that is set back forgets nothing", () => {
  const budget = new Budget(WINDOW_MS);
  budget.add(5, 1_800_000_000_000);
  expect(budget.add(1, 1_700_000_000_000)).toBe(6);
});
