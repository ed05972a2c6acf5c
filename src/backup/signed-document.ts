import { createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { canonicalJson, type Json } from "../base/canonical-json.ts";
import { sha256, type Sha256 } from "../base/digest.ts";
import { BackupDamaged } from "./backup-failed.ts";

/** With which keys documents in a store are believed: by the SHA-256 of their DER form. */
export type TrustedKeys = ReadonlyMap<Sha256, KeyObject>;

const MAX_BYTES = 1 << 20;

/**
 * JSON in canonical form (RFC 8785) with two more members: `key`, the SHA-256 of the signer's public key (DER, SPKI), and
 * `signature`, base64, Ed25519 over the canonical form of all the others. Any byte that is changed is seen.
 */
export function signDocument(document: Readonly<Record<string, Json>>, key: KeyObject): Buffer {
  const signed = { ...document, key: keyId(key) };
  const signature = sign(null, Buffer.from(canonicalJson(signed)), key).toString("base64");
  return Buffer.from(`${canonicalJson({ ...signed, signature })}\n`);
}

/** @throws BackupDamaged for anything but the very bytes that a trusted key signed */
export function openDocument(bytes: Buffer, trusted: TrustedKeys): Readonly<Record<string, Json>> {
  if (bytes.length > MAX_BYTES) throw new BackupDamaged("a signed document is too large");
  const value = parse(bytes);
  const { signature, ...signed } = value;
  const { key: id } = signed;
  if (typeof signature !== "string" || typeof id !== "string") {
    throw new BackupDamaged("a signed document has no signature");
  }
  const isCanonical = bytes.equals(Buffer.from(`${canonicalJson(value)}\n`));
  const key = trusted.get(id as Sha256);
  if (key === undefined) {
    throw new BackupDamaged(`it is signed by key ${id.slice(0, 16)}…, which is not trusted here`, {
      hint: "name the public key of the Twokey that made it under backups.trusted_keys",
    });
  }
  const isRight =
    isCanonical &&
    verify(null, Buffer.from(canonicalJson(signed)), key, Buffer.from(signature, "base64"));
  if (!isRight) throw new BackupDamaged("a signature does not hold");
  return signed;
}

/** @returns by which a key is named */
export function keyId(key: KeyObject): Sha256 {
  const half = key.type === "private" ? createPublicKey(key) : key;
  return sha256(half.export({ type: "spki", format: "der" }));
}

export function trust(keys: readonly KeyObject[]): TrustedKeys {
  return new Map(
    keys.map((key) => [keyId(key), key.type === "private" ? createPublicKey(key) : key]),
  );
}

function parse(bytes: Buffer): Readonly<Record<string, Json>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error();
    return value as Readonly<Record<string, Json>>;
  } catch (cause) {
    throw new BackupDamaged("a signed document is no JSON", { cause });
  }
}
