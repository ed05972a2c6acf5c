import { describe, expect, it } from "vitest";
import type { CatalogueExtension } from "../../src/sql/catalogue.ts";
import type { Effect } from "../../src/sql/classification.ts";
import { classify, classifyFunctionCall } from "../../src/sql/classify.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";

// OIDs of PostgreSQL's own functions are the same in every release (pg_proc.dat).
describe("classifyFunctionCall", () => {
  it.each([
    [964, "lo_unlink", ["read", "delete"], false],
    [715, "lo_create", ["read", "write"], false],
    [952, "lo_open", ["read"], false],
    [954, "loread", ["read"], false],
    [955, "lowrite", ["read", "write"], false],
    [765, "lo_export", ["read", "file_access"], true],
    [1574, "nextval", ["read", "write"], false],
    [2096, "pg_terminate_backend", ["read", "admin"], false],
    [2924, "query_to_xml", ["read", "opaque"], false],
  ] as const)("%i is %s", (oid, name, effects, destructive) => {
    const call = classifyFunctionCall(oid);
    expect(call.summary).toBe(`function call ${name}`);
    expect(call.effects).toEqual(effects);
    expect(call.destructive).toBe(destructive);
  });

  it("is opaque for a function that is not PostgreSQL's own", () => {
    expect(classifyFunctionCall(16_400).effects).toEqual(["read", "opaque"]);
  });

  it("is refused for set_config, whose arguments it doesn't see", () => {
    expect(classifyFunctionCall(2078)).toMatchObject({ mustRefuse: true });
  });
});

describe("the catalogue", () => {
  const effectsOf = (sql: string, functions: CatalogueExtension): readonly string[] =>
    classify(sql, { dialect: "postgresql", session: NEW_SESSION, functions }).effects;

  it("is extended by what an operator knows of the database", () => {
    const functions: CatalogueExtension = {
      functions: new Map<string, "harmless" | Effect[]>([
        ["billing.total", "harmless"],
        ["archive", ["delete", "opaque"]],
      ]),
      operators: new Set(["<=>"]),
      types: new Set(["mood", "public.role"]),
    };
    expect(effectsOf("SELECT billing.total(1)", functions)).toEqual(["read"]);
    expect(effectsOf("SELECT total(1)", functions)).toEqual(["read", "opaque"]);
    expect(effectsOf("SELECT archive(1)", functions)).toEqual(["read", "delete", "opaque"]);
    expect(effectsOf("SELECT a <=> b, 'x'::mood, 'y'::public.role", functions)).toEqual(["read"]);
  });

  it("does not let an extension make a built-in harmless", () => {
    const functions = { functions: new Map([["lo_unlink", "harmless" as const]]) };
    expect(effectsOf("SELECT lo_unlink(1)", functions)).toEqual(["read", "delete"]);
  });

  it("takes a new built-in for somebody's own function on an old server", () => {
    expect(effectsOf("SELECT uuidv7()", { serverMajor: 15 })).toEqual(["read", "opaque"]);
    expect(effectsOf("SELECT uuidv7()", { serverMajor: 18 })).toEqual(["read"]);
    expect(effectsOf("SELECT uuidv7()", {})).toEqual(["read"]);
  });
});
