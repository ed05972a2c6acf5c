import { describe, expect, it, vi } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { corpusTexts } from "../support/corpus.ts";
import { mutate, seededRandom } from "../fuzz/mutate.ts";

vi.setConfig({ testTimeout: 60_000 });

describe("mutated statements", () => {
  it("are judged or refused, never failed on", () => {
    const random = seededRandom(20_261_123);
    const texts = corpusTexts();
    for (let n = 0; n < 3000; n++) {
      const text = mutate(texts, random).toWellFormed();
      const classified = classify(text, { dialect: "postgresql", session: NEW_SESSION });
      if (classified.kind === "unparsed") expect(classified.cause, text).not.toBe("failed");
    }
  });
});
