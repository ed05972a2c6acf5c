import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import { NODE_ROLES } from "../../src/sql/nodes.ts";
import type { NodeName } from "../../src/sql/nodes.ts";
import { UNNAMED_NODES } from "../../src/sql/walk.ts";

// libpg-query's own declarations of the parse tree.
const fromParser = createRequire(createRequire(import.meta.url).resolve("libpg-query"));
const types = readFileSync(
  fromParser.resolve("@pgsql/types").replace(/index\.js$/, "types.d.ts"),
  "utf8",
);

interface Field {
  readonly place: string;
  readonly type: string;
}

const fields: readonly Field[] = [...types.matchAll(/export interface (\w+) \{([^}]*)\}/g)].flatMap(
  ([, node = "", body = ""]) =>
    [...body.matchAll(/^\s*(\w+)\?: ([\w[\]]+);/gm)].map(([, field = "", type = ""]) => ({
      place: `${node}.${field}`,
      type,
    })),
);

const isParsed = (node: string): boolean =>
  Object.hasOwn(NODE_ROLES, node) && NODE_ROLES[node as NodeName] !== "never_parsed";

describe("the parse tree's nodes", () => {
  it("all have a role", () => {
    const union = types.slice(
      types.indexOf("export type Node ="),
      types.indexOf("export interface"),
    );
    const names = [...union.matchAll(/^ {4}(\w+): /gm)].map((match) => match[1]);
    expect(names.length).toBeGreaterThan(250);
    expect(names.toSorted()).toEqual(Object.keys(NODE_ROLES).toSorted());
  });

  it("are known where they stand in a field without their name", () => {
    const decisive = Object.entries(NODE_ROLES)
      .filter(([node, role]) => role === "judged" && node !== "RangeVar")
      .map(([node]) => node);
    const unnamed = fields
      .filter(({ place, type }) => decisive.includes(type) && isParsed(place.split(".")[0] ?? ""))
      .map(({ place, type }) => [place, type]);
    const listed = new Map<string, string>(UNNAMED_NODES);
    // Statements in a field of their type, but PLAssignStmt and CreateForeignTableStmt aside: those are judged by name.
    expect(unnamed.filter(([place = "", type]) => listed.get(place) !== type)).toEqual([]);
  });
});
