import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolViolation } from "../../src/base/errors.ts";
import {
  decodeBind,
  decodeBoundParameters,
  decodeExecute,
  decodeFunctionCall,
  decodeObject,
  decodeParse,
  decodeQuery,
} from "../../src/wire/decode-frontend.ts";
import { encodeParse } from "../../src/wire/encode-refusal.ts";

function bytes(
  ...parts: readonly (string | number | { int16: number } | { int32: number })[]
): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(part, "latin1");
      if (typeof part === "number") return Buffer.of(part);
      const field = Buffer.alloc("int16" in part ? 2 : 4);
      if ("int16" in part) field.writeInt16BE(part.int16);
      else field.writeInt32BE(part.int32);
      return field;
    }),
  );
}

const int16 = (value: number): { int16: number } => ({ int16: value });
const int32 = (value: number): { int32: number } => ({ int32: value });

describe("frontend messages", () => {
  it("reads what their fields say", () => {
    expect(decodeQuery(bytes("SELECT 1\0")).text.toString()).toBe("SELECT 1");
    expect(decodeParse(bytes("s\0", "SELECT $1\0", int16(1), int32(23)))).toMatchObject({
      statement: "s",
      parameterTypes: [23],
    });
    expect(decodeBind(bytes("p\0", "s\0", int16(0), int16(1), int32(-1), int16(0)))).toEqual({
      portal: "p",
      statement: "s",
    });
    expect(decodeObject("Describe", bytes("P", "p\0"))).toEqual({ kind: "portal", name: "p" });
    expect(decodeExecute(bytes("p\0", int32(5)))).toEqual({ portal: "p", maxRows: 5 });
    expect(
      decodeFunctionCall(bytes(int32(964), int16(0), int16(1), int32(4), "abcd", int16(0))),
    ).toEqual({ functionOid: 964 });
  });

  it("reads bound values with one format for all, one each, or none", () => {
    const values = [int16(2), int32(1), "a", int32(-1)] as const;
    const formats = (...codes: number[]): Buffer =>
      bytes("\0\0", int16(codes.length), ...codes.map(int16), ...values, int16(0));
    const shown = (body: Buffer): unknown[] =>
      decodeBoundParameters(body).map(({ format, value }) => [format, value?.toString()]);
    expect(shown(formats())).toEqual([
      [0, "a"],
      [0, undefined],
    ]);
    expect(shown(formats(1))).toEqual([
      [1, "a"],
      [1, undefined],
    ]);
    expect(shown(formats(1, 0))).toEqual([
      [1, "a"],
      [0, undefined],
    ]);
  });

  it("cuts a name where the server stops comparing (checklist 39)", () => {
    const name = "n".repeat(63);
    expect(decodeExecute(bytes(`${name}tail\0`, int32(0))).portal).toBe(name);
  });

  it.each([
    ["a Query without its terminator", () => decodeQuery(bytes("SELECT 1"))],
    [
      "a Query with a zero byte before its end",
      () => decodeQuery(bytes("SELECT 1\0; DROP TABLE x\0")),
    ],
    [
      "a Parse with fewer types than announced",
      () => decodeParse(bytes("\0", "\0", int16(2), int32(1))),
    ],
    ["a Parse with bytes behind its end", () => decodeParse(bytes("\0", "\0", int16(0), "x"))],
    [
      "a Bind whose value is longer than the message",
      () => decodeBind(bytes("\0\0", int16(0), int16(1), int32(9), "a", int16(0))),
    ],
    [
      "a Bind with a value length below -1",
      () => decodeBind(bytes("\0\0", int16(0), int16(1), int32(-2), int16(0))),
    ],
    [
      "a Bind with two formats for three values",
      () =>
        decodeBind(
          bytes(
            "\0\0",
            int16(2),
            int16(0),
            int16(0),
            int16(3),
            int32(-1),
            int32(-1),
            int32(-1),
            int16(0),
          ),
        ),
    ],
    ["a Describe of neither kind", () => decodeObject("Describe", bytes("X", "\0"))],
    ["an Execute without its limit", () => decodeExecute(bytes("\0"))],
    [
      "a FunctionCall that ends early",
      () => decodeFunctionCall(bytes(int32(964), int16(0), int16(1))),
    ],
  ])("refuses %s (checklist 8, 9)", (_, decode) => {
    expect(decode).toThrow(ProtocolViolation);
  });

  it("throws nothing but ProtocolViolation, whatever the bytes", () => {
    const decoders = [decodeQuery, decodeParse, decodeBind, decodeExecute, decodeFunctionCall];
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom(...decoders),
        (body, decode) => {
          try {
            decode(Buffer.from(body));
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolViolation);
          }
        },
      ),
    );
  });

  it("reads a Parse back as it was encoded", () => {
    const names = fc
      .string({ maxLength: 20 })
      .map((name) => Buffer.from(name).toString("latin1").replaceAll("\0", ""));
    const texts = fc.string().filter((text) => !text.includes("\0"));
    const oids = fc.array(fc.nat(0xffffffff), { maxLength: 5 });
    fc.assert(
      fc.property(names, texts, oids, (statement, text, parameterTypes) => {
        const decoded = decodeParse(
          encodeParse(statement, Buffer.from(text), parameterTypes).subarray(5),
        );
        expect({ ...decoded, text: decoded.text.toString() }).toEqual({
          statement,
          text: text.toWellFormed(),
          parameterTypes,
        });
      }),
    );
  });
});
