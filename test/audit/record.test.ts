import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { encodeFinished, encodeFragment, EVENTS, parseRecord } from "../../src/audit/record.ts";
import { SQLSTATE, parseSqlstate } from "../../src/base/errors.ts";
import { seq } from "../support/audit-chain.ts";

describe("the format at the head of record.ts", () => {
  const head = readFileSync(new URL("../../src/audit/record.ts", import.meta.url), "utf8");
  const example = /\{"seq":2,[^@]*?"hash":"[0-9a-f]{64}"\}/
    .exec(head)?.[0]
    .replace(/\n \* {3}/g, "");

  it("has an example whose hash is right by its own rule", () => {
    const line = Buffer.from(example ?? "");
    expect(parseRecord(line).hash).toBe(hash("sha256", line.subarray(0, -75)));
  });

  it("has an example that is encoded again to the same bytes", () => {
    const {
      seq: n,
      time,
      chain,
      prev,
      event,
      fields,
      hash: seal,
    } = parseRecord(Buffer.from(example ?? ""));
    const body = encodeFragment(fields).toString();
    expect(
      `{"seq":${n},"time":"${time}","chain":"${chain}","prev":"${prev}","event":"${event}"${body},"hash":"${seal}"}`,
    ).toBe(example);
  });
});

describe("docs/reference/audit-record.md", () => {
  const page = readFileSync(
    new URL("../../docs/reference/audit-record.md", import.meta.url),
    "utf8",
  );

  it("has every event, and no other", () => {
    const [, table = ""] = /\n## Events\n([^#]*)/.exec(page) ?? [];
    const documented = [...table.matchAll(/^\| `([a-z_.]+)`/gm)].map(([, name]) => name);
    expect(documented).toEqual([...EVENTS]);
  });
});

describe("encodeFragment", () => {
  it("leaves out what is undefined, and is empty for nothing", () => {
    expect(encodeFragment({ request: undefined }).toString()).toBe("");
    expect(encodeFragment({ person: "bob", request: undefined }).toString()).toBe(
      `,"person":"bob"`,
    );
  });

  it("keeps every line on one line", () => {
    const sql = "SELECT 1\n-- \u2028\r\0\ud800";
    const fragment = encodeFragment({ sql });
    expect(fragment.includes(0x0a)).toBe(false);
    expect((JSON.parse(`{${fragment.toString().slice(1)}}`) as { sql: string }).sql).toBe(sql);
  });

  it.each(["seq", "time", "chain", "prev", "event", "hash"])("refuses %s", (name) => {
    expect(() => encodeFragment({ [name]: "x" })).toThrow("is the writer's to set");
  });
});

describe("encodeFinished", () => {
  it.each([0, 12])("is what encodeFragment makes of the same members", (copiedBytes) => {
    expect(
      encodeFinished(seq(7), {
        rows: 3,
        bytes: 99,
        copiedBytes,
        durationUs: 1234.5,
        sqlstate: SQLSTATE.ioError,
      }),
    ).toBe(
      encodeFragment({
        statement: seq(7),
        rows: 3,
        bytes: 99,
        copied_bytes: copiedBytes === 0 ? undefined : copiedBytes,
        duration_ms: 1.235,
        sqlstate: SQLSTATE.ioError,
      }).toString(),
    );
  });

  it("stays JSON however long a statement took", () => {
    const fragment = encodeFinished(seq(1), {
      rows: 0,
      bytes: 0,
      copiedBytes: 0,
      durationUs: 0.0001,
      sqlstate: parseSqlstate("00000"),
    });
    expect(fragment).toContain(`"duration_ms":0,`);
  });
});

describe("parseRecord", () => {
  const good = {
    seq: 1,
    time: "2026-03-14T09:26:53.589793Z",
    chain: "9f86d081884c7d65",
    prev: "0".repeat(64),
    event: "session.end",
    hash: "0".repeat(64),
  };

  it.each([
    ["not JSON", "{"],
    ["no object", "[]"],
    ["null", "null"],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22])],
    ["seq 0", JSON.stringify({ ...good, seq: 0 })],
    ["seq as text", JSON.stringify({ ...good, seq: "1" })],
    ["seq beyond whole numbers", JSON.stringify({ ...good, seq: 2 ** 53 })],
    ["no time", JSON.stringify({ ...good, time: "yesterday" })],
    ["a chain of other form", JSON.stringify({ ...good, chain: "../../etc" })],
    ["a hash in capitals", JSON.stringify({ ...good, hash: "A".repeat(64) })],
    ["no event", JSON.stringify({ ...good, event: 1 })],
  ])("refuses %s", (_, line) => {
    expect(() => parseRecord(Buffer.from(line))).toThrow();
  });

  it("keeps members it does not know, whatever their names", () => {
    const line = JSON.stringify(good).replace("{", `{"__proto__":1,"later":[2],`);
    expect(Object.entries(parseRecord(Buffer.from(line)).fields)).toEqual([
      ["__proto__", 1],
      ["later", [2]],
    ]);
  });
});
