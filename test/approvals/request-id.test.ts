import fc from "fast-check";
import { expect, it } from "vitest";
import { Malformed } from "../../src/approvals/malformed.ts";
import { formatRequestId, parseRequestId } from "../../src/approvals/request-id.ts";

it("reads what it has written", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (random) => {
      const id = formatRequestId(random);
      expect(id).toMatch(/^R-[0-9A-HJKMNP-TV-Z]{6}$/);
      expect(parseRequestId(id.toLowerCase())).toBe(id);
    }),
  );
});

it("forgives what people mistake", () => {
  expect(parseRequestId("r-ilo123")).toBe("R-110123");
});

it.each([
  "",
  "R-",
  "R-7F3K2",
  "R-7F3K2MM",
  "R-7F3K2U",
  "7F3K2M",
  "R-7F3K2M\n",
  "R_7F3K2M",
  "R-7F3K\u017f2",
])("refuses %j", (text) => {
  expect(() => parseRequestId(text)).toThrow(Malformed);
});

it("needs enough randomness", () => {
  expect(() => formatRequestId(new Uint8Array(5))).toThrow(RangeError);
});
