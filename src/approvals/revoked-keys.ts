import { createHash } from "node:crypto";
import { isKrl, parseKrl, type Krl, type RevokedCertificates } from "./krl.ts";
import { Malformed } from "./malformed.ts";
import { parsePublicKeyLine, type SshCertificate, type SshPublicKey } from "./ssh-key.ts";

/** Keys that never count again, whatever the registry says. */
export type RevokedKeys = Krl;

export const NO_REVOKED_KEYS: RevokedKeys = {
  keys: new Set(),
  sha1: new Set(),
  sha256: new Set(),
  certificates: [],
};

/**
 * Reads what has been revoked: OpenSSH's binary list (KRL), or a text with a public key or a `SHA256:…` fingerprint a
 * line, `#` for comments. `ssh-keygen -Y verify -r` reads the former, and of the latter the lines with whole keys.
 *
 * @throws Malformed that names every line with a mistake: a revocation misread would be a key let in
 */
export function parseRevokedKeys(content: string | Buffer): RevokedKeys {
  const bytes = Buffer.from(content);
  if (isKrl(bytes)) return parseKrl(bytes);
  const keys = new Set<string>();
  const sha256 = new Set<string>();
  const mistakes: string[] = [];
  for (const [index, line] of bytes.toString("utf8").split(/\r?\n/).entries()) {
    const entry = line.trim();
    if (entry === "" || entry.startsWith("#")) continue;
    try {
      const hash = /^(?:sha256: *)?SHA256:([A-Za-z0-9+/]{43})(?:=|\s.*)?$/.exec(entry)?.[1];
      if (hash === undefined) keys.add(parsePublicKeyLine(entry).blob.toString("hex"));
      else sha256.add(Buffer.from(hash, "base64").toString("hex"));
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      mistakes.push(`line ${index + 1}: ${error.message}`);
    }
  }
  if (mistakes.length > 0) {
    throw new Malformed(`revoked keys have mistakes: ${mistakes.join("; ")}`);
  }
  return { ...NO_REVOKED_KEYS, keys, sha256 };
}

/** A key is revoked by itself, with its certificate, or with the authority that certifies it. */
export function isRevoked(revoked: RevokedKeys, key: SshPublicKey): boolean {
  const { certificate } = key;
  if (isKeyRevoked(revoked, key)) return true;
  if (certificate === undefined) return false;
  return (
    isKeyRevoked(revoked, certificate.authority) ||
    revoked.certificates.some((certificates) => isCertificateIn(certificates, certificate))
  );
}

function isKeyRevoked({ keys, sha1, sha256 }: RevokedKeys, { blob }: SshPublicKey): boolean {
  const hash = (name: string): string => createHash(name).update(blob).digest("hex");
  return (
    keys.has(blob.toString("hex")) ||
    (sha1.size > 0 && sha1.has(hash("sha1"))) ||
    (sha256.size > 0 && sha256.has(hash("sha256")))
  );
}

/** Serial 0 is that of certificates which were given none, so to OpenSSH it names nobody. */
function isCertificateIn(
  { authority, serials, keyIds }: RevokedCertificates,
  certificate: SshCertificate,
): boolean {
  if (authority !== undefined && authority !== certificate.authority.blob.toString("hex")) {
    return false;
  }
  const { serial, keyId } = certificate;
  return (
    keyIds.has(keyId) ||
    (serial !== 0n && serials.some(({ from, to }) => from <= serial && serial <= to))
  );
}
