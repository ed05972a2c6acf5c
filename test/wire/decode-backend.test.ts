import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolViolation } from "../../src/base/errors.ts";
import {
  decodeAuthentication,
  decodeBackendKeyData,
  decodeNegotiateProtocolVersion,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeResponse,
} from "../../src/wire/decode-backend.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

describe("decoding what a backend sends", () => {
  it.each([
    ["\0\0\0\0", { kind: "ok" }],
    ["\0\0\0\x03", { kind: "cleartext_password" }],
    ["\0\0\0\x05salt", { kind: "md5_password", salt: bytes("salt") }],
    ["\0\0\0\x0aSCRAM-SHA-256\0\0", { kind: "sasl", mechanisms: ["SCRAM-SHA-256"] }],
    ["\0\0\0\x0bdata", { kind: "sasl_continue", data: bytes("data") }],
    ["\0\0\0\x0cdata", { kind: "sasl_final", data: bytes("data") }],
    ["\0\0\0\x07", { kind: "unsupported", code: 7 }],
  ])("Authentication %j", (body, expected) => {
    expect(decodeAuthentication(bytes(body))).toEqual(expected);
  });

  it("reads keys, settings, status and versions", () => {
    expect(decodeBackendKeyData(bytes("\0\0\0\x2asecret"))).toEqual({
      processId: 42,
      secret: bytes("secret"),
    });
    expect(decodeParameterStatus(bytes("TimeZone\0UTC\0"))).toEqual({
      name: "TimeZone",
      value: "UTC",
    });
    expect(decodeReadyForQuery(bytes("E"))).toBe("E");
    expect(decodeNegotiateProtocolVersion(bytes("\0\x03\0\0\0\0\0\x01_pq_.x\0"))).toEqual({
      minorVersion: 0,
      declinedOptions: ["_pq_.x"],
    });
  });

  it("reads an ErrorResponse, with the severity that isn't translated", () => {
    const body = bytes('SFATAL\0VFATAL\0C3D000\0Mdatabase "x" does not exist\0Hlook\0Fa.c\0\0');
    expect(decodeResponse(body)).toEqual({
      severity: "FATAL",
      sqlstate: "3D000",
      message: 'database "x" does not exist',
      detail: undefined,
      hint: "look",
    });
    expect(decodeResponse(bytes("SFEHLER\0C42601\0Mm\0\0"))).toMatchObject({ severity: "FEHLER" });
  });

  it.each([
    ["a salt that is too short", () => decodeAuthentication(bytes("\0\0\0\x05sal"))],
    ["bytes behind ok", () => decodeAuthentication(bytes("\0\0\0\0x"))],
    ["mechanisms without an end", () => decodeAuthentication(bytes("\0\0\0\x0aSCRAM\0"))],
    ["an empty Authentication", () => decodeAuthentication(bytes(""))],
    ["a key of three bytes", () => decodeBackendKeyData(bytes("\0\0\0\x01abc"))],
    ["a key of 257 bytes", () => decodeBackendKeyData(Buffer.alloc(4 + 257))],
    ["a setting without value", () => decodeParameterStatus(bytes("a\0"))],
    ["bytes behind a setting", () => decodeParameterStatus(bytes("a\0b\0c"))],
    ["an unknown transaction status", () => decodeReadyForQuery(bytes("X"))],
    ["no transaction status", () => decodeReadyForQuery(bytes(""))],
    [
      "a count without its options",
      () => decodeNegotiateProtocolVersion(bytes("\0\0\0\0\xff\xff\xff\xff")),
    ],
    ["an error without SQLSTATE", () => decodeResponse(bytes("SERROR\0Mm\0\0"))],
    ["an error whose SQLSTATE is none", () => decodeResponse(bytes("SERROR\0Cabc\0Mm\0\0"))],
    ["an error without message", () => decodeResponse(bytes("SERROR\0C42601\0\0"))],
    ["an error without end", () => decodeResponse(bytes("SERROR\0C42601\0Mm\0"))],
    ["bytes behind an error", () => decodeResponse(bytes("SERROR\0C42601\0Mm\0\0x"))],
  ])("refuses %s", (_, decode) => {
    expect(decode).toThrow(ProtocolViolation);
  });

  it.each([
    decodeAuthentication,
    decodeBackendKeyData,
    decodeParameterStatus,
    decodeReadyForQuery,
    decodeNegotiateProtocolVersion,
    decodeResponse,
  ])("%o gives a value or a ProtocolViolation for any bytes", (decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (body) => {
        try {
          decode(Buffer.from(body));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolation);
        }
      }),
      { numRuns: 500 },
    );
  });
});
