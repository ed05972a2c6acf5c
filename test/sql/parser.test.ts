import { beforeAll, describe, expect, it, vi } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import { decodeSql } from "../../src/sql/decode.ts";
import { instancesReplaced, parse, warmUp } from "../../src/sql/parser.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";

vi.setConfig({ testTimeout: 60_000 });

const options = { dialect: "postgresql", session: NEW_SESSION } as const;

function kindsOf(text: string): readonly string[] {
  const parsed = parse(text);
  if (parsed.kind === "refused") throw new Error(parsed.message);
  return parsed.statements.map(({ stmt }) => Object.keys(stmt ?? {})[0] ?? "");
}

describe("parse", () => {
  beforeAll(warmUp);

  it("replaces an instance that failed, refuses that text, and leaves the exit status alone", async () => {
    const before = process.exitCode;
    const deep = `SELECT 1${"+1".repeat(30_000)}`;
    for (let n = 0; n < 30; n++) {
      const replaced = instancesReplaced();
      expect(parse(deep)).toMatchObject({ kind: "refused", cause: "too_deep" });
      expect(instancesReplaced()).toBe(replaced + 1);
      // Making the next spare takes a turn of the event loop.
      while (parse("SELECT 1").kind === "refused") await new Promise(setImmediate);
    }
    expect(process.exitCode).toBe(before);
    expect(kindsOf("SELECT 1; DROP TABLE t")).toEqual(["SelectStmt", "DropStmt"]);
  });

  it("refuses while no instance is ready, instead of using a spoilt one", async () => {
    const deep = `SELECT 1${"+1".repeat(30_000)}`;
    const outcomes = [parse(deep), parse(deep), parse("SELECT 1")];
    expect(outcomes.map(({ kind }) => kind)).toEqual(["refused", "refused", "refused"]);
    while (parse("SELECT 1").kind === "refused") await new Promise(setImmediate);
  });

  it("tells a clean refusal of depth from a syntax error, and keeps the instance", () => {
    const replaced = instancesReplaced();
    const nested = `SELECT ${"(".repeat(20_000)}1${")".repeat(20_000)}`;
    expect(parse(nested)).toMatchObject({ kind: "refused", cause: "too_deep" });
    expect(parse("SELEC 1")).toMatchObject({
      kind: "refused",
      cause: "syntax",
      message: 'syntax error at or near "SELEC"',
      position: 1,
    });
    expect(instancesReplaced()).toBe(replaced);
  });

  it("counts an error's position in characters", () => {
    expect(parse("SELECT 'ü€😀' FROM FROM")).toMatchObject({ position: 19 });
  });

  const commented: readonly (readonly [string, readonly string[]])[] = [
    ["SELECT 'a' -- c\n'b'", ["SelectStmt"]],
    ["SELECT 1 WHERE 1 NOT /* x */ IN (2)", ["SelectStmt"]],
    ["SELECT 1 ORDER BY 1 NULLS /* x */ LAST", ["SelectStmt"]],
    ["DO /* a */ $$ BEGIN NULL; END $$ -- b", ["DoStmt"]],
    ["DO E'BEGIN NULL; END --'--\n'\\''; DROP TABLE users; --'", ["DoStmt", "DropStmt"]],
  ];
  it.each(commented)("reads %s as the server does, without its comments", (text, kinds) => {
    expect(kindsOf(text)).toEqual(kinds);
    const parsed = parse(text);
    if (parsed.kind === "refused") throw new Error(parsed.message);
    expect(parsed.text).not.toBe(text);
    expect(kindsOf(parsed.text)).toEqual(kinds);
  });

  it("forwards the text itself where comments do no harm", () => {
    expect(parse("SELECT /* x */ 1")).toMatchObject({ text: "SELECT /* x */ 1" });
  });

  it("stays whole over control characters, which libpg_query's scan does not escape", () => {
    const replaced = instancesReplaced();
    expect(parse("SELEC '\u0001'").kind).toBe("refused");
    expect(kindsOf("SELECT 'a\u0001' -- c\n'\u001f\u007f'")).toEqual(["SelectStmt"]);
    expect(instancesReplaced()).toBe(replaced);
  });

  it("refuses DO without exactly one body", () => {
    expect(parse("DO $$ BEGIN NULL; END $$ $$ BEGIN NULL; END $$").kind).toBe("refused");
    expect(parse("DO LANGUAGE plpgsql").kind).toBe("refused");
  });

  it("refuses what strings can hold and the server can't read", () => {
    for (const text of ["SELECT 1\0; DROP TABLE t", "SELECT '\ud800'", "\udc00"]) {
      expect(classify(text, options)).toMatchObject({ kind: "unparsed" });
    }
  });
});

describe("decodeSql", () => {
  it.each([
    ["invalid UTF-8", [0x53, 0xff]],
    ["an overlong form", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a cut character", [0xe2, 0x82]],
    ["a zero byte", [0x53, 0x00, 0x53]],
  ])("refuses %s", (_, bytes) => {
    expect(decodeSql(Uint8Array.from(bytes))).toBeUndefined();
  });

  it("keeps a byte order mark, which the server sees too", () => {
    const text = decodeSql(Uint8Array.from([0xef, 0xbb, 0xbf, 0x31]));
    expect(text).toBe("\ufeff1");
    expect(Buffer.from(text ?? "")).toEqual(Buffer.from([0xef, 0xbb, 0xbf, 0x31]));
  });
});
