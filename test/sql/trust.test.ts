import { describe, expect, it } from "vitest";
import { classify, type Dialect } from "../../src/sql/classify.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { mayChangeFunctions, trusting } from "../../src/sql/trust.ts";

const TRUSTED = new Set(["reads", "shop.reads"]);

function trusted(text: string, dialect: Dialect = "postgresql"): readonly string[] | undefined {
  const classification = classify(text, { dialect, session: NEW_SESSION });
  return trusting(classification, ({ schema, name }) =>
    TRUSTED.has(schema === undefined ? name : `${schema}.${name}`),
  )?.effects;
}

describe("trusting", () => {
  it.each<[text: string, effects: string[]]>([
    ["SELECT reads(1)", ["read"]],
    ["SELECT shop.reads(1), READS(2)", ["read"]],
    ["SELECT * FROM reads(1) WHERE id = shop.reads(2)", ["read"]],
    ["SELECT 1; SELECT reads(1)", ["read"]],
    ["INSERT INTO t VALUES (reads(1))", ["write"]],
    ["DELETE FROM t WHERE id = reads(1)", ["delete"]],
    ["EXPLAIN ANALYZE SELECT reads(1)", ["read"]],
    ["COPY (SELECT reads(1)) TO STDOUT", ["read", "copy_out"]],
    ["BEGIN; SELECT reads(1); COMMIT", ["read", "transaction"]],
  ])("has no more effects than the rest: %s", (text, effects) => {
    expect(trusted(text)).toEqual(effects);
  });

  it.each([
    ["another function", "SELECT reads(1), writes(2)"],
    ["the same name elsewhere", "SELECT other.reads(1)"],
    ["the same name in another case", 'SELECT "Reads"(1)'],
    ["another statement's function", "SELECT reads(1); SELECT writes(2)"],
    ["an operator of somebody's", "SELECT reads(1) <~~> 2"],
    ["a cast to somebody's type", "SELECT reads(1)::mood"],
    ["a built-in that runs SQL", "SELECT reads(1), query_to_xml('SELECT 1', true, true, '')"],
    ["what it calls, given as text", "SELECT query_to_xml('SELECT reads(1)', true, true, '')"],
    ["code", "SELECT reads(1); DO $$BEGIN PERFORM reads(1); END$$"],
    ["a prepared statement", "EXECUTE reads(1)"],
    [
      "its definition beside the call",
      "CREATE OR REPLACE FUNCTION reads(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT reads(1)",
    ],
    ["a call that is kept for later", "CREATE INDEX ON t (reads(a))"],
    [
      "a call beside what may replace it",
      "ALTER FUNCTION writes(int) RENAME TO reads; SELECT reads(1)",
    ],
    ["a call under another role", "SET ROLE boss; SELECT reads(1)"],
    ["nothing unknown", "SELECT 1"],
    ["what can't be read", "SELEC reads(1)"],
  ])("leaves as it is %s", (_, text) => {
    expect(trusted(text)).toBeUndefined();
  });

  it("leaves Redshift's own statements as they are, of which there is no tree", () => {
    expect(trusted("SELECT TOP 5 reads(a) FROM t", "redshift")).toBeUndefined();
  });

  it("keeps what is found besides, and the classification that it was given", () => {
    const classification = classify("DELETE FROM t WHERE reads(1) > 0 OR true", {
      dialect: "postgresql",
      session: NEW_SESSION,
    });
    const before = structuredClone(classification);
    const judged = trusting(classification, () => true);
    expect(judged).toMatchObject({
      destructive: true,
      dependsOnSession: true,
      mayChangeLexing: true,
    });
    expect(judged?.statements[0]?.reasons.map(({ of }) => of)).not.toContain("opaque");
    expect(classification).toEqual(before);
  });
});

it.each([
  ["SELECT 1", false],
  ["SET search_path = a", false],
  ["COMMIT", false],
  ["COMMIT PREPARED 'x'", true],
  ["SELECT writes(1)", true],
  ["CREATE TABLE t ()", true],
  ["DROP FUNCTION f", true],
  ["DO 'BEGIN END'", true],
  ["SELEC", true],
])("tells what may change functions: %s", (text, may) => {
  const classification = classify(text, { dialect: "postgresql", session: NEW_SESSION });
  expect(mayChangeFunctions(classification)).toBe(may);
});
