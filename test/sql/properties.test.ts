import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import type { Classification } from "../../src/sql/classification.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { Classifier } from "../../src/session/classifier.ts";
import { corpusTexts } from "../support/corpus.ts";

vi.setConfig({ testTimeout: 60_000 });

const corpus = corpusTexts();

const statement = fc.constantFrom(...corpus.filter((sql) => classified(sql).kind === "parsed"));

function classified(sql: string): Classification {
  return classify(sql, { dialect: "postgresql", session: NEW_SESSION });
}

describe("classify", () => {
  it("returns for every string, and never by failing", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 200 }),
      fc
        .array(
          fc.constantFrom(
            "SELECT",
            "'",
            '"',
            "$$",
            "--",
            "/*",
            "*/",
            "(",
            ")",
            ";",
            "\\",
            "E'",
            "U&'",
            "DO",
            "DROP",
            "TABLE",
            "a",
            "1",
            "\n",
            "::",
            "$1",
          ),
          { maxLength: 30 },
        )
        .map((words) => words.join(" ")),
      statement.chain((sql) => fc.nat(sql.length).map((cut) => sql.slice(0, cut))),
    );
    fc.assert(
      fc.property(text, (sql) => {
        const result = classified(sql);
        if (result.kind === "parsed" || /\bDO\b/i.test(sql)) return;
        expect(result.cause).not.toBe("failed");
      }),
      { numRuns: 1000 },
    );
  });

  it("is never weakened by another statement in the batch", () => {
    fc.assert(
      fc.property(statement, statement, fc.boolean(), (one, other, first) => {
        const alone = classified(one);
        // A line comment or a COPY's options must not swallow what follows.
        const batch = classified(first ? `${one}\n;${other}` : `${other}\n;${one}`);
        if (alone.kind === "unparsed" || batch.kind === "unparsed") return;
        for (const effect of alone.effects) expect(batch.effects).toContain(effect);
        if (alone.mustRefuse) expect(batch.mustRefuse).toBe(true);
        // The other one may have made the table that this one drops a temporary one.
        if (alone.destructive && !/temp|execute/i.test(`${one}${other}`)) {
          expect(batch.destructive).toBe(true);
        }
      }),
      { numRuns: 800 },
    );
  });

  it("judges a text alike with other letters' case, blanks and comments between its words", () => {
    const spaced = fc.constantFrom(" ", "\n", "\t", " /* ; DROP TABLE x */ ", " -- '\n");
    fc.assert(
      fc.property(statement, spaced, (sql, blank) => {
        const before = classified(sql);
        // Only where nothing between quotes could be meant.
        if (/['"$\\-]|\/\*/.test(sql) || before.kind === "unparsed") return;
        const after = classified(sql.replaceAll(" ", blank));
        expect(after).toMatchObject({
          effects: before.effects,
          destructive: before.destructive,
          mustRefuse: before.mustRefuse,
        });
      }),
      { numRuns: 1000 },
    );
  });
});

describe("Classifier", () => {
  it("gives from its cache what a fresh classification gives", async () => {
    const classifier = new Classifier({ dialect: "postgresql", cacheBytes: 500_000 });
    for (const sql of [...corpus, ...corpus.toReversed()]) {
      expect(await classifier.classify(sql, NEW_SESSION)).toEqual(classified(sql));
    }
    expect(classifier.stats().hits).toBeGreaterThan(0);
    await classifier.close();
  });

  it("gives for texts that differ in literals what each of them deserves", async () => {
    const classifier = new Classifier({ dialect: "postgresql" });
    const literals = ["0", "1", "5", "1.0", "'t'", "'f'", "'%'", "'on'", "'off'", "NULL", "true"];
    const other = fc.constantFrom(...literals);
    await fc.assert(
      fc.asyncProperty(statement, fc.array(other, { minLength: 3 }), async (sql, values) => {
        let n = 0;
        const text = sql.replaceAll(/\b\d+\b|'[\w ]*'/g, () => values[n++ % values.length] ?? "");
        const cached = await classifier.classify(text, NEW_SESSION);
        const { kind, effects } = cached;
        const fresh = classified(text);
        expect({ text, kind, effects }).toEqual({ text, kind: fresh.kind, effects: fresh.effects });
        if (fresh.kind === "unparsed") return;
        const { destructive, mustRefuse, mayChangeLexing } = fresh;
        expect(cached, text).toMatchObject({ destructive, mustRefuse, mayChangeLexing });
      }),
      { numRuns: 1000 },
    );
    await classifier.close();
  });
});
