import { createHash, timingSafeEqual } from "node:crypto";
import type { Brand } from "./brand.ts";

/** SHA-256 as 64 lower-case hex digits. */
export type Sha256 = Brand<string, "Sha256">;

export function sha256(data: Uint8Array | string): Sha256 {
  return createHash("sha256").update(data).digest("hex") as Sha256;
}

/** @throws Error unless `text` is 64 lower-case hex digits */
export function parseSha256(text: string): Sha256 {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new Error("not a SHA-256 in lower-case hex");
  return text as Sha256;
}

/** Compares two byte strings in time that depends on their lengths only. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
