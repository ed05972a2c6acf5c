import fc from "fast-check";
import { expect, test } from "vitest";
import { matchesGlob } from "../../src/policy/glob.ts";

test.each([
  ["", "", true],
  ["", "a", false],
  ["*", "", true],
  ["*", "anything.at all", true],
  ["audit_*", "audit_log", true],
  ["audit_*", "Audit_log", false],
  ["*log", "audit_log", true],
  ["*log", "audit_logs", false],
  ["a*b*c", "a-b-b-c", true],
  ["a*b*c", "a-c-b", false],
  ["order?", "orders", true],
  ["order?", "order", false],
  ["?", "😀", true],
  ["[a-z]", "a", false],
  ["a.c", "abc", false],
  ["**", "x", true],
])("%j against %j: %s", (pattern, text, expected) => {
  expect(matchesGlob(pattern, text)).toBe(expected);
});

test("agrees with the regular expression that says the same", () => {
  const characters = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
  const texts = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 });
  fc.assert(
    fc.property(characters, texts, (pattern, text) => {
      const same = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
      expect(matchesGlob(pattern, text)).toBe(same.test(text));
    }),
  );
});

test("does not blow up on many stars", () => {
  expect(matchesGlob("*a".repeat(60), "a".repeat(59) + "b".repeat(2000))).toBe(false);
});
