import { beforeAll, describe, expect, it } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import { warmUp } from "../../src/sql/parser.ts";
import { CAUTIOUS_SESSION, ranAlone, type SqlSession } from "../../src/sql/session.ts";

beforeAll(warmUp);

function isDestructive(text: string, ...before: readonly string[]): boolean {
  let session: SqlSession = CAUTIOUS_SESSION;
  for (const sql of before) {
    const classification = classify(sql, { dialect: "postgresql", session });
    if (classification.kind === "unparsed") throw new Error(classification.message);
    session = ranAlone(session, classification.statements);
  }
  const classification = classify(text, { dialect: "postgresql", session });
  return classification.kind === "unparsed" || classification.destructive;
}

describe("a running session, of which the proxy does not see all", () => {
  it.each([
    ["DROP TABLE users", ["CREATE TEMP TABLE users (id int)"]],
    ["CREATE TEMP TABLE users (id int); DROP TABLE users", []],
    ["TRUNCATE users", ["CREATE TEMP TABLE users (id int)"]],
    ["CREATE TEMP VIEW v AS SELECT * FROM users; DELETE FROM v", []],
    ["DELETE FROM pg_temp.v", ["CREATE TEMP VIEW v AS SELECT * FROM users"]],
  ] as const)("does not take a bare name for a temporary table's: %s", (text, before) => {
    expect(isDestructive(text, ...before)).toBe(true);
  });

  it.each(["DROP TABLE pg_temp.scratch", "TRUNCATE pg_temp.scratch"])(
    "lets go of what can be nothing else: %s",
    (text) => {
      expect(isDestructive(text)).toBe(false);
    },
  );
});
