import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import type { Instant } from "./instant.ts";
import { Malformed } from "./malformed.ts";
import { SshReader, parseBase64 } from "./ssh-wire.ts";

/** What a key computes with; `application` stands for a FIDO2 key, which signs it along ("sk-" types). */
type KeyAlgorithm =
  | { readonly kind: "ed25519" }
  | { readonly kind: "ecdsa"; readonly curve: Curve }
  | { readonly kind: "rsa"; readonly modulusBytes: number }
  | { readonly kind: "sk-ed25519"; readonly application: string }
  | { readonly kind: "sk-ecdsa"; readonly curve: Curve; readonly application: string };

export interface Curve {
  readonly name: "nistp256" | "nistp384" | "nistp521";
  readonly jwk: "P-256" | "P-384" | "P-521";
  readonly coordinateBytes: number;
  readonly hash: "sha256" | "sha384" | "sha512";
}

export interface SshPublicKey {
  /** As in RFC 4253 §6.6 and PROTOCOL.u2f of OpenSSH: `ssh-ed25519`. */
  readonly type: string;
  readonly algorithm: KeyAlgorithm;
  /** The whole key in wire form, without its certificate: what fingerprints and comparisons are made of. */
  readonly blob: Buffer;
  readonly key: KeyObject;
  /** What an authority has said of the key; where there is one, only the authority's word counts. */
  readonly certificate: SshCertificate | undefined;
}

export interface SshCertificate {
  readonly authority: SshPublicKey;
  readonly serial: bigint;
  /** A character a byte. */
  readonly keyId: string;
  readonly principals: readonly string[];
  readonly validAfter: Instant | undefined;
  readonly validBefore: Instant | undefined;
}

const P256: Curve = { name: "nistp256", jwk: "P-256", coordinateBytes: 32, hash: "sha256" };
const P384: Curve = { name: "nistp384", jwk: "P-384", coordinateBytes: 48, hash: "sha384" };
const P521: Curve = { name: "nistp521", jwk: "P-521", coordinateBytes: 66, hash: "sha512" };

const RSA_MIN_BITS = 2048;
const RSA_MAX_BITS = 16384; // OpenSSL's own limit

/** @throws Malformed for anything but one whole key of a kind that is accepted */
export function parsePublicKeyBlob(blob: Buffer): SshPublicKey {
  const reader = new SshReader(blob, "public key");
  const type = reader.text();
  const { algorithm, key } = readKeyOfType(type, reader);
  reader.end();
  return { type, algorithm, key, blob: Buffer.from(blob), certificate: undefined };
}

/** @throws Malformed unless the two fields are a key as OpenSSH writes it in a `.pub` file: `ssh-ed25519 AAAA…` */
export function parsePublicKeyFields(type: string, base64: string): SshPublicKey {
  if (type.includes("-cert-v01@")) {
    throw new Malformed("certificate where a plain public key belongs; name its authority instead");
  }
  const key = parsePublicKeyBlob(parseBase64(base64, "public key"));
  if (key.type !== type) throw new Malformed(`public key is labelled ${type} but is ${key.type}`);
  return key;
}

/** @throws Malformed unless `line` is what a `.pub` file holds, with or without its comment */
export function parsePublicKeyLine(line: string): SshPublicKey {
  const [type, base64] = line.trim().split(/[ \t]+/);
  if (type === undefined || base64 === undefined) throw new Malformed("not a public key");
  return parsePublicKeyFields(type, base64);
}

export function formatPublicKey(key: SshPublicKey): string {
  return `${key.type} ${key.blob.toString("base64")}`;
}

/** As `ssh-keygen -l` prints it: `SHA256:` and 43 characters of base64. */
export function fingerprint(key: SshPublicKey): string {
  return `SHA256:${createHash("sha256").update(key.blob).digest("base64").replace(/=+$/, "")}`;
}

export function isSameKey(a: SshPublicKey, b: SshPublicKey): boolean {
  return a.blob.equals(b.blob);
}

/** Reads what follows the type's name in a key, and precedes the rest in a certificate. */
export function readKeyOfType(
  type: string,
  reader: SshReader,
): Pick<SshPublicKey, "algorithm" | "key"> {
  switch (type) {
    case "ssh-ed25519":
      return { key: readEd25519(reader), algorithm: { kind: "ed25519" } };
    case "sk-ssh-ed25519@openssh.com": {
      const key = readEd25519(reader);
      return { key, algorithm: { kind: "sk-ed25519", application: reader.text() } };
    }
    case "ecdsa-sha2-nistp256":
      return { key: readEcdsa(reader, P256), algorithm: { kind: "ecdsa", curve: P256 } };
    case "ecdsa-sha2-nistp384":
      return { key: readEcdsa(reader, P384), algorithm: { kind: "ecdsa", curve: P384 } };
    case "ecdsa-sha2-nistp521":
      return { key: readEcdsa(reader, P521), algorithm: { kind: "ecdsa", curve: P521 } };
    case "sk-ecdsa-sha2-nistp256@openssh.com": {
      const key = readEcdsa(reader, P256);
      return { key, algorithm: { kind: "sk-ecdsa", curve: P256, application: reader.text() } };
    }
    case "ssh-rsa":
      return readRsa(reader);
    default:
      throw new Malformed(`key type ${type} is not accepted`);
  }
}

function readEd25519(reader: SshReader): KeyObject {
  return importJwk({ kty: "OKP", crv: "Ed25519", x: reader.fixed(32).toString("base64url") });
}

function readEcdsa(reader: SshReader, curve: Curve): KeyObject {
  if (reader.text() !== curve.name) throw new Malformed("public key names two different curves");
  const point = reader.fixed(1 + 2 * curve.coordinateBytes);
  if (point[0] !== 0x04) throw new Malformed("public key is not an uncompressed point");
  const x = point.subarray(1, 1 + curve.coordinateBytes).toString("base64url");
  const y = point.subarray(1 + curve.coordinateBytes).toString("base64url");
  return importJwk({ kty: "EC", crv: curve.jwk, x, y });
}

function readRsa(reader: SshReader): Pick<SshPublicKey, "algorithm" | "key"> {
  const exponent = reader.mpint();
  const modulus = reader.mpint();
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS) {
    throw new Malformed(`RSA key of ${bits} bits; ${RSA_MIN_BITS} to ${RSA_MAX_BITS} are accepted`);
  }
  // An even exponent, or one, makes every number its own signature.
  if (exponent.length > 8 || (exponent.at(-1) ?? 0) % 2 === 0 || exponent.equals(Buffer.of(1))) {
    throw new Malformed("RSA key with an unusable exponent");
  }
  const key = importJwk({
    kty: "RSA",
    n: modulus.toString("base64url"),
    e: exponent.toString("base64url"),
  });
  return { key, algorithm: { kind: "rsa", modulusBytes: modulus.length } };
}

function importJwk(key: Record<string, string>): KeyObject {
  try {
    return createPublicKey({ key, format: "jwk" });
  } catch (cause) {
    throw new Malformed("public key is not a point on its curve", { cause });
  }
}
