import { parseVerifier, makeVerifier, DEFAULT_ITERATIONS } from "../auth/verifier.ts";
import { equalConstantTime } from "../base/digest.ts";
import { Secret } from "../base/secret.ts";
import type { Finding } from "./finding.ts";
import type { PasswordFact } from "./server-facts.ts";
import { identifier } from "./sql-text.ts";

// Each try costs a few milliseconds, by SCRAM's design.
const MAX_TRIES = 2000;

/** Passwords that are stolen with their verifiers, are somebody else's too, or are guessed at once. */
export async function checkPasswords(facts: {
  readonly where: string;
  readonly passwords: readonly PasswordFact[];
  /** What Twokey logs in with, by role. */
  readonly known: ReadonlyMap<string, Secret>;
}): Promise<Finding[]> {
  const { where, passwords, known } = facts;
  const findings: Finding[] = [];
  const report = (finding: Omit<Finding, "where">): void => {
    findings.push({ where, ...finding });
  };
  for (const { role, verifier } of passwords) {
    const iterations = parseVerifier(verifier)?.iterations;
    if (iterations !== undefined && iterations >= DEFAULT_ITERATIONS) continue;
    report({
      check: "weak-verifier",
      severity: "high",
      what:
        iterations === undefined
          ? `the password of ${role} is not kept as SCRAM-SHA-256`
          : `the password of ${role} is kept with ${iterations} rounds only`,
      why: "whoever reads a copy of the catalogue logs in with an md5 verifier as it is, or guesses fast",
      fix: `SET password_encryption = 'scram-sha-256'; then in psql: \\password ${identifier(role)}`,
    });
  }
  for (const [index, { role, verifier }] of passwords.entries()) {
    const twin = passwords.slice(0, index).find((earlier) => earlier.verifier === verifier);
    if (twin !== undefined) report(shared(role, twin.role));
  }
  let tries = 0;
  for (const { role, verifier } of passwords) {
    const guesses = [
      ...[...known].flatMap(([owner, secret]) =>
        owner === role ? [] : [{ secret, finding: shared(role, owner) }],
      ),
      ...[role, "postgres", "password"].map((text) => ({
        secret: new Secret(text),
        finding: guessable(role),
      })),
    ];
    for (const { secret, finding } of guesses) {
      tries += 1;
      if (tries > MAX_TRIES) return findings;
      if (await isPasswordOf(secret, verifier)) report(finding);
    }
  }
  return findings;
}

async function isPasswordOf(secret: Secret, text: string): Promise<boolean> {
  const verifier = parseVerifier(text);
  if (verifier === undefined) return false;
  const { salt, iterations, storedKey } = verifier;
  return equalConstantTime((await makeVerifier(secret, { salt, iterations })).storedKey, storedKey);
}

function shared(role: string, other: string): Omit<Finding, "where"> {
  const [first = "", second = ""] = [role, other].sort();
  return {
    check: "shared-password",
    severity: "high",
    what: `${first} and ${second} have the same password`,
    why: "who learns one has both, and neither tells who it was",
    fix: `in psql: \\password ${identifier(second)}; a role of Twokey's: twokey rotate`,
  };
}

function guessable(role: string): Omit<Finding, "where"> {
  return {
    check: "guessable-password",
    severity: "critical",
    what: `the password of ${role} is the first that anybody would try`,
    why: "it keeps nobody out",
    fix: `in psql: \\password ${identifier(role)}; a role of Twokey's: twokey rotate`,
  };
}
