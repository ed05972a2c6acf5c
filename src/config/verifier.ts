export const NOT_A_VERIFIER =
  "must be a SCRAM-SHA-256 verifier as PostgreSQL stores it, of at least 4096 iterations; not a password";

/** Whether it is `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; fewer iterations RFC 7677 forbids. Or what MD5 needs. */
export function isVerifier(text: string): boolean {
  const [, iterations] =
    /^SCRAM-SHA-256\$(\d{4,7}):[A-Za-z0-9+/]{16,}={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/.exec(
      text,
    ) ?? [];
  return Number(iterations) >= 4096 || isMd5(text);
}

/** Whether it is `md5` and the hex of md5(password, user): as good as the password for whoever finds it. */
export function isMd5(text: string): boolean {
  return /^md5[0-9a-f]{32}$/.test(text);
}
