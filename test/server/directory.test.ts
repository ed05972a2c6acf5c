import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Secret } from "../../src/base/secret.ts";
import type { PrincipalConfig } from "../../src/config/config.ts";
import { readPeople } from "../../src/config/people-file.ts";
import { Directory } from "../../src/server/directory.ts";
import { openLog } from "../../src/telemetry/log.ts";

const NOW = new Date("2026-11-23T12:00:00Z");
const ALICE: PrincipalConfig = {
  kind: "person",
  name: "alice",
  roles: ["senior"],
  asksFor: "password",
  verifier: undefined,
  certificates: [],
  tokens: [],
  onlyReads: false,
  places: [],
  isDisabled: false,
  expiresAt: undefined,
};

let folder: string;
let file: string;
let logged: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "twokey-directory-"));
  file = join(folder, "people.yaml");
  logged = [];
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function open(text: string): Directory {
  writeFileSync(file, text);
  const names = new Set(["bob"]);
  const frame = {
    roles: ["senior", "lead"],
    tokens: [],
    environments: [],
    peopleFile: { path: file, names },
  };
  const principals = new Map([["alice", ALICE]]);
  const people = {
    ...frame,
    principals: new Map([...principals, ...readPeople({ ...frame, principals })]),
  };
  const log = openLog({ level: "error" }, { write: (line) => void logged.push(line) });
  return new Directory(people, new Secret(Buffer.from("mock")), log);
}

const BOB = "people:\n  bob: { roles: [lead] }\n";

test("has the people of both, and takes a changed file up", () => {
  const directory = open(BOB);
  expect([...directory.groups(NOW)]).toEqual([
    ["alice", ["senior"]],
    ["bob", ["lead"]],
  ]);
  writeFileSync(
    file,
    "people:\n  bob: { roles: [lead], disabled: true }\n  carol: { roles: [lead] }\n",
  );
  expect(directory.entry("bob")).toMatchObject({ isDisabled: true });
  expect(directory.principal("bob", NOW)).toBeUndefined();
  expect([...directory.groups(NOW).keys()]).toEqual(["alice", "carol"]);
  writeFileSync(file, "");
  expect(directory.entry("carol")).toBeUndefined();
  expect(directory.entry("alice")).toBeDefined();
});

test("keeps the last good ones when the file is no use, and says so once", () => {
  const directory = open(BOB);
  writeFileSync(file, "people:\n  alice: { roles: [lead] }\n");
  expect(directory.entry("bob")).toBeDefined();
  expect(directory.entry("alice")?.principal.roles).toEqual(["senior"]);
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain("is in the configuration itself already");
  rmSync(file);
  expect(directory.entry("bob")).toBeDefined();
  expect(directory.entry("bob")).toBeDefined();
  expect(logged).toHaveLength(2);
  writeFileSync(file, "people:\n  dave: { roles: [lead] }\n");
  expect(directory.entry("bob")).toBeUndefined();
  expect(directory.entry("dave")).toBeDefined();
});

test("takes nobody who has expired for somebody", () => {
  const directory = open("people:\n  bob: { roles: [lead], expires: 2026-11-23 }\n");
  expect(directory.entry("bob")).toBeDefined();
  expect(directory.principal("bob", NOW)).toBeUndefined();
  expect(directory.groups(NOW).has("bob")).toBe(false);
});
