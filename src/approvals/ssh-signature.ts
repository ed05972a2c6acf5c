import { createHash, verify } from "node:crypto";
import { assertNever } from "../base/assert-never.ts";
import { Malformed } from "./malformed.ts";
import type { Curve, SshPublicKey } from "./ssh-key.ts";
import { SshReader, sshUint32 } from "./ssh-wire.ts";

export type SignatureBlobVerification =
  | { readonly kind: "valid" }
  /** A FIDO2 key signed without being touched: software could have made it do so. */
  | { readonly kind: "nobody_present" }
  | { readonly kind: "wrong_signature" };

const FLAG_USER_PRESENT = 0x01;

/**
 * Checks a signature in SSH's own encoding (RFC 4253 §6.6; RFC 8332 for RSA; OpenSSH, PROTOCOL.u2f) over `signed`.
 *
 * @throws Malformed when it is not one, or not of a kind that this key makes
 */
export function verifySignatureBlob(
  key: SshPublicKey,
  blob: Buffer,
  signed: Buffer,
): SignatureBlobVerification {
  const reader = new SshReader(blob, "signature");
  const type = reader.text();
  const raw = reader.string();
  const hardware = key.type.startsWith("sk-")
    ? { flags: reader.byte(), counter: reader.uint32() }
    : undefined;
  const passkey = type === PASSKEY_SIGNATURE ? readPasskeyData(reader) : undefined;
  reader.end();

  if (hardware !== undefined && (hardware.flags & FLAG_USER_PRESENT) === 0) {
    return { kind: "nobody_present" };
  }
  return isSignatureOf(key, { type, raw, hardware, passkey, signed })
    ? { kind: "valid" }
    : { kind: "wrong_signature" };
}

interface RawSignature {
  readonly type: string;
  readonly raw: Buffer;
  readonly hardware: { readonly flags: number; readonly counter: number } | undefined;
  readonly passkey: PasskeyData | undefined;
  readonly signed: Buffer;
}

function isSignatureOf(key: SshPublicKey, signature: RawSignature): boolean {
  const { type, raw, hardware, passkey, signed } = signature;
  const { algorithm } = key;
  if (passkey !== undefined && algorithm.kind === "sk-ecdsa") {
    const bytes = passkeyBytes(algorithm.application, { hardware, passkey, signed });
    return bytes !== undefined && verifyEcdsa(key, algorithm.curve, raw, bytes);
  }
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

/** A browser's signature with a passkey (PROTOCOL.u2f, "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"). */
const PASSKEY_SIGNATURE = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com";

interface PasskeyData {
  readonly origin: string;
  /** What the browser says of itself, JSON, as it was signed. */
  readonly clientData: Buffer;
  readonly extensions: Buffer;
}

const FLAG_ATTESTED = 0x40;
const FLAG_EXTENSIONS = 0x80;

function readPasskeyData(reader: SshReader): PasskeyData {
  return { origin: reader.text(), clientData: reader.string(), extensions: reader.string() };
}

/**
 * What the authenticator signed, where the browser's data begins exactly as browsers write it (WebAuthn §5.8.1.2): the
 * challenge is all that SSHSIG signs, which holds the namespace and the message's hash.
 *
 * @returns `undefined` for data of another challenge or origin, or that no browser would make
 */
function passkeyBytes(
  application: string,
  {
    hardware,
    passkey: { origin, clientData, extensions },
    signed,
  }: { hardware: RawSignature["hardware"]; passkey: PasskeyData; signed: Buffer },
): Buffer | undefined {
  if (hardware === undefined || origin.includes('"')) return undefined;
  const { flags, counter } = hardware;
  const hasExtensions = (flags & FLAG_EXTENSIONS) !== 0;
  if ((flags & FLAG_ATTESTED) !== 0 || hasExtensions !== extensions.length > 0) return undefined;
  const challenge = signed.toString("base64url");
  const beginning = `{"type":"webauthn.get","challenge":"${challenge}","origin":"${origin}"`;
  if (!clientData.subarray(0, beginning.length).equals(Buffer.from(beginning))) return undefined;
  return Buffer.concat([
    createHash("sha256").update(application).digest(),
    Buffer.of(flags),
    sshUint32(counter),
    extensions,
    createHash("sha256").update(clientData).digest(),
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
