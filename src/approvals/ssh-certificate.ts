import { formatInstant, type Instant } from "./instant.ts";
import { Malformed } from "./malformed.ts";
import { parsePublicKeyBlob, readKeyOfType, type SshPublicKey } from "./ssh-key.ts";
import { verifySignatureBlob } from "./ssh-signature.ts";
import { SshReader, sshString } from "./ssh-wire.ts";

const SUFFIX = "-cert-v01@openssh.com";
const USER_CERTIFICATE = 1;
/** The last second that RFC 3339 can write; "for ever" is far beyond it. */
const LAST_SECOND = 253_402_300_799n;

/**
 * Reads a public key, or a user certificate (OpenSSH, PROTOCOL.certkeys) whose authority's signature is good. Whether
 * anybody trusts that authority is for `allowed_signers` to say.
 *
 * @throws Malformed for anything else, host certificates and critical options included
 */
export function parseKeyOrCertificate(blob: Buffer): SshPublicKey {
  const type = new SshReader(blob, "public key").text();
  return type.endsWith(SUFFIX) ? parseCertificate(blob) : parsePublicKeyBlob(blob);
}

function parseCertificate(blob: Buffer): SshPublicKey {
  const reader = new SshReader(blob, "certificate");
  const type = keyTypeOf(reader.text());
  reader.string(); // nonce
  const keyStart = reader.offset();
  const { algorithm, key } = readKeyOfType(type, reader);
  const fields = blob.subarray(keyStart, reader.offset());

  const serial = reader.uint64();
  if (reader.uint32() !== USER_CERTIFICATE) throw new Malformed("certificate is not a user's");
  const keyId = reader.string().toString("latin1");
  const principals = readPrincipals(reader.string());
  const validAfter = readTime(reader.uint64());
  const validBefore = readTime(reader.uint64());
  // They restrict what the certificate is good for, and none of them speaks of approvals.
  if (reader.string().length > 0) throw new Malformed("certificate has critical options");
  reader.string(); // extensions
  reader.string(); // reserved
  // Parsed as a plain key: no certificate certifies another.
  const authority = parsePublicKeyBlob(reader.string());
  const signed = blob.subarray(0, reader.offset());
  const signature = reader.string();
  reader.end();

  if (verifySignatureBlob(authority, signature, signed).kind !== "valid") {
    throw new Malformed("certificate is not signed by its authority");
  }
  return {
    type,
    algorithm,
    key,
    blob: Buffer.concat([sshString(type), fields]),
    certificate: { authority, serial, keyId, principals, validAfter, validBefore },
  };
}

/** `sk-ssh-ed25519-cert-v01@openssh.com` certifies a `sk-ssh-ed25519@openssh.com`. */
function keyTypeOf(certificateType: string): string {
  const base = certificateType.slice(0, -SUFFIX.length);
  return base.startsWith("sk-") ? `${base}@openssh.com` : base;
}

function readPrincipals(list: Buffer): readonly string[] {
  const reader = new SshReader(list, "certificate");
  const principals: string[] = [];
  while (!reader.isAtEnd()) principals.push(reader.text());
  // To OpenSSH no principals mean anybody for logging in, and nobody for signing.
  if (principals.length === 0) throw new Malformed("certificate names no principals");
  return principals;
}

function readTime(seconds: bigint): Instant | undefined {
  return seconds > LAST_SECOND ? undefined : formatInstant(new Date(Number(seconds) * 1000));
}
