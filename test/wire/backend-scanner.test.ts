import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolViolation } from "../../src/base/errors.ts";
import { BackendScanner } from "../../src/wire/backend-scanner.ts";
import { BACKEND } from "../../src/wire/message-types.ts";

function message(type: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** Scans chunks; `answer` may put something in a message's place. */
function scan(
  chunks: readonly Buffer[],
  answer: (type: number, body: Buffer) => Buffer | undefined = () => undefined,
): { forwarded: Buffer; seen: [number, string][] } {
  const forwarded: Buffer[] = [];
  const seen: [number, string][] = [];
  const scanner = new BackendScanner({
    backendMessage: (type, bytes, start, end) => {
      const body = bytes.subarray(start, end);
      seen.push([type, body.toString("hex")]);
      return answer(type, body);
    },
    forward: (bytes) => forwarded.push(Buffer.from(bytes)),
  });
  for (const chunk of chunks) scanner.scan(chunk);
  return { forwarded: Buffer.concat(forwarded), seen };
}

const types = fc.constantFrom(...Object.values(BACKEND), 0x7a);
const messages = fc.array(fc.tuple(types, fc.uint8Array({ maxLength: 200 })), { maxLength: 12 });

describe("BackendScanner", () => {
  it("forwards every byte and sees the same messages however the bytes are cut (checklist 1, 10)", () => {
    fc.assert(
      fc.property(messages, fc.integer({ min: 1, max: 40 }), (list, size) => {
        const bytes = Buffer.concat(list.map(([type, body]) => message(type, body)));
        const pieces: Buffer[] = [];
        for (let i = 0; i < bytes.length; i += size) pieces.push(bytes.subarray(i, i + size));
        const whole = scan([bytes]);
        const cut = scan(pieces);
        expect(whole.forwarded).toEqual(bytes);
        expect(cut.forwarded).toEqual(bytes);
        expect(cut.seen).toEqual(whole.seen);
      }),
    );
  });

  it("puts an answer in the place of one message and leaves its neighbours as they were", () => {
    const before = message(BACKEND.DataRow, Buffer.from("row"));
    const error = message(BACKEND.ErrorResponse, Buffer.from("Eold\0\0"));
    const ready = message(BACKEND.ReadyForQuery, Buffer.from("I"));
    const swap = (type: number): Buffer | undefined =>
      type === BACKEND.ErrorResponse ? Buffer.from("NEW") : undefined;
    const expected = Buffer.concat([before, Buffer.from("NEW"), ready]);
    const bytes = Buffer.concat([before, error, ready]);
    expect(scan([bytes], swap).forwarded).toEqual(expected);
    expect(
      scan(
        Array.from(bytes, (byte) => Buffer.of(byte)),
        swap,
      ).forwarded,
    ).toEqual(expected);
  });

  it("passes an error of any size through, and still tells its beginning", () => {
    const body = Buffer.concat([
      Buffer.from("SERROR\0C22012\0M"),
      Buffer.alloc(200_000, 120),
      Buffer.alloc(2),
    ]);
    const bytes = message(BACKEND.ErrorResponse, body);
    const { forwarded, seen } = scan([
      bytes.subarray(0, 300),
      bytes.subarray(300, 5000),
      bytes.subarray(5000),
    ]);
    expect(forwarded).toEqual(bytes);
    expect(seen).toHaveLength(1);
  });

  it.each([
    ["below 4", BACKEND.DataRow, 3],
    ["beyond any message", BACKEND.DataRow, 0x7fffffff],
    ["no command tag can have", BACKEND.CommandComplete, 2_000_000],
  ])("refuses a length %s (checklist 57)", (_, type, length) => {
    const header = Buffer.alloc(5);
    header[0] = type;
    header.writeUInt32BE(length, 1);
    expect(() => scan([header])).toThrow(ProtocolViolation);
  });
});
