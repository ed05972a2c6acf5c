import { describe, expect, it } from "vitest";
import { encodeFragment, parseRecord, type Fields } from "../../src/audit/record.ts";
import { matcher, neededBytes, type SearchFilter } from "../../src/audit/search.ts";
import { ChainInMemory } from "../support/audit-chain.ts";

const decided = {
  session: "s-1",
  person: "bob",
  roles: ["senior"],
  client: { address: "10.0.0.7:51234" },
  environment: "production",
  database: "shop",
  sql: `DROP TABLE "Users"`,
  effects: ["destructive_ddl"],
  destructive: true,
  objects: [{ kind: "table", schema: "public", name: "Users" }],
  request: "R-7",
} satisfies Fields;

function line(fields: Fields = decided): Buffer {
  return new ChainInMemory().add("statement.decided", fields).lines[0] as Buffer;
}

function isFound(filter: SearchFilter, fields: Fields = decided): boolean {
  return matcher(filter, (sha256) => (sha256 === "abc" ? "drop table t" : ""))(
    parseRecord(line(fields)),
  );
}

describe("matcher", () => {
  it.each<[SearchFilter, boolean]>([
    [{}, true],
    [{ person: "bob" }, true],
    [{ person: "bo" }, false],
    [{ database: "shop" }, true],
    [{ database: "shop2" }, false],
    [{ person: "bob", database: "other" }, false],
    [{ effect: "destructive_ddl" }, true],
    [{ effect: "destructive" }, true],
    [{ effect: "ddl" }, false],
    [{ object: "Users" }, true],
    [{ object: "public.Users" }, true],
    [{ object: "table:public.Users" }, true],
    [{ object: "view:public.Users" }, false],
    [{ object: "users" }, false],
    [{ sql: "drop table" }, true],
    [{ sql: "truncate" }, false],
    [{ request: "R-7" }, true],
    [{ request: "R-70" }, false],
    [{ event: "statement.decided" }, true],
    [{ event: "statement" }, true],
    [{ event: "state" }, false],
    [{ sinceMs: Date.UTC(2026, 2, 14) }, true],
    [{ sinceMs: Date.UTC(2026, 2, 15) }, false],
    [{ untilMs: Date.UTC(2026, 2, 15) }, true],
    [{ untilMs: Date.UTC(2026, 2, 14) }, false],
  ])("%j: %s", (filter, expected) => {
    expect(isFound(filter)).toBe(expected);
  });

  it("looks into a statement's text where it was put", () => {
    const spilled = { sql_spilled: true, sql_sha256: "abc" as never } as const;
    expect(isFound({ sql: "DROP TABLE" }, spilled)).toBe(true);
    expect(isFound({ sql: "other" }, spilled)).toBe(false);
  });

  it("passes over members that are not of the form it knows", () => {
    const odd = { effects: "read", objects: [1, null, {}] } as unknown as Fields;
    expect(isFound({ effect: "read" }, odd)).toBe(false);
    expect(isFound({ object: "Users" }, odd)).toBe(false);
  });
});

describe("neededBytes", () => {
  it.each<SearchFilter>([
    { request: "R-7" },
    { effect: "destructive" },
    { effect: "destructive_ddl" },
    { person: "bob" },
    { database: "shop" },
    { person: "bob", sql: "x" },
  ])("are in every line that matches %j", (filter) => {
    expect(line().includes(neededBytes(filter) ?? "absent")).toBe(true);
  });

  it("are written as the writer writes names", () => {
    const person = `Zoë "Z" \\ \u2028`;
    expect(encodeFragment({ person }).includes(neededBytes({ person }) ?? "absent")).toBe(true);
  });

  it("are none where every line may match", () => {
    expect(neededBytes({ sql: "x", sinceMs: 1 })).toBeUndefined();
  });
});
