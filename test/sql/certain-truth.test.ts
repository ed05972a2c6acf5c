import { beforeAll, describe, expect, it } from "vitest";
import type { Classification } from "../../src/sql/classification.ts";
import { classify } from "../../src/sql/classify.ts";
import { warmUp } from "../../src/sql/parser.ts";
import { CAUTIOUS_SESSION, NEW_SESSION } from "../../src/sql/session.ts";
import type { SqlSession } from "../../src/sql/session.ts";

beforeAll(warmUp);

const judged = (text: string, session: SqlSession = CAUTIOUS_SESSION): Classification =>
  classify(text, { dialect: "postgresql", session });

const isDestructive = (filter: string, session?: SqlSession): boolean => {
  const classification = judged(`DELETE FROM users WHERE ${filter}`, session);
  return classification.kind === "unparsed" || classification.destructive;
};

describe("a filter that is false by its constants", () => {
  it.each([
    "false",
    "NULL",
    "1 = 0",
    "NOT true",
    "2 < 1",
    "'a' = 'b'",
    "false AND now() > '2000-01-01'",
    "5 IN (1, 2)",
    "EXISTS (SELECT 1 WHERE false)",
    "EXISTS (SELECT 1 FROM banned LIMIT 0)",
    "true = false",
    "'off'::boolean",
    "0::boolean",
    "coalesce(NULL, false)",
    "coalesce(NULL, NULL)",
    "CASE WHEN false THEN true END",
    "CASE WHEN 1 = 1 THEN false ELSE true END",
    "(SELECT false)",
    "NULL <> 1",
  ])("removes nothing: %s", (filter) => {
    expect(isDestructive(filter)).toBe(false);
  });

  // Each is true on the server, or may be, though arithmetic done elsewhere says false.
  it.each([
    "0.1 + 0.2 = 0.3",
    "1.5::int = 2",
    "9007199254740993 > 9007199254740992",
    "1e400 > 1e399",
    "16777217::float4 = 16777216",
    "5.5 % 0.1 = 0",
    "'2.50'::numeric(3,1) = '2.5'",
    "'1.10'::numeric::text = '1.10'",
    "'a'::bpchar = 'a '::bpchar",
    "'abc'::varchar(2) = 'ab'",
    "'users'::regclass = 'public.users'::regclass",
    "upper('ß') = 'ß'",
    `'a' < 'B' COLLATE "en-x-icu"`,
    "format('%3s', 'a') = '  a'",
    "2 BETWEEN SYMMETRIC 3 AND 1",
    "EXISTS (SELECT 1 WHERE false HAVING true)",
    "EXISTS (SELECT 1 WHERE false GROUP BY ())",
    "nextval('s') IS DISTINCT FROM nextval('s')",
    "nextval('s') % 2 = 1 AND NOT nextval('s') % 2 = 1",
    "NULL = NULL",
    "1 OPERATOR(s.=) 2",
    "'f'::bool",
    "0::s.bool",
    "CASE 1 WHEN 2 THEN true ELSE false END",
    "CASE WHEN f() THEN false ELSE false END AND f()",
  ])("is believed of literals only, not of %s", (filter) => {
    expect(isDestructive(filter)).toBe(true);
  });
});

describe("a filter that a setting or a search_path could give another meaning", () => {
  it.each(["NULL = NULL", "1 = NULL", "'f'::bool"])(
    "is trusted to remove nothing: %s",
    (filter) => {
      // Where text is read for its own sake; and what is judged so is not handed on to a running session.
      const trusted = judged(`DELETE FROM users WHERE ${filter}`, NEW_SESSION);
      expect(trusted).toMatchObject({ destructive: false, dependsOnSession: true });
      expect(isDestructive(filter, CAUTIOUS_SESSION)).toBe(true);
    },
  );
});

describe("a filter that would take for ever", () => {
  it.each([
    `id${"-1".repeat(40)} = 5`,
    `${"CASE WHEN id = 1 THEN ".repeat(60)} true ${"END".repeat(60)}`.replaceAll("END", " END"),
    `id IN (${"SELECT id FROM users WHERE id IN (".repeat(30)} SELECT 1 ${")".repeat(30)})`,
  ])("is judged or refused all the same", (filter) => {
    expect(["parsed", "unparsed"]).toContain(judged(`DELETE FROM users WHERE ${filter}`).kind);
  });
});

describe("a delete from a system catalog", () => {
  it.each([
    "DELETE FROM pg_class WHERE relname = 'users'",
    "DELETE FROM pg_catalog.pg_database WHERE datname = 'shop'",
  ])("drops: %s", (text) => {
    expect(judged(text)).toMatchObject({ destructive: true });
  });

  it("of what all databases share reaches all of them", () => {
    expect(judged("DELETE FROM pg_database WHERE datname = 'shop'")).toMatchObject({
      statements: [{ reach: "cluster" }],
    });
  });
});
