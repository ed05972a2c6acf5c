import fc from "fast-check";
import { expect, it } from "vitest";
import { visibleText } from "../../src/approvals/visible-text.ts";

it.each([
  ["plain text stays", "DROP TABLE a;\n\t-- über 東京 🗑", "DROP TABLE a;\n\t-- über 東京 🗑"],
  ["a terminal is not obeyed", "DROP\u001b[2K\rSELECT 1", "DROP\\u{001b}[2K\\u{000d}SELECT 1"],
  ["C1 controls are escapes too", "\u009b2K", "\\u{009b}2K"],
  ["nothing runs backwards", "/*\u202e*/", "/*\\u{202e}*/"],
  [
    "nothing hides",
    "a\u200bb\ufeff\u00ad\u{e0041}\ufe0f",
    "a\\u{200b}b\\u{feff}\\u{00ad}\\u{e0041}\\u{fe0f}",
  ],
  ["lines are only broken by line feeds", "a\u2028b\r\nc", "a\\u{2028}b\nc"],
  ["half a character is shown", "\ud800", "\\u{d800}"],
])("%s", (_, text, shown) => {
  expect(visibleText(text)).toBe(shown);
});

it("shows nothing that is not a character to be read", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(visibleText(text)).not.toMatch(/[^\n\t\P{C}]/u);
    }),
  );
});
