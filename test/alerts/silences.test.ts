import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { Silences } from "../../src/alerts/silences.ts";
import { REFUSED, SAMPLES } from "./samples.ts";

const root = mkdtempSync(path.join(tmpdir(), "twokey-silences-"));
afterAll(() => {
  rmSync(root, { recursive: true });
});

let file: string;
let trouble: unknown[];
beforeEach(() => {
  file = path.join(mkdtempSync(path.join(root, "t-")), "alerts", "silences.json");
  trouble = [];
});

const NOW = new Date("2027-03-14T09:26:53Z");
const LATER = new Date("2027-03-14T11:26:53Z");
const SILENCE = {
  rule: "statement-refused",
  person: undefined,
  until: LATER.toISOString(),
  reason: "migration 4711",
  by: "olga",
};

function open(): Promise<Silences> {
  return Silences.open(file, { onTrouble: (error) => trouble.push(error) });
}

test("a silence is about its rule and ends by itself", async () => {
  const silences = await open();
  const made = silences.add(SILENCE, NOW);
  expect(silences.find("statement-refused", REFUSED, NOW)).toEqual(made);
  expect(silences.find("destruction-attempted", REFUSED, NOW)).toBeUndefined();
  expect(silences.find("statement-refused", REFUSED, LATER)).toBeUndefined();
  expect(silences.list(LATER)).toEqual([]);
});

test("a silence about a person is about nobody else, and about nothing that is nobody's", async () => {
  const silences = await open();
  silences.add({ ...SILENCE, person: "alice" }, NOW);
  expect(silences.find("statement-refused", REFUSED, NOW)).toBeDefined();
  expect(silences.find("statement-refused", { ...REFUSED, person: "bob" }, NOW)).toBeUndefined();
  expect(silences.find("statement-refused", SAMPLES["upstream.down"], NOW)).toBeUndefined();
});

test("survives a restart, and can be ended", async () => {
  const before = await open();
  const id = before.add(SILENCE, NOW)?.id ?? "";
  await before.close();
  const after = await open();
  expect(after.list(NOW)).toMatchObject([{ id, reason: "migration 4711", by: "olga" }]);
  expect(after.remove(id, NOW)).toBe(true);
  expect(after.remove(id, NOW)).toBe(false);
  await after.close();
  expect((await open()).list(NOW)).toEqual([]);
});

test("of a file that is no use nothing is silent", async () => {
  const before = await open();
  before.add(SILENCE, NOW);
  await before.close();
  writeFileSync(file, '{"rule":"statement-refused"}');
  expect((await open()).list(NOW)).toEqual([]);
  expect(trouble).toHaveLength(1);
});

test("there are not too many of them", async () => {
  const silences = await open();
  for (let n = 0; n < 200; n++) silences.add(SILENCE, NOW);
  expect(silences.add(SILENCE, NOW)).toBeUndefined();
});
