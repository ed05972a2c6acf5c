import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/mistakes.ts";
import { readPeople } from "../../src/config/people-file.ts";

const VERIFIER = `SCRAM-SHA-256$4096:${"s".repeat(22)}==$${"A".repeat(43)}=:${"B".repeat(43)}=`;

const CONFIG = `
upstreams:
  main: { host: db.example, user: twokey }
databases:
  shop: { upstream: main, environment: production }
environments:
  production: {}
roles: [senior, lead]
people:
  alice: { roles: [senior] }
people_file: people/file.yaml
approvals: { allowed_signers: signers }
rules:
  - name: bob-signs
    people: [bob]
    action: require_approval
    approval: { approvers: [lead] }
  - name: work
    action: allow
`;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "twokey-people-"));
  mkdirSync(join(directory, "people"));
  writeFileSync(join(directory, "twokey.yaml"), CONFIG);
  writeFileSync(join(directory, "signers"), "");
  writeFileSync(join(directory, "people/bob.verifier"), VERIFIER);
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const load = (people: string): ReturnType<typeof loadConfig> => {
  writeFileSync(join(directory, "people/file.yaml"), people);
  return loadConfig(join(directory, "twokey.yaml"), { env: {} });
};

function mistakes(people: string): string {
  try {
    load(people);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.mistakes.map((line) => line.replaceAll(`${directory}/`, "")).join("\n");
  }
  return "";
}

const BOB = "people:\n  bob: { roles: [lead], verifier_file: bob.verifier }\n";

test("its people stand beside those of the configuration, and count in its checks", () => {
  const { principals, peopleFile } = load(BOB);
  expect([...principals.keys()]).toEqual(["alice", "bob"]);
  expect(principals.get("bob")?.verifier?.reveal()).toBe(VERIFIER);
  expect([...(peopleFile?.names ?? [])]).toEqual(["bob"]);
});

describe("is refused", () => {
  test.each([
    ["", 'people.0 - "bob" is not in people'],
    [
      `${BOB}  alice: { roles: [lead] }\n`,
      "people/file.yaml:3:3 people.alice - is in the configuration itself already",
    ],
    [
      `${BOB}workloads:\n  bob: { roles: [lead] }\n`,
      "people/file.yaml:4:3 workloads.bob - is a person already",
    ],
    ["people:\n  bob: { roles: [leed] }\n", '"leed" is not in roles; did you mean "lead"?'],
    ["people:\n  bob: { roles: [lead], verifier: hunter2 }\n", "must be a SCRAM-SHA-256 verifier"],
    ["people:\n  bob: { roles: [lead], verifier_file: gone }\n", "people/gone does not exist"],
    ["people:\n  bob: { roles: [lead] }\n  bob: { roles: [lead] }\n", "Map keys must be unique"],
    ["people: [bob]\n", "people - must be keys with values, not a list"],
    ["persons: {}\n", "persons - is not known here"],
    ["bob\n", "must be keys with values, not a string"],
  ])("%j: %s", (people, message) => {
    expect(mistakes(people)).toContain(message);
  });

  test("when it isn't there", () => {
    expect(() => loadConfig(join(directory, "twokey.yaml"), { env: {} })).toThrow(
      /people\/file.yaml:1:1 can't be read/,
    );
  });
});

test("is read anew, with the checks of the first time", () => {
  const config = load(BOB);
  writeFileSync(join(directory, "people/file.yaml"), "workloads:\n  bob: { roles: [senior] }\n");
  expect([...readPeople(config)].map(([name, { kind }]) => [name, kind])).toEqual([
    ["bob", "workload"],
  ]);
  writeFileSync(join(directory, "people/file.yaml"), "people:\n  alice: { roles: [lead] }\n");
  expect(() => readPeople(config)).toThrow(/people.alice - is in the configuration itself already/);
});
