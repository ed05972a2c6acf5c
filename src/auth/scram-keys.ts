import { createHash, createHmac, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { saslprep } from "@mongodb-js/saslprep";
import type { Secret } from "../base/secret.ts";

const pbkdf2Async = promisify(pbkdf2);

/** SHA-256's. */
export const KEY_BYTES = 32;

/** What a password, a salt and a number of rounds come to (RFC 5802 §3). */
export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export async function deriveScramKeys(
  password: Secret,
  { salt, iterations }: { readonly salt: Buffer; readonly iterations: number },
): Promise<ScramKeys> {
  const prepared = preparePassword(password.reveal());
  const saltedPassword = await pbkdf2Async(prepared, salt, iterations, KEY_BYTES, "sha256");
  const clientKey = hmacSha256(saltedPassword, "Client Key");
  return {
    clientKey,
    storedKey: sha256Bytes(clientKey),
    serverKey: hmacSha256(saltedPassword, "Server Key"),
  };
}

/** SASLprep where it applies, else the password as it is: what PostgreSQL does (its `pg_saslprep`). */
function preparePassword(password: string): string {
  try {
    return saslprep(password);
  } catch {
    return password; // a character that SASLprep prohibits
  }
}

export function hmacSha256(key: Buffer, data: string | Buffer): Buffer {
  return createHmac("sha256", key).update(data).digest();
}

export function sha256Bytes(data: Buffer): Buffer {
  return createHash("sha256").update(data).digest();
}

/** @returns a ⊕ b, of equally long buffers */
export function xor(a: Buffer, b: Buffer): Buffer {
  const result = Buffer.alloc(a.length);
  for (const [i, byte] of a.entries()) result[i] = byte ^ (b[i] ?? 0);
  return result;
}

/** Base64 as RFC 5802 wants it: padded, with nothing else in it. `undefined` for anything that isn't. */
export function parseBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length > 0 && bytes.toString("base64") === text ? bytes : undefined;
}
