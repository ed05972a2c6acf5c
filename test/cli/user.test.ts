import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseVerifier, makeVerifier } from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import { userCommand } from "../../src/cli/user.ts";
import { Home, type Ran, type Typist } from "./harness.ts";
import { runCommand } from "./plain-terminal.ts";

const CONFIG = `
people_file: people.yaml
approvals: { allowed_signers: allowed_signers }
roles: [senior, lead, application]
people:
  root: { roles: [lead] }
`;

const PEOPLE = `# Ours. Ask Bob before you change it.
people:
  # since 2019
  bob: { roles: [ lead ] } # on call
workloads:
  api:
    roles: [ application ]
`;

let home: Home;
let config: string;
let people: string;
let signers: string;
let passwordFile: string;

beforeEach(() => {
  home = new Home();
  const at = (name: string): string => join(home.directory, name);
  [config, people, signers] = [at("twokey.yaml"), at("people.yaml"), at("allowed_signers")];
  passwordFile = at("password");
  writeFileSync(config, CONFIG);
  writeFileSync(people, PEOPLE);
  writeFileSync(passwordFile, "correct horse\n");
});

afterEach(() => {
  home.remove();
});

function user(argv: readonly string[], typist?: Typist): Promise<Ran> {
  const [sub = "", ...rest] = argv;
  return home.run(["user", sub, "--config", config, ...rest], typist);
}

const text = (): string => readFileSync(people, "utf8");

async function opens(verifier: string | undefined, password: string): Promise<boolean> {
  const parsed = parseVerifier(verifier ?? "");
  if (parsed === undefined) return false;
  return (await makeVerifier(new Secret(password), parsed)).storedKey.equals(parsed.storedKey);
}

describe("user add", () => {
  test("keeps the verifier, not the password, and every comment", async () => {
    const ran = await user(["add", "alice", "--role", "senior", "--password-file", passwordFile]);
    expect(ran).toMatchObject({ status: 0, stdout: `alice is in ${people}\n` });
    expect(text()).toContain(PEOPLE.slice(0, PEOPLE.indexOf("workloads:")));
    expect(text()).not.toContain("correct horse");
    const [, verifier] = /verifier: (SCRAM-\S+)/.exec(text()) ?? [];
    expect(await opens(verifier, "correct horse")).toBe(true);
    expect(statSync(people).mode & 0o777).toBe(0o600);
    expect(existsSync(`${people}.new`)).toBe(false);
  });

  test("makes the file where there is none", async () => {
    writeFileSync(config, CONFIG.replace("people.yaml", "fresh.yaml"));
    const ran = await user(["add", "job", "--workload", "--role", "application", "--no-password"]);
    expect(ran.status).toBe(0);
    expect(readFileSync(join(home.directory, "fresh.yaml"), "utf8")).toBe(
      "workloads:\n  job:\n    roles:\n      - application\n",
    );
  });

  test("takes the password from a terminal, typed twice the same", async () => {
    expect(
      (await user(["add", "alice", "--role", "senior"], { types: "typed twice" })).status,
    ).toBe(0);
    const [, verifier] = /verifier: (SCRAM-\S+)/.exec(text()) ?? [];
    expect(await opens(verifier, "typed twice")).toBe(true);
  });

  test("takes the password from standard input", async () => {
    const argv = ["add", "alice", "--config", config, "--role", "senior"];
    const ran = await runCommand(userCommand, argv, { stdin: "from a pipe\n" });
    expect(ran.status).toBe(0);
    const [, verifier] = /verifier: (SCRAM-\S+)/.exec(text()) ?? [];
    expect(await opens(verifier, "from a pipe")).toBe(true);
  });

  test.each([
    ["who is there", ["bob", "--role", "lead", "--no-password"], 1, "bob is there already"],
    [
      "who stands in the configuration",
      ["root", "--role", "lead", "--no-password"],
      1,
      "root is there already",
    ],
    [
      "a role that is not",
      ["alice", "--role", "snior", "--no-password"],
      2,
      '"snior" is not in roles; did you mean "senior"?',
    ],
    ["a name that is none", ["a b", "--role", "lead", "--no-password"], 2, "must be a name"],
    ["a name that objects swallow", ["__proto__", "--role", "lead", "--no-password"], 2, "no name"],
    [
      "a day that is not",
      ["alice", "--role", "lead", "--no-password", "--expires", "2027-02-30"],
      2,
      "is no day of the calendar",
    ],
    [
      "a key for a workload",
      ["job", "--workload", "--role", "lead", "--no-password", "--key", "x"],
      2,
      "a workload never signs",
    ],
  ])("refuses %s, and leaves the file alone", async (_, argv, status, why) => {
    const ran = await user(["add", ...argv]);
    expect(ran.status).toBe(status);
    expect(ran.stderr).toContain(why);
    expect(text()).toBe(PEOPLE);
    expect(existsSync(`${people}.new`)).toBe(false);
  });

  test("refuses a password that is short, or more than a line", async () => {
    for (const [password, status] of [
      ["hunter2", 1],
      ["two lines\nof it\n", 2],
      ["", 1],
    ] as const) {
      writeFileSync(passwordFile, password);
      const ran = await user(["add", "alice", "--role", "senior", "--password-file", passwordFile]);
      expect(ran.status).toBe(status);
    }
    expect(text()).toBe(PEOPLE);
  });
});

