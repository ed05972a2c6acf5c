import { describe, expect, it } from "vitest";
import { readsAlikeEverywhere, textEncoding } from "../../src/session/text-encoding.ts";

describe("textEncoding", () => {
  it.each(["UTF8", "utf-8", "UNICODE", "SQL_ASCII"])("reads %s as UTF-8", (name) => {
    expect(textEncoding(name)).toBe("utf-8");
  });

  it.each(["LATIN1", "WIN1252", "EUC_JP", "EUC_KR", "KOI8R", "ISO_8859_5"])(
    "reads %s byte by byte: no part of a character is ASCII there",
    (name) => {
      expect(textEncoding(name)).toBe("bytes");
    },
  );

  it.each([
    "SJIS",
    "Shift_JIS_2004",
    "BIG5",
    "GBK",
    "gb18030",
    "UHC",
    "JOHAB",
    "Windows-936",
    "",
    "FUTURE8",
  ])("refuses %j, in which a backslash may be half a character", (name) => {
    expect(textEncoding(name)).toBeUndefined();
  });
});

describe("readsAlikeEverywhere", () => {
  it.each([
    ["SELECT 1", true],
    ["SELECT 'it''s'", true],
    [String.raw`SELECT 'a\b'`, false],
    ["SELECT 'é'", false],
  ])("%s: %s", (text, expected) => {
    expect(readsAlikeEverywhere(Buffer.from(text))).toBe(expected);
  });
});
