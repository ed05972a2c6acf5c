import { describe, expect, it, vi } from "vitest";
import { CORPUS_FILES, casesIn } from "../support/corpus.ts";
import { compareParsers, countWith } from "./second-reader.ts";

vi.setConfig({ testTimeout: 60_000 });

const texts = CORPUS_FILES.flatMap(casesIn)
  .filter(({ parses }) => parses !== false)
  .map(({ sql }) => sql);

// Every text that both read, and read as another number of statements, with why. PostgreSQL's own server agrees with
// libpg-query on each.
const SEPARATORS = "separators without a statement: it sees one where there is none";
const EXPLAINED: ReadonlyMap<string, string> = new Map([
  [" ;  ; ", SEPARATORS],
  [";", SEPARATORS],
  ["-- x\n ; /* y */ ;", SEPARATORS],
  [";;SELECT 1;;DROP TABLE users", SEPARATORS],
  [
    "SELECT 'a\\'; DROP TABLE users; --'",
    "it takes the backslash for an escape, so the DROP is inside its literal: one SELECT for it, two statements for the server",
  ],
]);

describe("node-sql-parser as a second reader", () => {
  it("differs from PostgreSQL's grammar only where it is known to be wrong", () => {
    const different = texts.filter((text) => ["fewer", "more"].includes(compareParsers(text)));
    expect(different.toSorted()).toEqual([...EXPLAINED.keys()].toSorted());
  });

  it("would let a statement through that the grammar sees", () => {
    expect(countWith("SELECT 'a\\'; DROP TABLE users; --'")).toBe(1);
  });

  it("refuses too much of PostgreSQL to be a gate", () => {
    const read = texts.filter((text) => countWith(text) !== undefined);
    expect(read.length / texts.length).toBeLessThan(0.7);
    expect(countWith("DROP DATABASE shop")).toBeUndefined();
  });
});