describe("an edit", () => {
  test("keeps another from going on at the same time", async () => {
    writeFileSync(`${people}.new`, "");
    const ran = await user(["disable", "bob"]);
    expect(ran).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("people.yaml.new") as string,
    });
    expect(text()).toBe(PEOPLE);
    expect(existsSync(`${people}.new`)).toBe(true);
  });

  test("goes through a link to the file behind it", async () => {
    const link = join(home.directory, "link.yaml");
    symlinkSync(people, link);
    writeFileSync(config, CONFIG.replace("people.yaml", "link.yaml"));
    expect((await user(["disable", "bob"])).status).toBe(0);
    expect(text()).toContain("disabled: true");
  });

  test("refuses a file that has mistakes already", async () => {
    writeFileSync(people, `${PEOPLE}  bad: { rols: [lead] }\n`);
    const ran = await user(["disable", "bob"]);
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain("workloads.bad.rols - is not known here");
  });

  test("needs a people file to be named", async () => {
    writeFileSync(config, CONFIG.replace("people_file: people.yaml\n", ""));
    const ran = await user(["add", "alice", "--role", "lead", "--no-password"]);
    expect(ran).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("people_file: people.yaml") as string,
    });
  });
});

test("user disable and enable undo each other", async () => {
  expect((await user(["disable", "bob"])).stdout).toBe("bob can neither log in nor sign\n");
  expect(text()).toContain("  bob: { roles: [ lead ], disabled: true } # on call\n");
  expect((await user(["enable", "bob"])).stdout).toBe("bob can log in and sign again\n");
  expect(text()).toContain("  bob: { roles: [ lead ] } # on call\n");
  expect(await user(["disable", "nobody"])).toMatchObject({
    status: 1,
    stderr: "error: nobody is called nobody\n",
  });
  expect(await user(["disable", "root"])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("stands in") as string,
  });
});

test("user password replaces the verifier, and the file of one", async () => {
  writeFileSync(people, PEOPLE.replace("[ lead ] }", "[ lead ], verifier_file: x }"));
  expect((await user(["password", "bob", "--password-file", passwordFile])).status).toBe(0);
  expect(text()).not.toContain("verifier_file");
  const [, verifier] = /verifier: (SCRAM-\S+)/.exec(text()) ?? [];
  expect(await opens(verifier, "correct horse")).toBe(true);
});

describe("user keys", () => {
  const key = (person: string): string => `${home.key(person)}.pub`;

  test("gives, shows and takes a key", async () => {
    writeFileSync(signers, "# ours");
    const added = await user(["keys", "bob", "--add", key("bob")]);
    const [print = ""] = /SHA256:\S+/.exec(added.stdout) ?? [];
    expect(added.stdout).toBe(`bob signs with ${print}\n`);
    expect(readFileSync(signers, "utf8")).toMatch(
      /^# ours\nbob namespaces="approval@twokey,login@twokey" ssh-ed25519 \S+\n$/,
    );
    const shown = await user(["keys", "bob", "--json"]);
    expect(JSON.parse(shown.stdout)).toMatchObject({
      line: 2,
      fingerprint: print,
      principals: "bob",
    });
    expect((await user(["keys", "bob"])).stdout).toContain(print);
    expect((await user(["keys", "bob", "--remove", print])).status).toBe(0);
    expect(readFileSync(signers, "utf8")).toBe("# ours\n");
    expect(await user(["keys", "bob", "--remove", print])).toMatchObject({ status: 1 });
  });

  test("comes with the person, if so wanted", async () => {
    const argv = ["add", "alice", "--role", "senior", "--no-password", "--key", key("alice")];
    expect((await user(argv)).stdout).toMatch(/alice is in .*\nalice signs with SHA256:/);
    const { stdout } = await user(["list", "--json"]);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toMatchObject([
      { name: "root", file: config, password: false },
      { name: "bob", kind: "person", keys: 0, file: people },
      { name: "alice", kind: "person", keys: 1, roles: ["senior"], disabled: false },
      { name: "api", kind: "workload", keys: 0 },
    ]);
    expect((await user(["list"])).stdout).toMatch(
      /^NAME +KIND +ROLES +PASSWORD +KEYS +STATE +FILE\n/,
    );
  });

  test("is never two people's", async () => {
    await user(["keys", "bob", "--add", key("bob")]);
    const ran = await user(["keys", "root", "--add", key("bob")]);
    expect(ran).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("is a key of bob") as string,
    });
    expect((await user(["keys", "bob", "--add", key("bob")])).status).toBe(1);
  });

  test("of a line for several is left to a hand", async () => {
    writeFileSync(signers, `bob,root ${readFileSync(key("bob"), "utf8")}`);
    const { stdout } = await user(["keys", "bob", "--json"]);
    const { fingerprint } = JSON.parse(stdout) as { fingerprint: string };
    const ran = await user(["keys", "bob", "--remove", fingerprint]);
    expect(ran).toMatchObject({ status: 1, stderr: expect.stringContaining("by hand") as string });
  });

  test("is no workload's, and nobody's", async () => {
    expect((await user(["keys", "api"])).stderr).toContain("never signs");
    expect((await user(["keys", "zed"])).stderr).toContain("nobody is called zed");
  });
});
