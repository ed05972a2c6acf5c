import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolViolation } from "../../src/base/errors.ts";
import { FrontendFramer } from "../../src/wire/framer.ts";
import { FRONTEND } from "../../src/wire/message-types.ts";

const LIMIT = 100_000;

function message(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** What comes out, pieces of CopyData joined again. */
function framed(chunks: readonly Buffer[]): string[] {
  const framer = new FrontendFramer(LIMIT);
  const messages: string[] = [];
  let copyData = "";
  for (const chunk of chunks) {
    framer.push(chunk);
    while (framer.next()) {
      const bytes = framer.buffer.toString("hex", framer.start, framer.end);
      if (framer.type === FRONTEND.CopyData) copyData += bytes;
      else messages.push(copyData, bytes);
      if (framer.type !== FRONTEND.CopyData) copyData = "";
    }
  }
  return [...messages, copyData].filter((bytes) => bytes !== "");
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, i) => Buffer.from(bytes.subarray(edges[i], edge)));
}

const types = fc.constantFrom(
  ...Object.values(FRONTEND).filter((type) => type !== FRONTEND.Password),
);
const messages = fc.array(fc.tuple(types, fc.uint8Array({ maxLength: 300 })), { maxLength: 12 });

describe("FrontendFramer", () => {
  it("gives the same messages however the bytes are cut, down to one at a time (checklist 1)", () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat(10_000), { maxLength: 20 }), (list, cuts) => {
        const bytes = Buffer.concat(list.map(([type, body]) => message(type, Buffer.from(body))));
        const whole = framed([bytes]);
        expect(framed(cut(bytes, cuts))).toEqual(whole);
        expect(framed(Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(whole);
      }),
    );
  });

  it("copies nothing for a message that arrives whole", () => {
    const framer = new FrontendFramer(LIMIT);
    const chunk = message(FRONTEND.Query, Buffer.from("SELECT 1\0"));
    framer.push(chunk);
    expect(framer.next()).toBe(true);
    expect(framer.buffer).toBe(chunk);
  });

  it.each([
    ["a length below 4", FRONTEND.Query, 3],
    ["a length that is negative when read as signed", FRONTEND.Query, 0xffffffff],
    ["a length just below the wrap", FRONTEND.CopyData, 0xfffffffb],
    ["a small message that announces too much", FRONTEND.Execute, 10_001],
    ["a statement above the configured limit", FRONTEND.Parse, LIMIT + 1],
    ["a type that no frontend sends", 0x5a, 5],
    ["a password outside authentication", FRONTEND.Password, 5],
  ])("refuses %s before its body is there (checklist 2-5)", (_, type, length) => {
    const header = Buffer.alloc(5);
    header[0] = type;
    header.writeUInt32BE(length, 1);
    const framer = new FrontendFramer(LIMIT);
    framer.push(header);
    expect(() => framer.next()).toThrow(ProtocolViolation);
  });

  it("reserves by what has arrived, not by what is announced", () => {
    const framer = new FrontendFramer(0x3ffffffe);
    const header = Buffer.alloc(5);
    header[0] = FRONTEND.Query;
    header.writeUInt32BE(0x3ffffff0, 1);
    framer.push(header);
    expect(framer.next()).toBe(false);
    framer.push(Buffer.alloc(10_000));
    expect(framer.next()).toBe(false);
    expect(framer.buffer.length).toBeLessThan(100_000);
  });

  it("hands CopyData over before it is complete", () => {
    const framer = new FrontendFramer(LIMIT);
    const bytes = message(FRONTEND.CopyData, Buffer.alloc(50_000, 7));
    framer.push(bytes.subarray(0, 20_000));
    expect(framer.next()).toBe(true);
    expect(framer.isPartial).toBe(true);
    expect(framer.end - framer.start).toBe(20_000);
    expect(framer.next()).toBe(false);
    expect(framer.pendingBytes).toBe(0);
  });
});
