import { describe, expect, it } from "vitest";
import { ConnectionRefused, ProtocolViolation } from "../../src/base/errors.ts";
import { decodeStartupPacket, startupBodyBytes } from "../../src/wire/startup-packet.ts";

function startup(version: number, ...strings: readonly string[]): Buffer {
  const code = Buffer.alloc(4);
  code.writeUInt32BE(version);
  return Buffer.concat([code, Buffer.from(strings.map((text) => `${text}\0`).join(""))]);
}

const V3_0 = 3 << 16;

function parameters(...strings: readonly string[]): Record<string, string> {
  const packet = decodeStartupPacket(startup(V3_0, ...strings, ""));
  if (packet.type !== "StartupMessage") throw new Error(packet.type);
  return Object.fromEntries(packet.parameters);
}

describe("decodeStartupPacket", () => {
  it.each([
    [80877103, "SSLRequest"],
    [80877104, "GSSENCRequest"],
  ])("knows the request code %d", (code, type) => {
    expect(decodeStartupPacket(startup(code)).type).toBe(type);
  });

  it("takes the last of several equal keys, as the server does (checklist 17)", () => {
    expect(parameters("user", "alice", "database", "dev", "database", "shop")).toEqual({
      user: "alice",
      database: "shop",
    });
  });

  it("folds the names of settings but not the four that the server matches exactly", () => {
    expect(parameters("user", "alice", "USER", "root", "DateStyle", "ISO")).toEqual({
      user: "alice",
      USER: "root",
      datestyle: "ISO",
    });
  });

  it("keeps the minor version and unknown protocol options for negotiation (checklist 20)", () => {
    expect(decodeStartupPacket(startup(V3_0 + 9999, "user", "a", "_pq_.x", "1", ""))).toMatchObject(
      {
        minorVersion: 9999,
        protocolOptions: ["_pq_.x"],
      },
    );
  });

  it.each([4, 32, 256])("takes a cancel key of %d bytes (checklist 52)", (length) => {
    const packet = decodeStartupPacket(
      Buffer.concat([startup(80877102), Buffer.of(0, 0, 0, 7), Buffer.alloc(length, 9)]),
    );
    expect(packet).toEqual({
      type: "CancelRequest",
      processId: 7,
      secret: Buffer.alloc(length, 9),
    });
  });

  it.each([
    ["protocol 2", startup(2 << 16, "user", "a", ""), ConnectionRefused],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), ConnectionRefused],
    ["no user", startup(V3_0, "database", "shop", ""), ConnectionRefused],
    [
      "a name that the server would cut",
      startup(V3_0, "user", "u".repeat(64), ""),
      ConnectionRefused,
    ],
    ["no final terminator", startup(V3_0, "user", "alice"), ProtocolViolation],
    ["bytes behind the terminator", startup(V3_0, "user", "alice", "", "x"), ProtocolViolation],
    [
      "invalid UTF-8",
      Buffer.concat([startup(V3_0, "user"), Buffer.of(0xff, 0, 0)]),
      ProtocolViolation,
    ],
    [
      "a cancel key of 3 bytes",
      Buffer.concat([startup(80877102), Buffer.alloc(7)]),
      ProtocolViolation,
    ],
    [
      "an SSLRequest with bytes behind it",
      Buffer.concat([startup(80877103), Buffer.alloc(1)]),
      ProtocolViolation,
    ],
  ])("refuses %s", (_, body, error) => {
    expect(() => decodeStartupPacket(body)).toThrow(error);
  });

  it.each([0, 7, 10_001, 0x7fffffff, 0xffffffff])(
    "refuses a length word of %d (checklist 4)",
    (word) => {
      expect(() => startupBodyBytes(word)).toThrow(ProtocolViolation);
    },
  );
});
