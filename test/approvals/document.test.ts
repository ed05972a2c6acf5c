import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  approvedStatement,
  encodeApprovalDocument,
  MAX_DOCUMENT_BYTES,
  parseApprovalDocument,
  type ApprovalDocument,
} from "../../src/approvals/document.ts";
import { draftApproval } from "../../src/approvals/draft.ts";
import { Malformed } from "../../src/approvals/malformed.ts";
import { parseRequestId } from "../../src/approvals/request-id.ts";
import { canonicalJson, type Json } from "../../src/base/canonical-json.ts";
import { sha256 } from "../../src/base/digest.ts";
import { ASKED, NOW } from "./people.ts";

const ID = parseRequestId("R-7F3K2M");
const DOCUMENT: ApprovalDocument = draftApproval(
  { id: ID, asked: ASKED },
  { approver: "bob", now: NOW, nonce: Buffer.alloc(16, 7), reason: "see OPS-1187" },
);
const TEXT = encodeApprovalDocument(DOCUMENT);

/** The document as JSON, with members replaced, and left out where `undefined`. */
function edited(changed: Record<string, unknown>): string {
  const members = Object.entries<unknown>({ ...DOCUMENT, ...changed });
  const kept = members.filter(([, value]) => value !== undefined);
  return canonicalJson(Object.fromEntries(kept) as Json);
}

