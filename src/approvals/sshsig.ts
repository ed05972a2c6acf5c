import { createHash, sign, verify } from "node:crypto";
import { assertNever } from "../base/assert-never.ts";
import { Malformed } from "./malformed.ts";
import { parsePublicKeyBlob, type Curve, type SshPublicKey } from "./ssh-key.ts";
import type { Ed25519KeyPair } from "./ssh-private-key.ts";
import { SshReader, parseBase64, sshString, sshUint32 } from "./ssh-wire.ts";

/**
 * Signatures as `ssh-keygen -Y sign` makes them (OpenSSH, PROTOCOL.sshsig): an armored
 *
 *     byte[6] "SSHSIG", uint32 1, string public key, string namespace, string reserved, string hash, string signature
 *
 * in which the signature covers "SSHSIG", namespace, reserved, hash name and the message's hash. The namespace
 * keeps a signature made for git, for a file or for e-mail from being used as an approval.
 */
export const APPROVAL_NAMESPACE = "approval@twokey";

export type SignatureVerification =
  /** Made by `key` over exactly this message. Whose key that is, and whether it counts, is another question. */
  | { readonly kind: "valid"; readonly key: SshPublicKey }
  | { readonly kind: "malformed"; readonly because: string }
  | { readonly kind: "other_namespace"; readonly namespace: string }
  /** A FIDO2 key signed without being touched: software could have made it do so. */
  | { readonly kind: "nobody_present" }
  | { readonly kind: "wrong_signature" };

const MAGIC = "SSHSIG";
const VERSION = 1;
const BEGIN = "-----BEGIN SSH SIGNATURE-----\n";
const END = "\n-----END SSH SIGNATURE-----";
/** An RSA-16384 signature needs some 6 kB, a certificate adds a few. */
const MAX_ARMORED_CHARACTERS = 32_768;
const FLAG_USER_PRESENT = 0x01;

export function verifySshsig(
  armored: string,
  { message, namespace }: { readonly message: Uint8Array | string; readonly namespace: string },
): SignatureVerification {
  try {
    const parsed = parseSshsig(armored);
    if (parsed.namespace !== namespace) {
      return { kind: "other_namespace", namespace: parsed.namespace };
    }
    const signed = signedBytes(namespace, parsed.hash, message);
    return verifySignatureBlob(parsed.key, parsed.signature, signed);
  } catch (error) {
    if (error instanceof Malformed) return { kind: "malformed", because: error.message };
    throw error;
  }
}

export function signSshsig(
  pair: Ed25519KeyPair,
  { message, namespace }: { readonly message: Uint8Array | string; readonly namespace: string },
): string {
  const raw = sign(null, signedBytes(namespace, "sha512", message), pair.privateKey);
  const blob = Buffer.concat([
    Buffer.from(MAGIC),
    sshUint32(VERSION),
    sshString(pair.publicKey.blob),
    sshString(namespace),
    sshString(""),
    sshString("sha512"),
    sshString(Buffer.concat([sshString("ssh-ed25519"), sshString(raw)])),
  ]);
  return `${BEGIN}${wrap(blob.toString("base64"))}${END}\n`;
}

/** Base64 in lines of seventy, as OpenSSH armors it. */
function wrap(base64: string): string {
  return base64.replace(/.{70}(?=.)/g, "$&\n");
}

type HashName = "sha256" | "sha512";

interface Sshsig {
  readonly key: SshPublicKey;
  readonly namespace: string;
  readonly hash: HashName;
  readonly signature: Buffer;
}

function parseSshsig(armored: string): Sshsig {
  const reader = new SshReader(unarmor(armored), "signature");
  if (reader.take(MAGIC.length).toString("latin1") !== MAGIC) throw new Malformed("not an SSHSIG");
  const version = reader.uint32();
  if (version !== VERSION) throw new Malformed(`SSHSIG version ${version} is not accepted`);
  const keyBlob = reader.string();
  const namespace = reader.text();
  if (reader.string().length > 0) throw new Malformed("signature uses the reserved field");
  const hash = reader.text();
  if (hash !== "sha256" && hash !== "sha512") throw new Malformed(`hash ${hash} is not accepted`);
  const signature = reader.string();
  reader.end();
  return { key: parsePublicKeyBlob(keyBlob), namespace, hash, signature };
}

