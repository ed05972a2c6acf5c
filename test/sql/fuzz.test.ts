import { describe, expect, it, vi } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { corpus } from "../fuzz/sql.ts";
import { mutate, seededRandom } from "../fuzz/mutate.ts";

vi.setConfig({ testTimeout: 60_000 });

describe("mutated statements", () => {
  it("are judged or refused, never failed on, and never slowly", () => {
    const random = seededRandom(20_261_123);
    const texts = corpus();
    for (let n = 0; n < 3000; n++) {
      const text = mutate(texts, random).toWellFormed();
      const started = performance.now();
      const classified = classify(text, { dialect: "postgresql", session: NEW_SESSION });
      expect(performance.now() - started).toBeLessThan(1000);
      if (classified.kind === "unparsed") expect(classified.cause, text).not.toBe("failed");
    }
  });
});
