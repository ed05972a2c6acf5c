import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { Outbox, type Entry } from "../../src/alerts/outbox.ts";
import { ALERT } from "./samples.ts";

const root = mkdtempSync(path.join(tmpdir(), "twokey-outbox-"));
afterAll(() => {
  rmSync(root, { recursive: true });
});

let directory: string;
let trouble: unknown[];
beforeEach(() => {
  directory = path.join(mkdtempSync(path.join(root, "t-")), "outbox");
  trouble = [];
});

function open(): ReturnType<typeof Outbox.open> {
  return Outbox.open(directory, { onTrouble: (error) => trouble.push(error) });
}

function entry(id: string, queuedAt: string): Entry {
  return { sink: "chat", alert: { ...ALERT, id }, queuedAt };
}

const FIRST = entry("A-2", "2027-03-14T09:00:00.000Z");
const SECOND = entry("A-1", "2027-03-14T10:00:00.000Z");

test("keeps what is not delivered, the oldest first", async () => {
  const { outbox, left } = await open();
  expect(left).toEqual([]);
  outbox.put(SECOND);
  outbox.put(FIRST);
  await outbox.close();
  expect((await open()).left).toEqual([FIRST, SECOND]);
});

test("forgets what is", async () => {
  const { outbox } = await open();
  outbox.put(FIRST);
  outbox.put(SECOND);
  outbox.remove(FIRST);
  await outbox.close();
  expect((await open()).left).toEqual([SECOND]);
  expect(trouble).toEqual([]);
});

test("shows its files to nobody else", async () => {
  const { outbox } = await open();
  outbox.put(FIRST);
  await outbox.close();
  expect(statSync(directory).mode & 0o077).toBe(0);
  expect(statSync(path.join(directory, "A-2.chat.json")).mode & 0o077).toBe(0);
});

test("passes over what a killed process left half written, and sets aside what is no alert", async () => {
  const { outbox } = await open();
  outbox.put(FIRST);
  await outbox.close();
  writeFileSync(path.join(directory, "A-3.chat.json.unfinished"), '{"sink":"ch');
  writeFileSync(path.join(directory, "A-4.chat.json"), '{"sink":"ch');
  expect((await open()).left).toEqual([FIRST]);
  expect(readdirSync(directory).sort()).toEqual(["A-2.chat.json", "A-4.chat.json.unreadable"]);
  expect(trouble).toHaveLength(1);
});

test("a disk in trouble is told of, and stops nobody", async () => {
  const { outbox } = await open();
  rmSync(directory, { recursive: true });
  outbox.put(FIRST);
  outbox.remove(FIRST);
  await outbox.close();
  expect(trouble).toHaveLength(1);
});
