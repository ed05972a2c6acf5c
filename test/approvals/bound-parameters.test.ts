import fc from "fast-check";
import { expect, it } from "vitest";
import {
  bindParameters,
  isSameParameters,
  parseParameterTerms,
  type BindValue,
} from "../../src/approvals/bound-parameters.ts";
import { sha256 } from "../../src/base/digest.ts";

const long = Buffer.alloc(5000, "x");

it.each<[string, BindValue, object]>([
  ["readable text", text("O'Hara"), { oid: 25, text: "O'Hara" }],
  ["an empty text", text(""), { oid: 25, text: "" }],
  ["NULL", { oid: 0, format: "text", value: null }, { oid: 0, null: true }],
  [
    "a small binary",
    { oid: 23, format: "binary", value: Buffer.of(0, 0, 0, 7) },
    { oid: 23, hex: "00000007" },
  ],
  ["a long text", text(long), { oid: 25, format: "text", bytes: 5000, sha256: sha256(long) }],
  [
    "no UTF-8",
    text(Buffer.of(0xff)),
    { oid: 25, format: "text", bytes: 1, sha256: sha256(Buffer.of(0xff)) },
  ],
])("binds %s", (_, value, bound) => {
  const terms = bindParameters([value]);
  expect(terms).toEqual([bound]);
  expect(parseParameterTerms(JSON.parse(JSON.stringify(terms)) as never, "it")).toEqual(terms);
});

it("has a word for no values at all", () => {
  expect(bindParameters([])).toBe("none");
  expect(isSameParameters("none", "any")).toBe(false);
});

it("gives the same terms for the same values only", () => {
  const value = fc.record({
    oid: fc.nat(3),
    format: fc.constantFrom("text" as const, "binary" as const),
    value: fc.oneof(fc.constant(null), fc.uint8Array({ maxLength: 3 })),
  });
  fc.assert(
    fc.property(fc.array(value, { maxLength: 3 }), fc.array(value, { maxLength: 3 }), (a, b) => {
      // The format of a NULL says nothing.
      const plain = (values: typeof a): unknown =>
        values.map((each) =>
          each.value === null ? each.oid : [each.format, each.oid, [...each.value]],
        );
      const isEqual = JSON.stringify(plain(a)) === JSON.stringify(plain(b));
      expect(isSameParameters(bindParameters(a), bindParameters(b))).toBe(isEqual);
    }),
  );
});

function text(value: string | Uint8Array): BindValue {
  return { oid: 25, format: "text", value: Buffer.from(value) };
}
