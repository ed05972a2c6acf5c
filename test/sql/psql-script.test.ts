import { describe, expect, it } from "vitest";
import { statementsOfPsqlScript } from "../fuzz/psql-script.ts";

describe("the statements of a psql script", () => {
  it.each([
    ["SELECT 1;\nSELECT 2", ["SELECT 1;", "SELECT 2"]],
    ["\\set x 1\nSELECT 1 \\gset\nSELECT 2;", ["SELECT 1;", "SELECT 2;"]],
    ["COPY t FROM stdin;\n1\tDROP TABLE t;\n\\.\nSELECT 1;", ["COPY t FROM stdin;", "SELECT 1;"]],
    ["-- a; b\nSELECT ';';", ["SELECT ';';"]],
    ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);", 1],
    [
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; SELECT 2;",
      2,
    ],
    ["SELECT $$a; b$$;\nSELEC 'broken;\n';", ["SELECT $$a; b$$;", "SELEC 'broken;\n';"]],
    ["SELECT 1;\nSELECT 'never closed;\n", ["SELECT 1", "\nSELECT 'never closed"]],
  ])("%j", (script, expected) => {
    const statements = statementsOfPsqlScript(script);
    if (typeof expected === "number") expect(statements).toHaveLength(expected);
    else expect(statements).toEqual(expected);
  });
});
