import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { explainCommand } from "../../src/cli/explain.ts";
import { runCommand, type Outcome } from "./plain-terminal.ts";

const EXAMPLE = ["--config", "config/twokey.example.yaml"];
const AS_ALICE = [...EXAMPLE, "--user", "alice", "--database", "shop"];

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "twokey-explain-"));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function explain(...argv: string[]): Promise<Outcome> {
  return runCommand(explainCommand, argv);
}

async function answers(lines: readonly unknown[], ...argv: string[]): Promise<unknown[]> {
  const stdin = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const { stdout } = await runCommand(explainCommand, ["--json", ...argv, "-"], { stdin });
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

describe("one line of JSON for each", () => {
  test("tells effects and objects of each statement and of all, without a configuration", async () => {
    expect(await answers(["SELECT 1; DROP TABLE public.users"])).toEqual([
      {
        parses: true,
        statements: [
          { effects: ["read"], destructive: false, objects: [] },
          {
            effects: ["destructive_ddl"],
            destructive: true,
            objects: [{ kind: "table", schema: "public", name: "users" }],
          },
        ],
        effects: ["read", "destructive_ddl"],
        destructive: true,
        must_refuse: false,
        decision: null,
      },
    ]);
  });

  test("says of text that does not parse that it is unparsed", async () => {
    expect(await answers(["SELEC 1"])).toEqual([
      {
        parses: false,
        statements: [],
        effects: ["unparsed"],
        destructive: false,
        must_refuse: false,
        decision: null,
      },
    ]);
  });

  test("tells what must be refused whatever the role", async () => {
    const [answer] = await answers(["SET standard_conforming_strings = off"], ...AS_ALICE);
    expect(answer).toMatchObject({
      must_refuse: true,
      decision: { action: "block", rule: "builtin:reads-differently" },
    });
  });

  test("decides where a configuration, a user and a database are given", async () => {
    const who = { user: "alice", database: "shop" };
    const decided = await answers(
      [
        { sql: "SELECT 1", ...who },
        { sql: "DROP DATABASE shop", ...who },
        { sql: "DROP DATABASE shop", user: "carol", database: "shop" },
        { sql: "DROP DATABASE shop", user: "carol" },
      ],
      ...EXAMPLE,
    );
    expect(decided).toMatchObject([
      { decision: { action: "allow", rule: "seniors-change" } },
      {
        decision: {
          action: "require_approval",
          rule: "two-signatures-for-a-whole-database",
        },
      },
      { decision: { action: "block", rule: "juniors-touch-nothing" } },
      { decision: null },
    ]);
  });

  test("takes what ran before on the same connection into account", async () => {
    const drop = { sql: "DROP TABLE scratch" };
    expect(
      await answers([drop, { ...drop, setup: ["CREATE TEMP TABLE scratch (id int)"] }]),
    ).toMatchObject([{ destructive: true }, { destructive: false }]);
  });

  test("answers in step: what can't be answered has its line, too, and leaves with 2", async () => {
    const stdin = `"SELECT 1"\nnonsense\n\n{"sql": 1}\n{"sql":"SELECT 1","user":"zoe","database":"shop"}\n{"sql":"SELECT 1","user":"zoe","database":"shap"}\n"SELECT 2"\n`;
    const outcome = await runCommand(explainCommand, ["--json", ...EXAMPLE, "-"], { stdin });
    expect(outcome.status).toBe(2);
    const lines = outcome.stdout.trim().split("\n");
    expect(lines.map((line) => Object.keys(JSON.parse(line) as object)[0])).toEqual([
      "parses",
      "error",
      "error",
      "error",
      "error",
      "parses",
    ]);
    expect(lines[3]).toContain('nobody is called \\"zoe\\"');
    expect(lines[4]).toContain('no database \\"shap\\"');
  });

  test("takes the rest of a corpus's case as it is", async () => {
    const corpusCase = { sql: "SELECT 1", effect: ["read"], destructive: false, note: "simple" };
    expect(await answers([corpusCase])).toMatchObject([{ effects: ["read"] }]);
  });
});

describe("for people", () => {
  test("shows statement by statement what it does, what is decided and why", async () => {
    const at = ["--at", "2026-11-29T10:00:00Z"];
    const outcome = await explain(...AS_ALICE, ...at, "DELETE FROM orders; DROP DATABASE shop");
    expect(outcome).toMatchObject({ status: 1, stderr: "it would need an approval" });
    expect(outcome.stdout).toMatch(/^1\. .*\n {3}effects {3}delete, destructive\n/);
    expect(outcome.stdout).toContain("   objects   table orders\n");
    expect(outcome.stdout).toMatch(/ {3}because {3}destructive: .*no filter.* «.*»\n/);
    expect(outcome.stdout).toContain("   reaches   every database of the server\n");
    expect(outcome.stdout).toContain(
      '   decision  needs approval by rule "two-people-for-what-is-lost-for-good" of production\n' +
        "             1 signature of lead or dba, good for one use within 60 min, with a reason, refused until then\n",
    );
    expect(outcome.stdout).toContain(
      "\n\nsent at once, all 2:\n   decision  needs approval by rule",
    );
  });

  test("shows the way out of a refusal", async () => {
    const outcome = await explain(
      ...EXAMPLE,
      "--user",
      "carol",
      "--database",
      "shop",
      "DELETE FROM t WHERE id = 1",
    );
    expect(outcome).toMatchObject({ status: 1, stderr: "it would be refused" });
    expect(outcome.stdout).toContain(
      '   decision  refused by rule "juniors-touch-nothing" of production\n' +
        "             juniors neither write nor delete here\n" +
        "             hint: ask a senior, or try it on shop_dev\n",
    );
  });

  test("leaves with 0 for what is allowed", async () => {
    const outcome = await explain(...AS_ALICE, "SELECT 1");
    expect(outcome.status).toBe(0);
    expect(outcome.stdout).toContain('decision  allowed by rule "seniors-change" of production\n');
  });

  test("tells where text does not parse", async () => {
    const outcome = await explain("SELECT 1,\n  FROM t\nWHERE");
    expect(outcome).toMatchObject({
      status: 1,
      stdout: 'does not parse: syntax error at or near "FROM" (line 2, column 3)\n',
      stderr: "it does not parse",
    });
  });

  test("lets no control character through to the terminal", async () => {
    const { stdout } = await explain('DROP TABLE "a\u001b[2Jb"');
    expect(stdout).not.toContain("\u001b");
  });

  test("reads a file, and standard input", async () => {
    const file = join(directory, "migration.sql");
    writeFileSync(file, "CREATE TABLE t (id int);\nDROP TABLE t;\n");
    const fromFile = await explain("--json", file);
    expect(JSON.parse(fromFile.stdout)).toMatchObject({ statements: [{}, {}] });
    const fromStdin = await runCommand(explainCommand, ["-"], { stdin: "SELECT 1" });
    expect(fromStdin.stdout).toContain("effects   read\n");
    expect(await explain(join(directory, "nowhere.sql"))).toMatchObject({ status: 2 });
  });
});

test("decides for the circumstances that it is told", async () => {
  const sql = "SELECT 1";
  expect((await explain(...AS_ALICE, "--no-tls", sql)).stdout).toContain(
    "production-only-through-tls",
  );
  const dev = [...EXAMPLE, "--user", "alice", "--database", "shop_dev", "--json"];
  const from = async (address: string): Promise<unknown> =>
    JSON.parse((await explain(...dev, "--address", address, sql)).stdout);
  expect(await from("10.9.9.9")).toMatchObject({ decision: { action: "allow" } });
  expect(await from("203.0.113.5")).toMatchObject({ decision: { rule: "builtin:no-rule" } });
  expect(await explain(...dev, "--address", "nowhere", sql)).toMatchObject({ status: 2 });
  expect(await explain(...AS_ALICE, "--at", "tomorrow", sql)).toMatchObject({ status: 2 });
});

test("knows who may not log in any more", async () => {
  const outcome = await explain(
    ...[...EXAMPLE, "--user", "carol", "--database", "shop", "--at", "2099-06-01", "SELECT 1"],
  );
  expect(outcome).toMatchObject({ status: 2, stderr: "carol may not log in: expired" });
});

test("runs setup that is given as an option", async () => {
  const outcome = await explain(
    "--json",
    "--setup",
    "CREATE TEMP TABLE s (id int)",
    "DROP TABLE s",
  );
  expect(JSON.parse(outcome.stdout)).toMatchObject({ destructive: false });
});

test("the how-to shows what is really printed", async () => {
  const page = readFileSync("docs/how-to/write-a-policy.md", "utf8");
  const [, sql = "", shown] = /\$ twokey explain "(.*)"\n([^`]*)```/.exec(page) ?? [];
  expect((await explain(sql)).stdout).toBe(shown);
});
