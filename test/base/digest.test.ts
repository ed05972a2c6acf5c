import { describe, expect, it } from "vitest";
import { equalConstantTime, parseSha256, sha256 } from "../../src/base/digest.ts";

describe("digests", () => {
  it("are lower-case hex (FIPS 180-4, the empty message)", () => {
    const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    expect(sha256("")).toBe(empty);
    expect(parseSha256(empty)).toBe(empty);
  });

  it.each(["", "e3b0", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"])(
    "are not %s",
    (text) => {
      expect(() => parseSha256(text)).toThrow("not a SHA-256");
    },
  );

  it.each([
    ["abc", "abc", true],
    ["abc", "abd", false],
    ["abc", "ab", false],
    ["", "", true],
  ])("compares %s with %s", (a, b, expected) => {
    expect(equalConstantTime(Buffer.from(a), Buffer.from(b))).toBe(expected);
  });
});
