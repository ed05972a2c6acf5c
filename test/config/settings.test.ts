import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readSettings, settingChanges } from "../../src/config/settings.ts";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-settings-"));

afterAll(() => {
  fs.rmSync(directory, { recursive: true });
});

function settings(yaml: string, people = "people: {}\n"): ReturnType<typeof readSettings> {
  const file = path.join(directory, "twokey.yaml");
  fs.writeFileSync(file, yaml);
  fs.writeFileSync(path.join(directory, "people.yaml"), people);
  return readSettings(file);
}

describe("what changed between two configurations", () => {
  it.each<[before: string, after: string, changes: string[]]>([
    ["a: 1\n", "a: 1 # as before\n", []],
    ["a: {b: [x, y]}\n", "a: {b: [x]}\n", ['a.b: ["x","y"] -> ["x"]']],
    [
      "rules: [{name: one, action: allow}, {name: two, action: block}]\n",
      "rules: [{name: two, action: allow}]\n",
      [
        'rules[one].action: "allow" removed',
        'rules[one].name: "one" removed',
        'rules[two].action: "block" -> "allow"',
      ],
    ],
    [
      "people: {bob: {verifier: SCRAM-SHA-256$old}}\n",
      "people: {bob: {verifier: SCRAM-SHA-256$new}, eve: {verifier: x}}\n",
      ["people.bob.verifier: changed", "people.eve.verifier: [hidden] added"],
    ],
  ])("%j to %j", (before, after, changes) => {
    expect(settingChanges(settings(before), settings(after))).toEqual(changes);
  });

  it("is also in the people file", () => {
    const before = settings("people_file: people.yaml\n", "people: {bob: {roles: [junior]}}\n");
    const after = settings("people_file: people.yaml\n", "people: {bob: {roles: [admin]}}\n");
    expect(settingChanges(before, after)).toEqual([
      'people.yaml: people.bob.roles: ["junior"] -> ["admin"]',
    ]);
  });

  it("has no secret in it", () => {
    const all = [
      ...settings("a: {password: geheim, client_secret: geheim, url: https://geheim}\n"),
    ];
    expect(JSON.stringify(all)).not.toContain("geheim");
  });
});
