import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/config.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Decision } from "../../src/policy/decision.ts";
import type { StatementClassification } from "../../src/sql/classification.ts";
import { input, parsed, statement } from "../policy/situations.ts";

const examples = readdirSync("config").filter((file) => file.endsWith(".yaml"));

test.each(examples)("config/%s loads", (file) => {
  const config = loadConfig(`config/${file}`, { surroundings: "skip" });
  expect(config.policy.rules.length).toBeGreaterThan(0);
});

describe("config/twokey.example.yaml: person × statement × place", () => {
  const config = loadConfig("config/twokey.example.yaml", { surroundings: "skip" });
  const objects = (kind: string, name: string): StatementClassification["objects"] => [
    { kind, schema: undefined, name },
  ];

  const STATEMENTS: Record<string, StatementClassification> = {
    select: statement(["read"]),
    insert: statement(["write"]),
    "delete where": statement(["delete"]),
    "delete all": statement(["delete"], { destructive: true }),
    "create table": statement(["ddl"]),
    "create index": statement(["ddl"], {
      warnings: [{ name: "index-blocks-writes", why: "", safer: "" }],
    }),
    "drop temporary table": statement(["destructive_ddl"]),
    "drop table": statement(["destructive_ddl"], {
      destructive: true,
      objects: objects("table", "orders"),
    }),
    "drop audit table": statement(["destructive_ddl"], {
      destructive: true,
      objects: objects("table", "audit_log"),
    }),
    "drop database shop": statement(["destructive_ddl"], {
      destructive: true,
      reach: "cluster",
      objects: objects("database", "shop"),
    }),
    grant: statement(["privilege"]),
    do: statement(["opaque"]),
    "copy to program": statement(["program_execution"], { destructive: true, reach: "cluster" }),
  };

  test.each<[who: string, database: string, what: string, outcome: string]>([
    ["carol", "shop", "select", "allow by juniors-look"],
    ["carol", "shop", "insert", "block by juniors-touch-nothing"],
    ["carol", "shop", "delete where", "block by juniors-touch-nothing"],
    ["carol", "shop", "drop database shop", "block by juniors-touch-nothing"],
    ["carol", "shop_staging", "insert", "block by juniors-touch-nothing"],
    ["carol", "shop_dev", "insert", "allow by development-is-free"],
    ["carol", "shop_dev", "drop table", "allow by development-is-free"],
    ["carol", "shop_dev", "drop database shop", "block by juniors-touch-nothing"], // staging's, on that server
    ["alice", "shop", "select", "allow by seniors-change"],
    ["alice", "shop", "insert", "allow by seniors-change"],
    ["alice", "shop", "create table", "allow by seniors-change"],
    ["alice", "shop", "create index", "require_approval by no-heavy-migrations-in-daytime"],
    ["alice", "shop", "drop temporary table", "allow by seniors-change"],
    ["alice", "shop", "delete all", "require_approval by two-people-for-what-is-lost-for-good"],
    ["alice", "shop", "drop table", "require_approval by two-people-for-what-is-lost-for-good"],
    ["alice", "shop", "drop audit table", "block by audit-tables-stay"],
    [
      "alice",
      "shop",
      "drop database shop",
      "require_approval by two-signatures-for-a-whole-database",
    ],
    ["alice", "shop", "grant", "require_approval by two-people-for-what-nobody-can-foresee"],
    ["alice", "shop", "do", "require_approval by two-people-for-what-nobody-can-foresee"],
    ["alice", "shop", "copy to program", "block by server-files-and-programs"],
    ["alice", "shop_staging", "drop table", "allow by staging-is-for-trying"],
    ["alice", "shop_dev", "copy to program", "block by server-files-and-programs"], // staging's, on that server
    ["erin", "shop", "select", "allow by leads-look"],
    ["erin", "shop", "insert", "block by builtin:no-rule"],
    ["dave", "shop", "drop table", "require_approval by two-people-for-what-is-lost-for-good"],
    ["shop-api", "shop", "insert", "allow by applications-work-on-rows"],
    ["shop-api", "shop", "delete where", "allow by applications-work-on-rows"],
    ["shop-api", "shop", "delete all", "block by applications-do-nothing-else"],
    ["shop-api", "shop", "create table", "block by applications-do-nothing-else"],
    ["shop-api", "shop", "drop table", "block by applications-do-nothing-else"],
  ])("%s on %s: %s → %s", (who, database, what, outcome) => {
    const { action, rule } = decisionOf(config, { who, database, statement: STATEMENTS[what] });
    expect(`${action} by ${rule}`).toBe(outcome);
  });

  test("a whole database needs two signatures, of leads or DBAs, with a reason, for half an hour", () => {
    const decision = decisionOf(config, {
      who: "alice",
      database: "shop",
      statement: STATEMENTS["drop database shop"],
    });
    expect(decision).toMatchObject({
      terms: {
        approvers: ["lead", "dba"],
        signatures: 2,
        maxValiditySeconds: 1800,
        maxUses: 1,
        isReasonRequired: true,
      },
    });
  });
});

function decisionOf(
  config: Config,
  {
    who,
    database,
    statement: its,
  }: { who: string; database: string; statement: StatementClassification | undefined },
): Decision {
  const principal = config.principals.get(who);
  const at = config.databases.get(database);
  if (principal === undefined || at === undefined || its === undefined)
    throw new Error("no such case");
  const { place, neighbours } = at;
  return decide(config.policy, input(parsed(its), { principal, place, neighbours }));
}

test("what the how-to shows can be used as it stands", () => {
  const page = readFileSync("docs/how-to/write-a-policy.md", "utf8");
  const shown = [...page.matchAll(/```yaml\n(?:rules:\n)?([^`]*)```/g)].map(([, block = ""]) =>
    block.startsWith("- ") ? block.replace(/^(?=.)/gm, "  ") : block,
  );
  const blocks = shown.filter((block) => block.startsWith("  "));
  const sections = shown.filter((block) => !block.startsWith("  "));
  expect([blocks.length, sections.length]).toEqual([4, 2]);
  const directory = mkdtempSync(join(tmpdir(), "twokey-how-to-"));
  try {
    const file = join(directory, "twokey.yaml");
    const around = readFileSync("config/minimal.yaml", "utf8")
      .replace("[engineer]", "[engineer, junior, senior, lead]")
      .replace("bob: { roles: [engineer]", "bob: { roles: [lead]")
      .replace(/^environments:(?:\n? .*)+\n/m, "")
      .replace(/^rules:[^]*/m, `${sections.join("")}rules:\n`);
    writeFileSync(file, around + blocks.reverse().join(""));
    const config = loadConfig(file, { surroundings: "skip" });
    expect(config.policy.rules).toHaveLength(6);
    expect([...config.databases.values()].every((each) => each.trustsVolatility)).toBe(true);
    expect(config.catalogue.functions?.get("shop.price_of")).toBe("harmless");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
