import type { Brand } from "../base/brand.ts";
import { Malformed } from "./malformed.ts";

/**
 * What people say to each other on the telephone: `R-7F3K2M`. Six digits of Crockford's base 32, which has no
 * I, L, O or U. Knowing one gives no right to anything, and the store draws again when it is taken.
 */
export type RequestId = Brand<string, "RequestId">;

const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 6;

/** @param random - at least six random bytes, of which five bits each are used */
export function formatRequestId(random: Uint8Array): RequestId {
  if (random.length < LENGTH) throw new RangeError("a request id needs six random bytes");
  const digits = Array.from(random.subarray(0, LENGTH), (byte) => DIGITS.charAt(byte & 31));
  return `R-${digits.join("")}` as RequestId;
}

/**
 * Reads what a person typed: lower case, and I, L and O for the digits they look like.
 *
 * @throws Malformed for anything else
 */
export function parseRequestId(typed: string): RequestId {
  const digits = /^r-([0-9a-z]{6})$/i.exec(typed)?.[1]?.toUpperCase();
  const meant = digits?.replace(/[IL]/g, "1").replaceAll("O", "0");
  if (meant === undefined || meant.includes("U")) {
    throw new Malformed("not a request number", { hint: "they look like R-7F3K2M" });
  }
  return `R-${meant}` as RequestId;
}
