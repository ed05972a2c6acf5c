import { expect, it } from "vitest";
import { splitStatements } from "../../src/sql/split.ts";

it.each<[string, string, readonly string[]]>([
  ["nothing", "", []],
  ["comments alone", "-- a\n/* b */\n", []],
  ["one without an end", "SELECT 1\n", ["SELECT 1"]],
  ["several", "SELECT 1;\n\n  SELECT 2 ;SELECT 3", ["SELECT 1;", "SELECT 2 ;", "SELECT 3"]],
  ["empty ones", ";; SELECT 1;;", ["SELECT 1;"]],
  [
    "comments ahead, of which psql sends one kind",
    "-- a; b\nSELECT 1; /* c; */ SELECT 2 -- d\n;",
    ["SELECT 1;", "/* c; */ SELECT 2 -- d\n;"],
  ],
  ["strings", "SELECT ';', $$;$$, \";\" FROM t;", ["SELECT ';', $$;$$, \";\" FROM t;"]],
  ["letters of several bytes", "SELECT 'ä€😀'; SELECT 'é';", ["SELECT 'ä€😀';", "SELECT 'é';"]],
  [
    "parentheses",
    "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b); SELECT 1;",
    ["CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b);", "SELECT 1;"],
  ],
  [
    "a body of statements",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3;",
    ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;", "SELECT 3;"],
  ],
  ["a DO block", "DO $$ BEGIN NULL; END $$; SELECT 1;", ["DO $$ BEGIN NULL; END $$;", "SELECT 1;"]],
])("cuts %s as psql does", (_, script, statements) => {
  expect(splitStatements(script)).toEqual({ kind: "split", statements });
});

it.each(["\\i other.sql\nSELECT 1;", "SELECT :name;", "SELECT 1; SELEC 2;", "SELECT 'open"])(
  "does not guess what %j would send",
  (script) => {
    expect(splitStatements(script)).toMatchObject({ kind: "refused" });
  },
);
