import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { Malformed } from "./malformed.ts";
import { formatPublicKey, parsePublicKeyBlob, type SshPublicKey } from "./ssh-key.ts";
import { SshReader, parseBase64, sshString, sshUint32 } from "./ssh-wire.ts";

export interface Ed25519KeyPair {
  readonly publicKey: SshPublicKey;
  readonly privateKey: KeyObject;
}

const BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
const END = "\n-----END OPENSSH PRIVATE KEY-----";
const MAGIC = "openssh-key-v1\0";
/** PrivateKeyInfo around a bare Ed25519 seed (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const BLOCK_BYTES = 8;

/** The key pair that belongs to 32 random bytes. */
export function ed25519KeyPair(seed: Uint8Array): Ed25519KeyPair {
  if (seed.length !== 32) throw new RangeError("an Ed25519 seed has 32 bytes");
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: "der",
    type: "pkcs8",
  });
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  const point = Buffer.from(x ?? "", "base64url");
  const blob = Buffer.concat([sshString("ssh-ed25519"), sshString(point)]);
  return { privateKey, publicKey: parsePublicKeyBlob(blob) };
}

/**
 * Reads an unencrypted Ed25519 key file (OpenSSH, PROTOCOL.key).
 *
 * @throws Malformed for any other key; the hint says to use `ssh-keygen` or an agent then
 */
export function parsePrivateKey(file: string): Ed25519KeyPair {
  const text = file.replaceAll("\r\n", "\n").trimEnd();
  if (!text.startsWith(BEGIN) || !text.endsWith(END)) {
    throw new Malformed("not an OpenSSH private key file");
  }
  const base64 = text.slice(BEGIN.length, -END.length).replaceAll("\n", "");
  const reader = new SshReader(parseBase64(base64, "private key"), "private key");
  if (reader.take(MAGIC.length).toString("latin1") !== MAGIC) {
    throw new Malformed("not an OpenSSH private key file");
  }
  const cipher = reader.text();
  if (cipher !== "none" || reader.text() !== "none" || reader.string().length > 0) {
    throw new Malformed("private key is protected by a passphrase", {
      hint: "load it into an agent with ssh-add, or let ssh-keygen ask for the passphrase",
    });
  }
  if (reader.uint32() !== 1) throw new Malformed("private key file with several keys");
  const publicBlob = reader.string();
  const secret = reader.string();
  reader.end();

  const pair = readSecretPart(new SshReader(secret, "private key"));
  if (!pair.publicKey.blob.equals(publicBlob)) {
    throw new Malformed("private key does not belong to the public key beside it");
  }
  return pair;
}

function readSecretPart(reader: SshReader): Ed25519KeyPair {
  if (reader.uint32() !== reader.uint32()) throw new Malformed("private key is damaged");
  const type = reader.text();
  if (type !== "ssh-ed25519") {
    throw new Malformed(`private key of type ${type}, where only ssh-ed25519 can be read`, {
      hint: "sign with ssh-keygen, which knows every type",
    });
  }
  const point = reader.fixed(32);
  const seedAndPoint = reader.fixed(64);
  reader.string(); // comment
  for (let pad = 1; !reader.isAtEnd(); pad++) {
    if (reader.byte() !== pad) throw new Malformed("private key is damaged");
  }
  const pair = ed25519KeyPair(seedAndPoint.subarray(0, 32));
  if (!pair.publicKey.blob.subarray(-32).equals(point)) {
    throw new Malformed("private key does not belong to the public key beside it");
  }
  return pair;
}

/** The two files that `ssh-keygen -t ed25519 -N ''` would write, from 32 random bytes. */
export function formatKeyFiles(
  seed: Uint8Array,
  comment: string,
): { readonly privateKeyFile: string; readonly publicKeyFile: string } {
  const { publicKey } = ed25519KeyPair(seed);
  const point = publicKey.blob.subarray(-32);
  // The check number only tells a wrong passphrase from a right one, so it may be any here.
  const secret = Buffer.concat([
    sshUint32(0),
    sshUint32(0),
    sshString("ssh-ed25519"),
    sshString(point),
    sshString(Buffer.concat([seed, point])),
    sshString(comment),
  ]);
  const padBytes = (BLOCK_BYTES - (secret.length % BLOCK_BYTES)) % BLOCK_BYTES;
  const padding = Buffer.from(Array.from({ length: padBytes }, (_, index) => index + 1));
  const file = Buffer.concat([
    Buffer.from(MAGIC, "latin1"),
    sshString("none"),
    sshString("none"),
    sshString(""),
    sshUint32(1),
    sshString(publicKey.blob),
    sshString(Buffer.concat([secret, padding])),
  ]);
  return {
    privateKeyFile: `${BEGIN}${file.toString("base64").replace(/.{70}(?=.)/g, "$&\n")}${END}\n`,
    publicKeyFile: `${formatPublicKey(publicKey)} ${comment}\n`,
  };
}
