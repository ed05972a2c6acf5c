export const NOT_A_VERIFIER =
  "must be a SCRAM-SHA-256 verifier as PostgreSQL stores it, of at least 4096 iterations; not a password";

/** Whether it is `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; fewer iterations RFC 7677 forbids. */
export function isVerifier(text: string): boolean {
  const [, iterations] =
    /^SCRAM-SHA-256\$(\d{4,7}):[A-Za-z0-9+/]{16,}={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/.exec(
      text,
    ) ?? [];
  return Number(iterations) >= 4096;
}
