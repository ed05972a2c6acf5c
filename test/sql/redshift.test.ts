import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { describe, expect, it } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import type { Classification } from "../../src/sql/classification.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";

interface RedshiftCase {
  readonly sql: string;
  readonly effect?: readonly string[];
  readonly destructive?: boolean;
  readonly parses?: boolean;
  readonly by?: "words";
}

const cases = parse(
  readFileSync(new URL("redshift.yaml", import.meta.url), "utf8"),
) as RedshiftCase[];

function redshift(sql: string): Classification {
  return classify(sql, { dialect: "redshift", session: NEW_SESSION });
}

describe("the redshift dialect", () => {
  it.each(cases.map((one) => [one.sql, one] as const))("%s", (sql, one) => {
    const classified = redshift(sql);
    if (classified.kind === "unparsed") {
      expect(one.parses).toBe(false);
      return;
    }
    expect(classified.effects).toEqual(one.effect);
    expect(classified.destructive).toBe(one.destructive ?? false);
    const judgedByWords = classified.statements.some(({ node }) => node === "RedshiftStmt");
    expect(judgedByWords).toBe(one.by === "words");
  });

  it("leaves few of Redshift's own statements unparsed", () => {
    const own = cases.filter(({ sql }) => !/FROBNICATE|UNLOCK/.test(sql));
    const unparsed = own.filter(({ parses }) => parses === false);
    expect(own.length).toBeGreaterThanOrEqual(100);
    expect(unparsed.length / own.length).toBeLessThan(0.05);
    const byWords = own.filter(({ by }) => by === "words").length;
    const page = readFileSync(
      new URL("../../docs/reference/effects.md", import.meta.url),
      "utf8",
    ).replaceAll(/\s+/g, " ");
    expect(page).toContain(
      `Of ${own.length} statements in Redshift's manner (\`test/sql/redshift.yaml\`), the grammar reads ` +
        `${own.length - byWords - unparsed.length}, the list ${byWords}; ${unparsed.length} stay \`unparsed\` ` +
        `(${((100 * unparsed.length) / own.length).toFixed(1)} %).`,
    );
  });

  it("refuses a literal with a backslash, also where PostgreSQL's grammar reads the text", () => {
    expect(redshift("SELECT 'a\\'; DROP TABLE users; --'").kind).toBe("unparsed");
    expect(redshift('SELECT 1 AS "a\\b"').kind).toBe("parsed");
  });

  it("refuses the whole text when one of its statements is unknown", () => {
    expect(redshift("SELECT TOP 1 a FROM t; FROBNICATE t").kind).toBe("unparsed");
  });

  it("does not take a word in the middle of a query for harmless", () => {
    expect(redshift("SELECT TOP 5 * FROM (DELETE FROM t RETURNING *) x").kind).toBe("unparsed");
    expect(redshift("EXPLAIN ANALYZE SELECT TOP 1 a FROM t").kind).toBe("unparsed");
  });
});
