import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { policyCommand } from "../../../src/cli/policy/policy.ts";
import { runCommand, type Outcome } from "../plain-terminal.ts";

const EXAMPLE = path.resolve("config/twokey.example.yaml");

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "twokey-policy-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

const run = (...argv: readonly string[]): Promise<Outcome> => runCommand(policyCommand, argv);

describe("policy test", () => {
  const cases = (text: string): Promise<Outcome> =>
    run("test", write("cases.yaml", text), "--config", EXAMPLE);

  test("is content where all is decided as expected", async () => {
    const outcome = await cases(`
cases:
  - { user: carol, database: shop, sql: DELETE FROM orders WHERE id = 1, expect: block, rule: juniors-touch-nothing }
  - { user: alice, database: shop, sql: DROP TABLE orders, expect: require_approval }
  - { user: alice, database: shop, sql: SELECT 1, tls: false, expect: block, rule: production-only-through-tls }
  - user: alice
    database: shop
    sql: CREATE INDEX ON orders (total)
    at: "2026-11-24T10:00:00+01:00"
    expect: require_approval
    rule: no-heavy-migrations-in-daytime
`);
    expect(outcome).toEqual({
      status: 0,
      stdout: "all of 4 cases are decided as expected\n",
      stderr: "",
    });
  });

  test("names what is decided otherwise, by action and by rule", async () => {
    const outcome = await cases(`
defaults: { tls: false }
cases:
  - { name: juniors may read, user: carol, database: shop, sql: SELECT 1, expect: allow }
  - { user: alice, database: shop, sql: SELECT 1, expect: block, rule: seniors-change }
  - { user: carol, database: shop, sql: SELECT 1, tls: true, expect: allow }
`);
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toBe("2 of 3 cases are decided otherwise");
    expect(outcome.stdout).toBe(
      "not ok juniors may read: expected allow, but it is block by rule production-only-through-tls\n" +
        "not ok alice on shop: SELECT 1: block as expected, but by rule production-only-through-tls instead of seniors-change\n",
    );
  });

  test.each([
    ["cases: []", "cases"],
    ["cases: [{ user: carol, database: shop, sql: SELECT 1, expect: deny }]", "cases.0.expect"],
    ["cases: [{ user: carol, database: shop, sql: SELECT 1, expects: block }]", "cases.0"],
    ["cases: [{ user: zoe, database: shop, sql: SELECT 1, expect: block }]", "nobody is called"],
    ["cases: [{ user: carol, database: no, sql: SELECT 1, expect: block }]", "no database"],
  ])("can't tell of %s", async (text, why) => {
    const outcome = await cases(text);
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain(why);
  });
});

describe("policy diff", () => {
  const changed = (from: string, to: string): string => {
    const text = readFileSync(EXAMPLE, "utf8");
    expect(text).toContain(from);
    return write("changed.yaml", text.replace(from, to));
  };

  test("finds nothing between a configuration and itself", async () => {
    const outcome = await run("diff", EXAMPLE, EXAMPLE);
    expect(outcome.status).toBe(0);
    expect(outcome.stdout).toMatch(/^none of \d{3} decisions is another\n$/);
  });

  test("groups what changes by what it was, what it is, and the rules", async () => {
    const file = changed(
      "effects: { only: [read, session, transaction, copy_out] }",
      "effects: { only: [read, session, transaction, copy_out, write] }",
    );
    const outcome = await run("diff", EXAMPLE, file, "--json");
    expect(outcome.status).toBe(1);
    const groups = outcome.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(groups).toEqual([
      {
        before: { action: "block", rule: "juniors-touch-nothing" },
        after: { action: "allow", rule: "juniors-look" },
        count: 6,
        examples: expect.arrayContaining([
          { user: "carol", database: "shop", sql: "INSERT INTO orders (id) VALUES (1)" },
        ]) as unknown,
      },
    ]);
  });

  test("takes statements from a file, and tells of people who are gone", async () => {
    const file = changed("  dave: { roles: [dba], verifier_file: people/dave.verifier }\n", "");
    const statements = write(
      "statements.jsonl",
      '{"sql": "SELECT 1", "user": "dave", "database": "shop"}\n"SELECT 2"\n',
    );
    const outcome = await run("diff", EXAMPLE, file, "--statements", statements);
    expect(outcome.status).toBe(1);
    expect(outcome.stdout).toContain("allow → can't connect");
    expect(outcome.stdout).toContain("dave on shop: SELECT 1");
  });
});

test("the cases that the how-to shows are decided as it says", async () => {
  const page = readFileSync("docs/how-to/try-a-policy.md", "utf8");
  const file = write("shown.yaml", /```yaml\n([^`]*)```/.exec(page)?.[1] ?? "");
  const outcome = await run("test", file, "--config", EXAMPLE);
  expect(outcome.stdout).toBe("all of 3 cases are decided as expected\n");
});
