import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  encodeCancelRequest,
  encodePasswordMessage,
  encodeSaslInitialResponse,
  encodeSaslResponse,
  encodeSslRequest,
  encodeStartupMessage,
  encodeTerminate,
} from "../../src/wire/encode-frontend.ts";
import { decodeStartupPacket, startupBodyBytes } from "../../src/wire/startup-packet.ts";

function packetOf(bytes: Buffer): ReturnType<typeof decodeStartupPacket> {
  expect(startupBodyBytes(bytes.readUInt32BE(0))).toBe(bytes.length - 4);
  return decodeStartupPacket(bytes.subarray(4));
}

describe("start-up packets", () => {
  it("decode as what was encoded", () => {
    expect(packetOf(encodeSslRequest())).toEqual({ type: "SSLRequest" });
    const secret = Buffer.from("0123456789abcdef");
    expect(packetOf(encodeCancelRequest(0xffffffff, secret))).toEqual({
      type: "CancelRequest",
      processId: 0xffffffff,
      secret,
    });
    const parameters = new Map([
      ["user", "ünï"],
      ["database", "shop"],
      ["application_name", ""],
    ]);
    expect(packetOf(encodeStartupMessage(2, parameters))).toEqual({
      type: "StartupMessage",
      minorVersion: 2,
      parameters,
      protocolOptions: [],
    });
  });

  it("keep every parameter apart, whatever it holds", () => {
    const text = fc
      .string({ minLength: 1, maxLength: 20, unit: "grapheme" })
      .filter((t) => !t.includes("\0"));
    fc.assert(
      fc.property(text, text, (user, value) => {
        const parameters = new Map([
          ["user", user],
          ["search_path", value],
        ]);
        expect(packetOf(encodeStartupMessage(0, parameters))).toMatchObject({ parameters });
      }),
    );
  });

  it.each([
    ["a value", new Map([["user", "a\0database\0postgres"]])],
    ["a name", new Map([["us\0er", "a"]])],
    ["no name at all", new Map([["", "a"]])],
  ])("can't be split by %s", (_, parameters) => {
    expect(() => encodeStartupMessage(0, parameters)).toThrow(TypeError);
  });
});

describe("messages", () => {
  it.each([
    ["PasswordMessage", encodePasswordMessage("pä"), "p\0\0\0\x08p\xc3\xa4\0"],
    [
      "SASLInitialResponse",
      encodeSaslInitialResponse("SCRAM-SHA-256", "n,,"),
      "p\0\0\0\x19SCRAM-SHA-256\0\0\0\0\x03n,,",
    ],
    ["SASLResponse", encodeSaslResponse("c=biws"), "p\0\0\0\x0ac=biws"],
    ["Terminate", encodeTerminate(), "X\0\0\0\x04"],
  ])("%s", (_, message, expected) => {
    expect(message.toString("latin1")).toBe(expected);
  });

  it("refuses a password that a zero byte would cut", () => {
    expect(() => encodePasswordMessage("a\0b")).toThrow(TypeError);
  });
});
