import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { Memory } from "../../src/alerts/memory.ts";

const root = mkdtempSync(path.join(tmpdir(), "twokey-memory-"));
afterAll(() => {
  rmSync(root, { recursive: true });
});

let file: string;
let trouble: unknown[];
beforeEach(() => {
  file = path.join(mkdtempSync(path.join(root, "t-")), "alerts", "known.json");
  trouble = [];
});

function open(): Promise<Memory> {
  return Memory.open(file, { onTrouble: (error) => trouble.push(error) });
}

test.each<[why: string, seen: string[], expected: boolean[]]>([
  ["the first place of all is not new", ["10.0.0.7"], [false]],
  ["another one is, once", ["10.0.0.7", "192.0.2.1", "192.0.2.1"], [false, true, false]],
  ["IPv4 in IPv6's clothes is IPv4", ["10.0.0.7", "::ffff:10.0.0.7"], [false, false]],
  ["IPv6 changes its second half by itself", ["2001:db8::1", "2001:db8::a:b:c:d"], [false, false]],
  ["but not its first", ["2001:db8:0:1::1", "2001:db8:0:2::1"], [false, true]],
  ["a zone is no part of it", ["fe80::1%eth0", "fe80::2"], [false, false]],
])("%s", async (_, seen, expected) => {
  const memory = await open();
  expect(seen.map((address) => memory.isNewAddress("alice", address))).toEqual(expected);
});

test("one person's address is new for another who has been elsewhere", async () => {
  const memory = await open();
  memory.isNewAddress("alice", "10.0.0.7");
  memory.isNewAddress("bob", "10.0.0.8");
  expect(memory.isNewAddress("bob", "10.0.0.7")).toBe(true);
});

test.each<[why: string, seen: string[], expected: boolean[]]>([
  ["the first program of all is not new", ["psql"], [false]],
  ["another one is, once", ["psql", "DBeaver 24.1.0 - Main", "psql"], [false, true, false]],
  ["another version is the same program", ["DBeaver 24.1.0", "DBeaver 25.0"], [false, false]],
  ["so is another connection", ["pgAdmin 4 - CONN:4711", "pgAdmin 4 - CONN:9"], [false, false]],
])("%s", async (_, seen, expected) => {
  const memory = await open();
  expect(seen.map((name) => memory.isNewProgram("alice", name))).toEqual(expected);
});

test("what clients call themselves does not fill the memory", async () => {
  const memory = await open();
  for (let n = 0; n < 1000; n++) {
    const letters = n.toString(26).replaceAll(/\d/g, (digit) => "qrstuvwxyz".charAt(Number(digit)));
    memory.isNewProgram("alice", letters + "x".repeat(10_000));
  }
  await memory.close();
  expect(statSync(file).size).toBeLessThan(10_000);
});

test("remembers over a restart", async () => {
  const before = await open();
  before.isNewAddress("alice", "10.0.0.7");
  expect(before.isNewProgram("alice", "psql")).toBe(false);
  expect(before.isNewConfig("one")).toBe(false);
  await before.close();
  const after = await open();
  expect(after.isNewAddress("alice", "10.0.0.7")).toBe(false);
  expect(after.isNewAddress("alice", "192.0.2.1")).toBe(true);
  expect(after.isNewProgram("alice", "DataGrip")).toBe(true);
  expect(after.isNewConfig("one")).toBe(false);
  expect(after.isNewConfig("two")).toBe(true);
  await after.close();
});

test("begins anew when its file is no use", async () => {
  await (await open()).close();
  writeFileSync(file, "{");
  const memory = await open();
  expect(trouble).toHaveLength(1);
  expect(memory.isNewAddress("alice", "10.0.0.7")).toBe(false);
});
