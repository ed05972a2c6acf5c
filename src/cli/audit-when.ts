import { InvalidArgumentError } from "commander";

const UNIT_MS = new Map([
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/**
 * Reads an instant as people give it: `2h` ago, a day (`2026-03-14`, UTC), or a time (`2026-03-14T09:26:53Z`).
 *
 * @returns milliseconds since 1970
 * @throws InvalidArgumentError for anything else
 */
export function parseWhen(text: string, nowMs: number): number {
  const [, amount, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (amount !== undefined) return nowMs - Number(amount) * (UNIT_MS.get(unit) ?? NaN);
  // Without a zone the same text would mean another time on the auditor's machine.
  const isClear = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const timeMs = isClear ? Date.parse(text) : NaN;
  if (Number.isNaN(timeMs)) {
    throw new InvalidArgumentError("Give 30m, 2h, 7d, 2026-03-14 or 2026-03-14T09:26:53Z.");
  }
  return timeMs;
}
