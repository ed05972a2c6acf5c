import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import { parse, warmUp } from "../../src/sql/parser.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { holdsForShape, shapeOf } from "../../src/sql/shape.ts";
import type { Classification } from "../../src/sql/classification.ts";

beforeAll(warmUp);

const judged = (text: string): Classification =>
  classify(text, { dialect: "postgresql", session: NEW_SESSION });

describe("shapeOf", () => {
  it.each([
    ["SELECT a FROM t WHERE b = 5", "SELECT a FROM t WHERE b = 12345"],
    ["SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = 'y; DROP TABLE t'"],
    ["INSERT INTO t VALUES (1,'a')", "INSERT INTO t VALUES (2,'b c')"],
    [`SELECT "a 1" FROM t LIMIT 10`, `SELECT "a 1" FROM t LIMIT 20`],
    ["SELECT a1, $1 FROM t2 WHERE x=-7", "SELECT a1, $1 FROM t2 WHERE x=-8"],
  ])("is the same for texts that differ in a literal: %s", (a, b) => {
    expect(shapeOf(a)).toBeDefined();
    expect(shapeOf(a)).toBe(shapeOf(b));
  });

  it.each([
    ["SELECT a1", "SELECT a2"],
    [`SELECT "a1"`, `SELECT "a2"`],
    ["SELECT $1", "SELECT $2"],
    ["SELECT 1", "SELECT '1'"],
    ["SELECT 1", "SELECT 1.0"],
    ["SELECT 1", "SELECT 3000000000"],
    ["SELECT 7", "SELECT 07"],
    ["SELECT 1 - 1", "SELECT 1 + 1"],
    ["SELECT 'a' 'b'", "SELECT 'a'\n'b'"],
  ])("differs for texts that differ otherwise: %s", (a, b) => {
    expect(shapeOf(a)).not.toBe(shapeOf(b));
  });

  it.each([
    "SELECT 1 -- 2",
    "SELECT 1 /* 2 */",
    "SELECT E'a'",
    "SELECT e'a'",
    "SELECT B'1'",
    "SELECT U&'a'",
    `SELECT U&"a"`,
    "SELECT N'a'",
    "SELECT 'it''s'",
    String.raw`SELECT 'a\b'`,
    "SELECT $$a$$",
    "SELECT $a$b$a$",
    "SELECT a$$; DROP TABLE t; --$$",
    "SELECT 'é'",
    "SELECT é",
    "SELECT 1\f",
    "SELECT 'a",
    `SELECT "a`,
    "SELECT {",
    "SELECT \x01",
  ])("is none for what only the grammar can follow: %s", (text) => {
    expect(shapeOf(text)).toBeUndefined();
  });

  it("means one tree, whatever the literals (property)", () => {
    const pieces = fc.constantFrom(
      ...[
        "SELECT ",
        "a",
        "'x'",
        "1",
        "23",
        " ",
        "+",
        "-",
        "/",
        "*",
        "'",
        `"`,
        "(",
        ")",
        ",",
        ".",
        ";",
        "$1",
        "$",
      ],
      ...[
        "E",
        "e",
        "U&",
        "--",
        "/*",
        "*/",
        "\n",
        " FROM t ",
        " WHERE ",
        "=",
        "::int",
        "0",
        "007",
        "1.5",
        "1e5",
        "B",
        "::",
        "AS",
        "LIKE ",
      ],
    );
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 14 }),
        fc.nat(999_999_999),
        fc.stringMatching(/^[ -&(-[\]-~]{0,12}$/),
        (list, n, s) => {
          const text = `SELECT ${list.join("")}`;
          const other = text
            .replace(/(?<![\w.$'"])[1-9]\d*(?![\w.'"])/g, String(n))
            .replace(/(?<![\w&'])'x'(?!')/g, `'${s}'`);
          const shape = shapeOf(text);
          if (shape === undefined || shapeOf(other) !== shape) return;
          expect(treeOf(other)).toEqual(treeOf(text));
        },
      ),
      { numRuns: 3000 },
    );
  });
});

/** The tree without what a literal may change: its value, and where things stand. */
function treeOf(text: string): unknown {
  const parsed = parse(text);
  if (parsed.kind === "refused") return parsed.cause;
  return JSON.parse(
    JSON.stringify(parsed.statements, (key, value: unknown) =>
      [
        "location",
        "stmt_len",
        "stmt_location",
        "rexpr_list_start",
        "rexpr_list_end",
        "list_start",
        "list_end",
      ].includes(key)
        ? undefined
        : key === "ival" || key === "sval"
          ? "literal"
          : value,
    ),
  );
}

describe("holdsForShape", () => {
  it.each([
    "SELECT abalance FROM pgbench_accounts WHERE aid = 77",
    "SELECT * FROM users WHERE email = 'a@example.org' LIMIT 1",
    "UPDATE pgbench_accounts SET abalance = abalance + 5 WHERE aid = 77;",
    "UPDATE public.users SET name = 'x', n = 5 WHERE id = 7 AND tenant = 'a'",
    "DELETE FROM sessions WHERE id = 'abc' and at < 5",
    "INSERT INTO pgbench_history (tid, bid, aid) VALUES (1, 2, 3)",
  ])("takes %s", (text) => {
    expect(holdsForShape(judged(text), shapeOf(text) ?? "")).toBe(true);
  });

  it.each([
    "DELETE FROM users WHERE 1 = 0",
    "UPDATE users SET a = 1 WHERE id = 5 OR id <> 6",
    "UPDATE users SET a = 1 WHERE 5 = id",
    "UPDATE users SET a = (SELECT 1 WHERE 1 = 1) WHERE id = 5",
    "UPDATE users SET a = 1 FROM t WHERE t.id = 5 AND users.id = 5 RETURNING id",
    "UPDATE users u SET a = 1 WHERE u.id = 5",
    "DELETE FROM users USING t WHERE t.id = 5",
    "DELETE FROM users WHERE id = 5 AND 1 = 1",
    "DELETE FROM users WHERE NOT id = 5",
    "DELETE FROM users WHERE true = 'f'",
    "DELETE FROM users WHERE false = 't' AND id = 5",
    "DELETE FROM users WHERE null = 1",
    "DELETE FROM users WHERE 1.5 = 2",
    "DELETE FROM users WHERE 007 = 8",
    "DELETE FROM users WHERE 0x1 = 2",
    "UPDATE users SET a = 1 WHERE TRUE <> 't'",
    "UPDATE pg_db_role_setting SET setconfig = '{work_mem=1MB}' WHERE setrole = 10",
    "INSERT INTO pg_db_role_setting VALUES (0, 10, '{work_mem=1MB}')",
    "DELETE FROM users WHERE id LIKE '%'",
    "SELECT set_config('a.b', 'c', false)",
    "SELECT nextval('s')",
    "EXPLAIN (ANALYZE 0) DELETE FROM users",
    "SET standard_conforming_strings = 1",
    "WITH x AS (UPDATE users SET a = 1 WHERE 1 = 0 RETURNING id) INSERT INTO t SELECT id FROM x",
    "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 2 WHERE 1 = 0",
    "SELECT total_for(7)",
    "SELECT 1; SELECT 2",
    "SELECT 'unterminated",
  ])("does not take %s, whose judgement a literal may change", (text) => {
    expect(holdsForShape(judged(text), shapeOf(text) ?? text)).toBe(false);
  });
});
