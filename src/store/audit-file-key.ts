import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import fs from "node:fs";
import { AuditUnavailable } from "../base/errors.ts";
import { writeDurably } from "./durable-files.ts";

/**
 * Loads the Ed25519 key that signs checkpoints (PKCS #8, PEM), or makes it on first use; the public half is beside it as
 * `<file>.pub`, for whoever verifies.
 *
 * @throws AuditUnavailable when it can't be read or made, is no Ed25519 key, or others may read it
 */
export function openSigningKey(filePath: string): KeyObject {
  try {
    if (!fs.existsSync(filePath)) makeSigningKey(filePath);
    if (process.platform !== "win32" && (fs.statSync(filePath).mode & 0o077) !== 0) {
      throw new Error("others than its owner may read it; `chmod 600` it");
    }
    const key = createPrivateKey(fs.readFileSync(filePath));
    if (key.asymmetricKeyType !== "ed25519") throw new Error("not an Ed25519 key");
    writePublicHalf(`${filePath}.pub`, key);
    return key;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AuditUnavailable(`audit signing key "${filePath}" can't be used: ${why}`, { cause });
  }
}

/** @throws Error for what is no Ed25519 public key in PEM */
export function loadPublicKey(filePath: string): KeyObject {
  const key = createPublicKey(fs.readFileSync(filePath));
  if (key.asymmetricKeyType !== "ed25519") throw new Error("not an Ed25519 key");
  return key;
}

function makeSigningKey(filePath: string): void {
  const { privateKey } = generateKeyPairSync("ed25519");
  writeDurably(filePath, Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" })));
}

/** A key of the operator's own may come without its public half, and then nobody could verify what it signs. */
function writePublicHalf(filePath: string, key: KeyObject): void {
  const pem = createPublicKey(key).export({ type: "spki", format: "pem" });
  if (fs.existsSync(filePath) && fs.readFileSync(filePath, "utf8") === pem) return;
  writeDurably(filePath, Buffer.from(pem));
}
