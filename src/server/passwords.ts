import { randomBytes } from "node:crypto";
import type { Passwords } from "../admin/password-routes.ts";
import { formatVerifier, makeVerifier } from "../auth/verifier.ts";
import { Secret } from "../base/secret.ts";
import type { ShortLivedPasswords } from "../store/short-lived-passwords.ts";
import type { Directory } from "./directory.ts";

const PASSWORD_BYTES = 24;

interface PasswordParts {
  readonly directory: Directory;
  readonly kept: ShortLivedPasswords;
  readonly maxSeconds: number;
  readonly now: () => number;
}

/**
 * Gives out short-lived passwords. Each has the salt of the person's own, since a client hashes what it was given before
 * Twokey could know which of them it is; so a new password of their own takes these back, too.
 */
export function openPasswords({ directory, kept, maxSeconds, now }: PasswordParts): Passwords {
  return {
    maxSeconds,
    refusal: (person) => {
      const { asksFor, isUpstreams } = directory.entry(person) ?? {};
      if ((asksFor === "sasl" && isUpstreams !== true) || asksFor === "cleartext") return undefined;
      return `"${person}" is not asked for a password of Twokey's, so none would be of use`;
    },
    issue: async (person, seconds) => {
      const id = randomBytes(6).toString("hex");
      const password = randomBytes(PASSWORD_BYTES).toString("base64url");
      const { salt, iterations } = directory.ownVerifier(person);
      const verifier = await makeVerifier(new Secret(password), { salt, iterations });
      const expiresAtMs = now() + seconds * 1000;
      kept.add({ id, person, verifier: formatVerifier(verifier), expiresAtMs }, now());
      return { id, password, expiresAtMs };
    },
    revoke: (person) => kept.revoke(person, now()),
  };
}
