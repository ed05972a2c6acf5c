import { createHmac, randomBytes } from "node:crypto";
import { z } from "zod";
import type { Registry } from "../approvals/admit.ts";
import { matchSigner } from "../approvals/allowed-signers.ts";
import { formatInstant } from "../approvals/instant.ts";
import { isRevoked } from "../approvals/revoked-keys.ts";
import { verifySshsig, type SignatureVerification } from "../approvals/sshsig.ts";
import type { SshPublicKey } from "../approvals/ssh-key.ts";
import { canonicalJson } from "../base/canonical-json.ts";
import { equalConstantTime, sha256, type Sha256 } from "../base/digest.ts";

/**
 * Signing in with an SSH key. The server gives a challenge, canonical JSON such as
 *
 *     {"audience":"http://127.0.0.1:9188","expires_at":"2026-11-23T12:01:00.000Z","nonce":"…","person":"bob","type":"twokey-login/1"}
 *
 * which the person signs in a namespace of its own (`ssh-keygen -Y sign -n login@twokey`), so that no signature
 * made for git or for an approval opens anything here. `audience` lets the client see that nobody relays the
 * challenge of another server. The answer is a bearer token.
 */
export const LOGIN_NAMESPACE = "login@twokey";

const CHALLENGE_TYPE = "twokey-login/1";
const CHALLENGE_VALID_MS = 60_000;
const TOKEN_VALID_MS = 12 * 60 * 60 * 1000;
const MAX_TOKENS_PER_PERSON = 20;

export const challengeSchema = z.strictObject({
  type: z.literal(CHALLENGE_TYPE),
  audience: z.string(),
  person: z.string(),
  nonce: z.string(),
  expires_at: z.iso.datetime(),
});

export type SignInResult =
  | {
      readonly kind: "signed_in";
      readonly person: string;
      readonly token: string;
      readonly expiresAtMs: number;
    }
  /** `person` is who the challenge was for, as far as it can be read. */
  | { readonly kind: "refused"; readonly person: string | undefined; readonly because: string };

interface Token {
  readonly person: string;
  readonly key: SshPublicKey;
  readonly secretHash: Sha256;
  readonly expiresAtMs: number;
}

interface SignInOptions {
  /** Where clients reach this server: `https://twokey.example`. */
  readonly audience: () => string;
  /** Whose keys are whose now; asked again at every use of a token. */
  readonly registry: () => Pick<Registry, "signers" | "revoked">;
  readonly now: () => number;
}

/** Challenges given out and the tokens they were exchanged for. In memory: a restart signs everybody out. */
export class SignIn {
  readonly #options: SignInOptions;
  readonly #challengeKey = randomBytes(32);
  /** Salts of challenges that were answered rightly, until they expire: nobody fills this without a key. */
  readonly #used = new Map<string, number>();
  readonly #tokens = new Map<string, Token>();

  constructor(options: SignInOptions) {
    this.#options = options;
  }

  /** A challenge for anybody who asks, known or not; nothing is kept, so asking costs no memory. */
  challenge(person: string): string {
    const expiresAtMs = this.#options.now() + CHALLENGE_VALID_MS;
    const salt = randomBytes(16).toString("base64url");
    return canonicalJson({
      type: CHALLENGE_TYPE,
      audience: this.#options.audience(),
      person,
      nonce: `${salt}.${this.#seal(salt, person, expiresAtMs)}`,
      expires_at: new Date(expiresAtMs).toISOString(),
    });
  }

