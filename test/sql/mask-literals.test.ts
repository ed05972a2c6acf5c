import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maskLiterals, type Masking } from "../../src/sql/mask-literals.ts";

describe("all literals", () => {
  it.each<[text: string, masked: string]>([
    ["SELECT 'a', 1, 1.5, $1 FROM t", "SELECT ?, ?, ?, $1 FROM t"],
    ["SELECT B'1', X'ff', U&'d', N'n', E'\\'s', $$x$$, $f$y$f$", "SELECT ?, ?, ?, N?, ?, ?, ?"],
    ["SELECT 1 -- card 4111\n, 2 /* and /* 4112 */ */", "SELECT ? --?\n, ? /*?*/"],
    ["SELECT 'grüße', ü FROM \"tä'ble\"", 'SELECT ?, ü FROM "tä\'ble"'],
    ["DO $$ BEGIN DELETE FROM t; END $$", "DO ?"],
    ["SELECT a FROM t WHERE b IS NULL", "SELECT a FROM t WHERE b IS NULL"],
    ["SELECT 'never closed", "(masked)"],
    [`SELECT '${"x".repeat(70_000)}'`, "(masked)"],
    [`SELECT 1 ${"+".repeat(80)} 1`, "(masked)"],
  ])("%s", (text, masked) => {
    expect(maskLiterals(text, "all")).toBe(masked);
  });

  it("leaves nothing of a value behind, wherever it stands", () => {
    const secret = fc.stringMatching(/^[q-z]{12}$/);
    const quoted = fc.constantFrom<(value: string) => string>(
      (value) => `'${value}'`,
      (value) => `E'\\'${value}'`,
      (value) => `$a$${value}$a$`,
      (value) => `'' '${value}'`,
      (value) => `U&'${value}'`,
      (value) => `1 /* ${value} */`,
    );
    fc.assert(
      fc.property(secret, quoted, fc.string(), (value, quote, rest) => {
        const text = `SELECT a FROM t WHERE b = ${quote(value)} OR c = ${rest}`;
        expect(maskLiterals(text, "all")).not.toContain(value);
      }),
    );
  });
});

describe("passwords", () => {
  it.each<[text: string, masked: string]>([
    [
      "CREATE ROLE a PASSWORD 'x' CONNECTION LIMIT 3",
      "CREATE ROLE a PASSWORD ? CONNECTION LIMIT 3",
    ],
    ["ALTER ROLE a PASSWORD /* new */ 'é'", "ALTER ROLE a PASSWORD /* new */ ?"],
    [
      "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password 'p')",
      "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password ?)",
    ],
    [
      "CREATE SUBSCRIPTION s CONNECTION 'host=h password=p' PUBLICATION p",
      "CREATE SUBSCRIPTION s CONNECTION ? PUBLICATION p",
    ],
    // What is run stays to be seen, whatever word is in it.
    ["DO $$ BEGIN DROP TABLE password; END $$", "DO $$ BEGIN DROP TABLE password; END $$"],
    [`DROP TABLE t -- password ${"+".repeat(80)}`, `DROP TABLE t -- password ${"+".repeat(80)}`],
    ["SELECT * FROM t WHERE id = 'x'", "SELECT * FROM t WHERE id = 'x'"],
    ["ALTER ROLE a PASSWORD 'never closed", "(masked)"],
  ])("%s", (text, masked) => {
    expect(maskLiterals(text, "passwords")).toBe(masked);
  });
});

it.each<Masking>(["all", "passwords"])("never throws (%s)", (masking) => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      maskLiterals(`password ${text}`, masking);
    }),
  );
});
