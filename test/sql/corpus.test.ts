import { describe, expect, it } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import { NEW_SESSION, ranAlone } from "../../src/sql/session.ts";
import type { SqlSession } from "../../src/sql/session.ts";
import { CORPUS_FILES, casesIn } from "../support/corpus.ts";

function sessionAfter(setup: readonly string[]): SqlSession {
  return setup.reduce((session, sql) => {
    const classified = classify(sql, { dialect: "postgresql", session });
    return classified.kind === "parsed" ? ranAlone(session, classified.statements) : session;
  }, NEW_SESSION);
}

describe.each(CORPUS_FILES)("the cases of %s", (path) => {
  it.each(casesIn(path).map((one) => [one.sql, one] as const))("%s", (sql, one) => {
    const session = sessionAfter(one.setup ?? []);
    const classified = classify(sql, { dialect: "postgresql", session });
    if (one.parses === false) {
      expect(classified.kind).toBe("unparsed");
      return;
    }
    if (classified.kind === "unparsed") throw new Error(classified.message);
    const tolerated = new Set(one.also_ok ?? []);
    const effects = classified.effects.filter((effect) => !tolerated.has(effect));
    const expected = one.effect.filter((effect) => !tolerated.has(effect));
    expect({
      effects: effects.toSorted(),
      destructive: classified.destructive,
      mustRefuse: classified.mustRefuse,
    }).toEqual({
      effects: expected.toSorted(),
      destructive: one.destructive,
      mustRefuse: one.must_refuse ?? false,
    });
  });
});
