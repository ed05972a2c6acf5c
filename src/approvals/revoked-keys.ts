import { Malformed } from "./malformed.ts";
import { fingerprint, parsePublicKeyLine, type SshPublicKey } from "./ssh-key.ts";

/** Fingerprints of keys that never count again, whatever the registry says. */
export type RevokedKeys = ReadonlySet<string>;

export const NO_REVOKED_KEYS: RevokedKeys = new Set();

/**
 * Reads a list of revoked keys: a public key or a `SHA256:…` fingerprint a line, `#` for comments. The public-key
 * lines are what `ssh-keygen -Y verify -r` reads too; its binary form (KRL) is refused.
 *
 * @throws Malformed that names every line with a mistake: a revocation misread would be a key let in
 */
export function parseRevokedKeys(text: string): RevokedKeys {
  if (text.startsWith("SSHKRL")) {
    throw new Malformed("binary revocation lists are not read", {
      hint: "list the revoked public keys, one a line",
    });
  }
  const revoked = new Set<string>();
  const mistakes: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const entry = line.trim();
    if (entry === "" || entry.startsWith("#")) continue;
    try {
      revoked.add(parseEntry(entry));
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      mistakes.push(`line ${index + 1}: ${error.message}`);
    }
  }
  if (mistakes.length > 0) {
    throw new Malformed(`revoked keys have mistakes: ${mistakes.join("; ")}`);
  }
  return revoked;
}

/** A key is revoked by itself, or with the authority that certifies it. */
export function isRevoked(revoked: RevokedKeys, key: SshPublicKey): boolean {
  const { certificate } = key;
  return (
    revoked.has(fingerprint(key)) ||
    (certificate !== undefined && revoked.has(fingerprint(certificate.authority)))
  );
}

function parseEntry(entry: string): string {
  const hash = /^(?:sha256: *)?(SHA256:[A-Za-z0-9+/]{43})(?:=|\s.*)?$/.exec(entry)?.[1];
  return hash ?? fingerprint(parsePublicKeyLine(entry));
}
