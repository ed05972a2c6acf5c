import { hash } from "node:crypto";
import { SEAL_BYTES } from "./chain.ts";

const SEAL_MEMBER = Buffer.from(`,"hash":"`);
const SEAL_END = Buffer.from(`"}`);

/** @returns the line's hash if it is the one that it states */
export function sealedHash(bytes: Buffer, start: number, end: number): string | undefined {
  const sealAt = end - SEAL_BYTES;
  if (sealAt <= start || !startsAt(SEAL_MEMBER, bytes, sealAt)) return undefined;
  if (!startsAt(SEAL_END, bytes, end - SEAL_END.length)) return undefined;
  const digest = hash("sha256", bytes.subarray(start, sealAt));
  const hashAt = sealAt + SEAL_MEMBER.length;
  for (let i = 0; i < digest.length; i += 1) {
    if (bytes[hashAt + i] !== digest.charCodeAt(i)) return undefined;
  }
  return digest;
}

export function startsAt(expected: Buffer, bytes: Buffer, at: number): boolean {
  for (let i = 0; i < expected.length; i += 1) if (bytes[at + i] !== expected[i]) return false;
  return true;
}