describe("an approval document", () => {
  it("comes back as it was", () => {
    expect(parseApprovalDocument(TEXT)).toEqual(DOCUMENT);
    const submitted = { ...DOCUMENT, submitter: "carol" };
    expect(parseApprovalDocument(encodeApprovalDocument(submitted))).toEqual(submitted);
    const impact = { clients: 12, tables: [{ name: "orders", rows: 1_200_000 }] };
    const measured = encodeApprovalDocument({ ...DOCUMENT, impact });
    expect(parseApprovalDocument(measured)).toEqual({ ...DOCUMENT, impact });
  });

  it.each<[string, Partial<ApprovalDocument>]>([
    ["breaks the glass", { act: "break_glass" }],
    ["reviews", { act: "review" }],
    ["is for access", { statements: [], access: { role: "dba", seconds: 3600 } }],
    ["moves aside", { recycle: { keep_seconds: 604_800 } }],
    ["says what was shown", { context: { recent: [{ at: NOW, sql: "SELECT 1" }] } }],
  ])("comes back as it was where it %s, and is none of version 1", (_, changed) => {
    const document = { ...DOCUMENT, ...changed };
    expect(parseApprovalDocument(encodeApprovalDocument(document))).toEqual(document);
    expect(() => parseApprovalDocument(edited({ ...changed, version: 1 }))).toThrow(Malformed);
  });

  it("of version 1 stays good", () => {
    const text = edited({ version: 1, context: undefined });
    const first = parseApprovalDocument(text);
    expect(first).toMatchObject({ version: 1, approver: "bob" });
    expect(encodeApprovalDocument(first)).toBe(text);
  });

  it("is as the head of its file says", () => {
    const head = readFileSync(new URL("../../src/approvals/document.ts", import.meta.url), "utf8");
    const example = /^ \*\s+\{"approver"[^]*?\n \*\/$/m.exec(head)?.[0] ?? "";
    const text = example.replaceAll(/^ \*\/?\s*/gm, "").replaceAll("\n", "");
    expect(parseApprovalDocument(text)).toMatchObject({ requester: "alice", approver: "bob" });
    expect(head).toContain(sha256(text));
  });

  it("bears any text that PostgreSQL could be sent, and any value", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 5 }),
        fc.string({ unit: "grapheme" }),
        (statements, reason) => {
          const document = {
            ...DOCUMENT,
            reason: reason.replaceAll("\0", ""),
            statements: statements.map((sql) =>
              approvedStatement(sql.replaceAll("\0", ""), [{ oid: 25, text: "x" }]),
            ),
          };
          expect(parseApprovalDocument(encodeApprovalDocument(document))).toEqual(document);
        },
      ),
    );
  });

  it.each([
    ["a blank", TEXT.replace(":", ": ")],
    ["a newline at the end", `${TEXT}\n`],
    ["another order", TEXT.replace(/^\{("approver":"bob"),(.*)\}$/, "{$2,$1}")],
    ["a member twice", TEXT.replace("{", '{"approver":"alice",')],
    ["a number spelled differently", TEXT.replace('"uses":1', '"uses":1.0')],
    ["a needless escape", TEXT.replace("bob", "\\u0062ob")],
    ["half a surrogate pair", TEXT.replace("OPS", "\\ud800")],
    ["no JSON", "approved"],
    ["a list", "[]"],
    ["null", "null"],
  ])("is refused with %s", (_, text) => {
    expect(() => parseApprovalDocument(text)).toThrow(Malformed);
  });

  it.each<[string, Record<string, unknown>]>([
    ["an unknown member", { force: true }],
    ["a member named __proto__", JSON.parse('{"__proto__":{}}') as Record<string, unknown>],
    ["another type", { type: "twokey-audit" }],
    ["another version", { version: 3 }],
    ["a version that is no number", { version: "2" }],
    ["an act that nobody knows", { act: "approve" }],
    ["access beside statements", { access: { role: "dba", seconds: 60 } }],
    ["access to no role", { statements: [], access: { role: "", seconds: 60 } }],
    ["access for no time", { statements: [], access: { role: "dba", seconds: 0 } }],
    ["a recycle bin that keeps nothing", { recycle: { keep_seconds: 0 } }],
    ["a recycle bin with more to say", { recycle: { keep_seconds: 1, force: true } }],
    ["a context that is no object", { context: "psql" }],
    ["a request number misspelled", { request: "R-7f3k2m" }],
    ["no approver", { approver: undefined }],
    ["an empty approver", { approver: "" }],
    ["a line break in a name", { approver: "bob\nalice" }],
    ["an escape sequence in a name", { database: "shop\u001b[2K" }],
    ["a name that is no string", { requester: ["alice"] }],
    ["a name that is too long", { rule: "r".repeat(257) }],
    ["no statements", { statements: [] }],
    ["too many statements", { statements: Array<Json>(1001).fill(statement("x")) }],
    ["as many statements as none", { statements: [], access: undefined }],
    ["a digest of another text", { statements: [{ ...statement("x"), sha256: sha256("y") }] }],
    ["a digest in upper case", { statements: [{ ...statement("x"), sha256: "A".repeat(64) }] }],
    ["a zero byte in the text", { statements: [statement("x\0")] }],
    ["no word on values", { statements: [{ sql: "x", sha256: sha256("x") }] }],
    ["an unknown word on values", { statements: [{ ...statement("x"), parameters: "some" }] }],
    ["an empty list of values", { statements: [{ ...statement("x"), parameters: [] }] }],
    ["an odd value", { statements: [{ ...statement("x"), parameters: [{ oid: 1 }] }] }],
    ["a value said twice", { statements: [withValue({ oid: 1, text: "a", hex: "61" })] }],
    ["a value that is hardly null", { statements: [withValue({ oid: 1, null: false })] }],
    ["half a byte", { statements: [withValue({ oid: 1, hex: "0" })] }],
    ["an oid below zero", { statements: [withValue({ oid: -1, text: "a" })] }],
    ["no uses", { uses: 0 }],
    ["half a use", { uses: 1.5 }],
    ["endless uses", { uses: Number.MAX_SAFE_INTEGER }],
    ["a validity that is over before it begins", { validity: { from: NOW, until: NOW } }],
    ["a time with an offset", validity("2026-11-23T18:00:00+01:00")],
    ["a time with fractions", validity("2026-11-23T18:00:00.5Z")],
    ["a day that does not exist", validity("2027-02-29T18:00:00Z")],
    ["a year of five digits", validity("+12026-01-01T00:00Z")],
    ["a short nonce", { nonce: "00" }],
    ["a reason that is too long", { reason: "r".repeat(2001) }],
    ["an impact that is no object", { impact: [1] }],
    ["an impact nested too deeply", { impact: nested(20) }],
  ])("is refused with %s", (_, changed) => {
    expect(() => parseApprovalDocument(edited(changed))).toThrow(Malformed);
  });

  it("is refused when larger than the limit, before anything is made of it", () => {
    const text = JSON.stringify({ reason: "r".repeat(MAX_DOCUMENT_BYTES) });
    expect(() => parseApprovalDocument(text)).toThrow("larger than");
    const deep = `{"impact":${"[".repeat(500_000)}`;
    expect(() => parseApprovalDocument(deep)).toThrow("nested too deeply");
  });

  it("can't be made where it could not be read", () => {
    expect(() => encodeApprovalDocument({ ...DOCUMENT, uses: 0 })).toThrow(Malformed);
  });

  it("is another one, or none, after any change of one character", () => {
    fc.assert(
      fc.property(fc.nat(TEXT.length - 1), fc.string({ maxLength: 1 }), (at, character) => {
        const changed = TEXT.slice(0, at) + character + TEXT.slice(at + 1);
        fc.pre(changed !== TEXT);
        try {
          expect(parseApprovalDocument(changed)).not.toEqual(DOCUMENT);
        } catch (error) {
          if (!(error instanceof Malformed)) throw error;
        }
      }),
    );
  });
});

function statement(sql: string): { sql: string; sha256: string; parameters: Json } {
  return { sql, sha256: sha256(sql), parameters: "none" };
}

function withValue(value: Json): Json {
  return { ...statement("x"), parameters: [value] };
}

function validity(until: string): Record<string, unknown> {
  return { validity: { from: NOW, until } };
}

function nested(depth: number): Json {
  return depth === 0 ? 1 : { a: nested(depth - 1) };
}