  /** Exchanges a signed challenge for a token. */
  redeem({ challenge, signature }: { challenge: string; signature: string }): SignInResult {
    const now = this.#options.now();
    const opened = this.#open(challenge);
    const refused = (because: string): SignInResult => ({
      kind: "refused",
      person: opened?.person,
      because,
    });
    if (!opened) return refused("that challenge was not given by this server");
    if (opened.expiresAtMs <= now) return refused("the challenge has expired");
    if (this.#used.has(opened.salt)) return refused("the challenge has been used");

    const verification = verifySshsig(signature, {
      message: challenge,
      namespace: LOGIN_NAMESPACE,
    });
    if (verification.kind !== "valid") return refused(whyNot(verification));
    if (!this.#maySignIn(opened.person, verification.key, now)) {
      return refused("the key is not registered for that person");
    }

    this.#forgetExpired(now);
    this.#used.set(opened.salt, opened.expiresAtMs);
    return this.#issue(opened.person, verification.key, now);
  }

  /** Whose token this is, while it and the key that got it are good. */
  personOf(token: string): string | undefined {
    const [id = "", secret = ""] = token.split(".");
    const found = this.#tokens.get(id);
    if (!found) return undefined;
    if (!equalConstantTime(Buffer.from(found.secretHash), Buffer.from(sha256(secret)))) {
      return undefined;
    }
    const now = this.#options.now();
    const isGood = found.expiresAtMs > now && this.#maySignIn(found.person, found.key, now);
    return isGood ? found.person : undefined;
  }

  revoke(token: string): void {
    if (this.personOf(token) !== undefined) this.#tokens.delete(token.split(".")[0] ?? "");
  }

  #issue(person: string, key: SshPublicKey, now: number): SignInResult {
    const theirs = [...this.#tokens].filter(([, token]) => token.person === person);
    for (const [oldest] of theirs.slice(
      0,
      Math.max(0, theirs.length + 1 - MAX_TOKENS_PER_PERSON),
    )) {
      this.#tokens.delete(oldest);
    }
    const id = randomBytes(16).toString("base64url");
    const secret = randomBytes(32).toString("base64url");
    const expiresAtMs = now + TOKEN_VALID_MS;
    this.#tokens.set(id, { person, key, secretHash: sha256(secret), expiresAtMs });
    return { kind: "signed_in", person, token: `${id}.${secret}`, expiresAtMs };
  }

  #open(challenge: string): { person: string; salt: string; expiresAtMs: number } | undefined {
    const parsed = challengeSchema.safeParse(parseJson(challenge));
    if (!parsed.success) return undefined;
    const { audience, person, nonce, expires_at: expiresAt } = parsed.data;
    const expiresAtMs = Date.parse(expiresAt);
    const [salt = "", seal = ""] = nonce.split(".");
    const expected = this.#seal(salt, person, expiresAtMs);
    const isOurs =
      audience === this.#options.audience() &&
      equalConstantTime(Buffer.from(seal), Buffer.from(expected));
    return isOurs ? { person, salt, expiresAtMs } : undefined;
  }

  #maySignIn(principal: string, key: SshPublicKey, atMs: number): boolean {
    const { signers, revoked } = this.#options.registry();
    if (isRevoked(revoked, key)) return false;
    const at = formatInstant(new Date(atMs));
    const namespace = LOGIN_NAMESPACE;
    return matchSigner(signers, { key, principal, namespace, at }).kind === "allowed";
  }

  #seal(salt: string, person: string, expiresAtMs: number): string {
    return createHmac("sha256", this.#challengeKey)
      .update(canonicalJson([salt, person, expiresAtMs]))
      .digest("base64url");
  }

  #forgetExpired(now: number): void {
    for (const [nonce, expiresAtMs] of this.#used) {
      if (expiresAtMs <= now) this.#used.delete(nonce);
    }
    for (const [id, { expiresAtMs }] of this.#tokens) {
      if (expiresAtMs <= now) this.#tokens.delete(id);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // no JSON is no challenge of ours
  }
}

function whyNot(verification: Exclude<SignatureVerification, { kind: "valid" }>): string {
  switch (verification.kind) {
    case "malformed":
      return verification.because;
    case "other_namespace":
      return `the signature was made for ${verification.namespace}`;
    case "nobody_present":
      return "the key was not touched";
    case "wrong_signature":
      return "the signature does not match the challenge";
  }
}
