import { createHash, sign } from "node:crypto";
import { Malformed } from "./malformed.ts";
import { parseKeyOrCertificate } from "./ssh-certificate.ts";
import type { SshPublicKey } from "./ssh-key.ts";
import type { Ed25519KeyPair } from "./ssh-private-key.ts";
import { verifySignatureBlob, type SignatureBlobVerification } from "./ssh-signature.ts";
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
  | Exclude<SignatureBlobVerification, { readonly kind: "valid" }>;

const MAGIC = "SSHSIG";
const VERSION = 1;
const BEGIN = "-----BEGIN SSH SIGNATURE-----\n";
const END = "\n-----END SSH SIGNATURE-----";
/** An RSA-16384 signature needs some 6 kB, a certificate adds a few. */
const MAX_ARMORED_CHARACTERS = 32_768;

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
    const verification = verifySignatureBlob(parsed.key, parsed.signature, signed);
    return verification.kind === "valid" ? { kind: "valid", key: parsed.key } : verification;
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
  return { key: parseKeyOrCertificate(keyBlob), namespace, hash, signature };
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
