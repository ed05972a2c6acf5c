import { createPublicKey, hash, verify } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChainWriter, FRAME_BYTES, NO_RECORD, SEAL_BYTES } from "../../src/audit/chain.ts";
import { isSignedBy, keyFingerprint, parseCheckpoint } from "../../src/audit/checkpoint.ts";
import { encodeFragment, EVENTS, parseChainId, parseRecord } from "../../src/audit/record.ts";
import { ChainInMemory, OTHER_KEY, PUBLIC_KEY, SIGNING_KEY } from "../support/audit-chain.ts";

const chain = parseChainId("9f86d081884c7d65");

function encodeOne(seq: number, nowUs: number): string {
  const writer = new ChainWriter({ chain, seq: seq - 1, hash: NO_RECORD });
  const line = Buffer.alloc(FRAME_BYTES);
  return line.toString("utf8", 0, writer.encode(line, 0, nowUs, "session.end", []));
}

describe("ChainWriter", () => {
  it("chains each record to the bytes of the one before", () => {
    const { lines } = new ChainInMemory()
      .add("session.end", { reason: "a" })
      .add("session.end", {});
    const [first, second] = lines.map((line) => parseRecord(line));
    expect(first?.prev).toBe("0".repeat(64));
    expect(first?.hash).toBe(hash("sha256", (lines[0] as Buffer).subarray(0, -SEAL_BYTES - 1)));
    expect(second?.prev).toBe(first?.hash);
    expect(second?.seq).toBe(2);
  });

  it("counts on where the number gets a digit more, and where it starts anywhere", () => {
    const writer = new ChainWriter({ chain, seq: 7, hash: NO_RECORD });
    const buffer = Buffer.alloc(200_000);
    let end = 0;
    for (let i = 0; i < 200; i += 1) end = writer.encode(buffer, end, 1e15 + i, "session.end", []);
    const seqs = buffer
      .toString("utf8", 0, end - 1)
      .split("\n")
      .map((line) => parseRecord(Buffer.from(line)).seq);
    expect(seqs).toEqual(Array.from({ length: 200 }, (_, i) => i + 8));
    expect(writer.head).toMatchObject({ chain, seq: 207 });
  });

  it("writes any time with its microseconds", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4e15 }),
        fc.integer({ min: 1, max: 1e12 }),
        (us, seq) => {
          const { time, seq: read } = parseRecord(Buffer.from(encodeOne(seq, us)));
          const micros = String(us % 1e6).padStart(6, "0");
          expect(time).toBe(
            `${new Date(Math.floor(us / 1e6) * 1000).toISOString().slice(0, 20)}${micros}Z`,
          );
          expect(read).toBe(seq);
        },
      ),
    );
  });

  it("follows a clock that is set back", () => {
    const writer = new ChainWriter({ chain, seq: 0, hash: NO_RECORD });
    const buffer = Buffer.alloc(4 * FRAME_BYTES);
    const times = [1_700_000_000_000_001, 1_699_999_999_999_999, 1_700_000_001_000_000].map(
      (us) => {
        const end = writer.encode(buffer, 0, us, "session.end", []);
        return parseRecord(buffer.subarray(0, end)).time;
      },
    );
    expect(times).toEqual([
      "2023-11-14T22:13:20.000001Z",
      "2023-11-14T22:13:19.999999Z",
      "2023-11-14T22:13:21.000000Z",
    ]);
  });

  it("needs no more room than it says, for the longest of everything", () => {
    const key = encodeFragment({ key: keyFingerprint(SIGNING_KEY), next_within: 1e9 });
    for (const event of EVENTS) {
      const writer = new ChainWriter({ chain, seq: 1e15, hash: NO_RECORD });
      const line = Buffer.alloc(2000);
      const end = writer.encodeSigned(line, 0, 4e15, event, key, () => "x".repeat(88));
      expect(end - key.length).toBeLessThanOrEqual(FRAME_BYTES);
    }
  });
});

describe("a checkpoint", () => {
  const line = new ChainInMemory().checkpoint(100).lines[0] as Buffer;
  const checkpoint = parseCheckpoint(line.subarray(0, -1));

  it("is signed over its bytes before the signature, as any Ed25519 implementation verifies", () => {
    const text = line.toString();
    const signed = text.slice(0, text.indexOf(`,"signature":"`));
    expect(verify(null, Buffer.from(signed), PUBLIC_KEY, checkpoint.signature)).toBe(true);
    expect(checkpoint.nextWithin).toBe(100);
  });

  it("holds for its own key only", () => {
    expect(isSignedBy(checkpoint, PUBLIC_KEY)).toBe(true);
    expect(isSignedBy(checkpoint, createPublicKey(OTHER_KEY))).toBe(false);
  });

  it.each([
    ["another event", [`"chain.checkpoint"`, `"session.end"`]],
    ["no signature", [`"signature"`, `"sign"`]],
    ["no promise of the next", [`"next_within"`, `"next"`]],
    ["a key that is no text", [/"key":"\w+"/, `"key":1`]],
  ] as const)("is not read from a record with %s", (_, [from, to]) => {
    const other = line.toString().trimEnd().replace(from, to);
    expect(() => parseCheckpoint(Buffer.from(other))).toThrow("not a checkpoint");
  });
});
