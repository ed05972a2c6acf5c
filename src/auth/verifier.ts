import { randomBytes } from "node:crypto";
import type { Secret } from "../base/secret.ts";
import { deriveScramKeys, hmacSha256, KEY_BYTES, parseBase64 } from "./scram-keys.ts";

/**
 * What checks a SCRAM-SHA-256 password without being one. As text it is PostgreSQL's own form
 * (PostgreSQL docs, "pg_authid"):
 *
 *     SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
 *
 * with salt and keys in base64. A stolen one doesn't log in, but lets passwords be guessed and this server be
 * played: keep it as a secret.
 */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** PostgreSQL's default. */
export const DEFAULT_ITERATIONS = 4096;

const SALT_BYTES = 16;
const MAX_ITERATIONS = 10_000_000;
const MAX_SALT_BYTES = 1024;

/** @returns `undefined` unless `text` is a verifier in PostgreSQL's form */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const fields = /^SCRAM-SHA-256\$([1-9]\d{0,7}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text);
  if (fields === null) return undefined;
  const [iterations, salt, storedKey, serverKey] = [
    Number(fields[1]),
    parseBase64(fields[2] ?? ""),
    parseBase64(fields[3] ?? ""),
    parseBase64(fields[4] ?? ""),
  ];
  if (iterations > MAX_ITERATIONS || salt === undefined || salt.length > MAX_SALT_BYTES)
    return undefined;
  if (storedKey?.length !== KEY_BYTES || serverKey?.length !== KEY_BYTES) return undefined;
  return { iterations, salt, storedKey, serverKey };
}

export function formatVerifier({ iterations, salt, storedKey, serverKey }: ScramVerifier): string {
  const [saltText, storedText, serverText] = [salt, storedKey, serverKey].map((bytes) =>
    bytes.toString("base64"),
  );
  return `SCRAM-SHA-256$${iterations}:${saltText}$${storedText}:${serverText}`;
}

export async function makeVerifier(
  password: Secret,
  {
    iterations = DEFAULT_ITERATIONS,
    salt = randomBytes(SALT_BYTES),
  }: { readonly iterations?: number; readonly salt?: Buffer } = {},
): Promise<ScramVerifier> {
  const { storedKey, serverKey } = await deriveScramKeys(password, { salt, iterations });
  return { iterations, salt, storedKey, serverKey };
}

/**
 * The verifier of somebody who doesn't exist: always the same salt for the same name, so that asking twice tells
 * nothing, and keys that no password has (PostgreSQL's "mock authentication").
 *
 * @param serverSecret - random, and the same on every replica and after every restart
 */
export function mockVerifier(
  name: string,
  serverSecret: Secret<Buffer>,
  iterations: number,
): ScramVerifier {
  const derive = (purpose: string): Buffer =>
    hmacSha256(serverSecret.reveal(), `twokey mock ${purpose}\0${name}`);
  return {
    iterations,
    salt: derive("salt").subarray(0, SALT_BYTES),
    storedKey: derive("stored key"),
    serverKey: derive("server key"),
  };
}
