import { describe, expect, it } from "vitest";
import { Shapes } from "../../src/habits/shapes.ts";
import { classify } from "../../src/sql/classify.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";

const shapes = new Shapes();

function shapeOf(sql: string, database = "shop"): ReturnType<Shapes["of"]> {
  const classification = classify(sql, { dialect: "postgresql", session: NEW_SESSION });
  if (classification.kind === "unparsed") throw new Error(classification.message);
  return shapes.of(classification, database);
}

describe("the shape of a statement", () => {
  it.each([
    ["literals", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 22"],
    ["parameters", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = $1"],
    ["blanks and case", "SELECT a FROM t", "select  a\nFROM t"],
    ["comments", "SELECT a FROM t", "SELECT a /* trace 4711 */ FROM t"],
    [
      "how long a list is",
      "SELECT a FROM t WHERE b IN (1, 2, 3)",
      "SELECT a FROM t WHERE b IN (7)",
    ],
    ["how many rows", "INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (2, 'y'), (3, 'z')"],
    ["strings with quotes", "SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = 'it''s'"],
  ])("is the same whatever its %s", (_, one, other) => {
    expect(shapeOf(other)?.id).toBe(shapeOf(one)?.id);
  });

  it.each([
    ["tables", "SELECT a FROM t", "SELECT a FROM u"],
    ["columns", "SELECT a FROM t", "SELECT a, password FROM t"],
    ["conditions", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 1 OR 1 = 1"],
    ["a constant that picks all", "DELETE FROM t WHERE false", "DELETE FROM t WHERE true"],
    ["a UNION", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 1 UNION SELECT c FROM u"],
    [
      "a subquery in a list",
      "SELECT a FROM t WHERE b IN (1)",
      "SELECT a FROM t WHERE b IN (SELECT c FROM u)",
    ],
    ["a second statement", "SELECT a FROM t", "SELECT a FROM t; SELECT a FROM t"],
    ["the body of a DO", "DO $$ BEGIN NULL; END $$", "DO $$ BEGIN DELETE FROM t; END $$"],
    [
      "the body of a function",
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t RETURNING 1'",
    ],
    ["what EXECUTE names", "EXECUTE a(1)", "EXECUTE b(1)"],
    ["the role that is set", "SET ROLE reader", "SET ROLE owner"],
  ])("is another one with other %s", (_, one, other) => {
    expect(shapeOf(other)?.id).not.toBe(shapeOf(one)?.id);
  });

  it("is another one in another database", () => {
    expect(shapeOf("SELECT a FROM t", "hr")?.id).not.toBe(shapeOf("SELECT a FROM t")?.id);
  });

  it("of a long text is what it does to what", () => {
    const values = (count: number): string =>
      `INSERT INTO t VALUES ${Array.from({ length: count }, (_, n) => `(${n}, 'x')`).join()}`;
    expect(shapeOf(values(2000))?.id).toBe(shapeOf(values(3000))?.id);
    expect(shapeOf(values(2000).replace("INTO t", "INTO u"))?.id).not.toBe(
      shapeOf(values(2000))?.id,
    );
  });

  it.each(["BEGIN", "COMMIT; BEGIN", "SAVEPOINT a", ""])("of %j is none", (sql) => {
    expect(shapeOf(sql)).toBeUndefined();
  });

  it.each([
    ["SELECT a FROM t WHERE b = 'secret' AND c = 42", "SELECT a FROM t WHERE b = ? AND c = ?"],
    ["ALTER ROLE alice PASSWORD E'hunter\\2'", 'ALTER ROLE "alice"'],
  ])("shows no literal of %s", (sql, sample) => {
    expect(shapeOf(sql)?.sample).toBe(sample);
  });
});
