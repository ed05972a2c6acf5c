import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TextCache } from "../../src/session/text-cache.ts";

describe("TextCache", () => {
  it("gives back what was put last, or nothing, and never weighs more than it may (property)", () => {
    const step = fc.tuple(fc.constantFrom("a", "b", "c", "d", "e", "f"), fc.nat(50), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cache = new TextCache<number>(100);
        const last = new Map<string, number>();
        for (const [text, bytes, isPut] of steps) {
          if (isPut) {
            cache.set(text, bytes, bytes);
            // What is too heavy is not kept, and what was there before may stay.
            if (bytes <= 25) last.set(text, bytes);
          } else {
            const value = cache.get(text);
            if (value !== undefined) expect(value).toBe(last.get(text));
          }
          expect(cache.bytes).toBeLessThanOrEqual(100);
        }
      }),
    );
  });

  it("keeps what is asked for, and lets go of what is not", () => {
    const cache = new TextCache<string>(100);
    cache.set("wanted", "value", 10);
    for (let i = 0; i < 100; i++) {
      cache.set(`passing ${i}`, "value", 10);
      expect(cache.get("wanted")).toBe("value");
    }
    expect(cache.get("passing 0")).toBeUndefined();
    expect(cache.size).toBeLessThanOrEqual(10);
  });
});