function unarmor(armored: string): Buffer {
  if (armored.length > MAX_ARMORED_CHARACTERS) throw new Malformed("signature is too long");
  const text = armored.replaceAll("\r\n", "\n").trimEnd();
  if (!text.startsWith(BEGIN) || !text.endsWith(END)) {
    throw new Malformed("signature is not between its BEGIN and END lines");
  }
  return parseBase64(text.slice(BEGIN.length, -END.length).replaceAll("\n", ""), "signature");
}

function signedBytes(namespace: string, hash: HashName, message: Uint8Array | string): Buffer {
  return Buffer.concat([
    Buffer.from(MAGIC),
    sshString(namespace),
    sshString(""),
    sshString(hash),
    sshString(createHash(hash).update(message).digest()),
  ]);
}

function verifySignatureBlob(
  key: SshPublicKey,
  blob: Buffer,
  signed: Buffer,
): SignatureVerification {
  const reader = new SshReader(blob, "signature");
  const type = reader.text();
  const raw = reader.string();
  const hardware = key.type.startsWith("sk-")
    ? { flags: reader.byte(), counter: reader.uint32() }
    : undefined;
  reader.end();

  if (hardware !== undefined && (hardware.flags & FLAG_USER_PRESENT) === 0) {
    return { kind: "nobody_present" };
  }
  return isSignatureOf(key, { type, raw, hardware, signed })
    ? { kind: "valid", key }
    : { kind: "wrong_signature" };
}

interface RawSignature {
  readonly type: string;
  readonly raw: Buffer;
  readonly hardware: { readonly flags: number; readonly counter: number } | undefined;
  readonly signed: Buffer;
}

function isSignatureOf(key: SshPublicKey, { type, raw, hardware, signed }: RawSignature): boolean {
  const { algorithm } = key;
  if (algorithm.kind !== "rsa" && type !== key.type) {
    throw new Malformed(`signature of type ${type} by a key of type ${key.type}`);
  }
  switch (algorithm.kind) {
    case "ed25519":
      return verify(null, signed, key.key, raw);
    case "sk-ed25519":
      return verify(null, hardwareBytes(algorithm.application, hardware, signed), key.key, raw);
    case "ecdsa":
      return verifyEcdsa(key, algorithm.curve, raw, signed);
    case "sk-ecdsa": {
      const bytes = hardwareBytes(algorithm.application, hardware, signed);
      return verifyEcdsa(key, algorithm.curve, raw, bytes);
    }
    case "rsa":
      return verifyRsa(key, { type, raw, modulusBytes: algorithm.modulusBytes }, signed);
    default:
      return assertNever(algorithm);
  }
}

/** What a FIDO2 authenticator really signs (OpenSSH, PROTOCOL.u2f). */
function hardwareBytes(
  application: string,
  hardware: RawSignature["hardware"],
  signed: Buffer,
): Buffer {
  if (hardware === undefined) throw new Malformed("signature lacks the authenticator's flags");
  return Buffer.concat([
    createHash("sha256").update(application).digest(),
    Buffer.of(hardware.flags),
    sshUint32(hardware.counter),
    createHash("sha256").update(signed).digest(),
  ]);
}

function verifyEcdsa(key: SshPublicKey, curve: Curve, raw: Buffer, signed: Buffer): boolean {
  const reader = new SshReader(raw, "signature");
  const r = padLeft(reader.mpint(), curve.coordinateBytes);
  const s = padLeft(reader.mpint(), curve.coordinateBytes);
  reader.end();
  const signature = Buffer.concat([r, s]);
  return verify(curve.hash, signed, { key: key.key, dsaEncoding: "ieee-p1363" }, signature);
}

function verifyRsa(
  key: SshPublicKey,
  { type, raw, modulusBytes }: { type: string; raw: Buffer; modulusBytes: number },
  signed: Buffer,
): boolean {
  // "ssh-rsa" as a signature's type means SHA-1, which is no longer worth anything.
  const hash = type === "rsa-sha2-256" ? "sha256" : type === "rsa-sha2-512" ? "sha512" : undefined;
  if (hash === undefined) throw new Malformed(`RSA signature of type ${type} is not accepted`);
  return verify(hash, signed, key.key, padLeft(raw, modulusBytes));
}

function padLeft(bytes: Buffer, length: number): Buffer {
  if (bytes.length > length) throw new Malformed("signature has a number that is too large");
  return Buffer.concat([Buffer.alloc(length - bytes.length), bytes]);
}
