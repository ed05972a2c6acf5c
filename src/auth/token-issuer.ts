import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from "jose";
import { readFile } from "node:fs/promises";
import { fetchJson } from "./fetch-json.ts";
import type { TokenFailure } from "./login.ts";
import { ProviderMetadata } from "./provider-metadata.ts";

/** Where the keys are that an issuer signs with. */
type TokenKeys =
  /** Its metadata tells (OpenID Connect Discovery). */
  | { readonly from: "discovery" }
  | { readonly from: "url"; readonly url: string }
  | { readonly from: "file"; readonly path: string };

export interface TokenIssuerOptions {
  /** In our configuration. */
  readonly name: string;
  /** As `iss` says it. */
  readonly issuer: string;
  /** Of which `aud` must hold one. */
  readonly audiences: readonly string[];
  /** Only those that a public key checks: a key that we can read must never be one that signs. */
  readonly algorithms: readonly string[];
  readonly keys: TokenKeys;
  readonly clockSkewMs: number;
  /** Since its issue; `undefined` leaves it to its own end. */
  readonly maxAgeMs: number | undefined;
  /** Blank-separated, for who asks where to get a token. */
  readonly scope: string;
  readonly groups:
    { readonly claim: string; readonly roles: ReadonlyMap<string, string> } | undefined;
  /** PEM; in place of those that Node.js trusts. */
  readonly ca: Buffer | undefined;
}

export type TokenVerification =
  | {
      readonly kind: "valid";
      readonly issuer: string;
      readonly claims: JWTPayload;
      /** That its groups give; `undefined` where groups don't count. */
      readonly roles: readonly string[] | undefined;
      readonly expiresAt: Date;
    }
  | { readonly kind: "invalid"; readonly reason: TokenFailure; readonly cause: unknown };

const FETCH_TIMEOUT_MS = 5_000;
/** How often at most keys are looked for that an unknown `kid` names: anybody can send one. */
const COOLDOWN_MS = 10_000;
const CACHE_MS = 10 * 60_000;

/** Somebody whose signature on a token we believe: its keys, fetched when needed and kept for ten minutes. */
export class TokenIssuer {
  readonly options: TokenIssuerOptions;
  readonly #metadata: ProviderMetadata;
  #remote: { readonly url: string; readonly keys: JWTVerifyGetKey } | undefined;

  constructor(options: TokenIssuerOptions) {
    this.options = options;
    const { issuer, ca } = options;
    this.#metadata = new ProviderMetadata({ issuer, ca, timeoutMs: FETCH_TIMEOUT_MS });
  }

  get configurationUrl(): string {
    return this.#metadata.url;
  }

  async verify(token: string, now: Date): Promise<TokenVerification> {
    const { name, issuer, audiences, algorithms, clockSkewMs, maxAgeMs } = this.options;
    try {
      const { payload } = await jwtVerify(token, await this.#keys(now), {
        issuer,
        audience: [...audiences],
        algorithms: [...algorithms],
        clockTolerance: clockSkewMs / 1000,
        currentDate: now,
        requiredClaims: ["exp"],
        ...(maxAgeMs !== undefined && { maxTokenAge: maxAgeMs / 1000 }),
      });
      const expiresAt = new Date((payload.exp ?? 0) * 1000);
      return {
        kind: "valid",
        issuer: name,
        claims: payload,
        roles: this.#roles(payload),
        expiresAt,
      };
    } catch (cause) {
      return { kind: "invalid", reason: reasonOf(cause), cause };
    }
  }

  async #keys(now: Date): Promise<JWTVerifyGetKey> {
    const { keys } = this.options;
    try {
      if (keys.from === "file") {
        // Read each time, so that new keys count at once.
        return createLocalJWKSet(JSON.parse(await readFile(keys.path, "utf8")) as JSONWebKeySet);
      }
      return this.#remoteKeys(
        keys.from === "url" ? keys.url : await this.#metadata.keysUrl(now.getTime()),
      );
    } catch (cause) {
      throw new KeysUnavailable("the issuer's keys can't be read", { cause });
    }
  }

  #remoteKeys(url: string): JWTVerifyGetKey {
    if (this.#remote?.url === url) return this.#remote.keys;
    const { ca } = this.options;
    const keys = createRemoteJWKSet(new URL(url), {
      timeoutDuration: FETCH_TIMEOUT_MS,
      cooldownDuration: COOLDOWN_MS,
      cacheMaxAge: CACHE_MS,
      [customFetch]: (target) => fetchJson(target, { ca, timeoutMs: FETCH_TIMEOUT_MS }),
    });
    this.#remote = { url, keys };
    return keys;
  }

  #roles(claims: JWTPayload): readonly string[] | undefined {
    const { groups } = this.options;
    if (groups === undefined) return undefined;
    const claim = Object.hasOwn(claims, groups.claim) ? claims[groups.claim] : undefined;
    const names: unknown[] = Array.isArray(claim) ? claim : [claim];
    const roles = names.flatMap((group) =>
      typeof group === "string" ? (groups.roles.get(group) ?? []) : [],
    );
    return [...new Set(roles)];
  }
}

/** Of several issuers the one that the token names; that it is true is for its signature to show. */
export async function verifyToken(
  token: string,
  issuers: readonly TokenIssuer[],
  now: Date,
): Promise<TokenVerification> {
  let claimed: unknown;
  try {
    claimed = decodeJwt(token).iss;
  } catch (cause) {
    return { kind: "invalid", reason: "token_malformed", cause };
  }
  const found = issuers.find(({ options }) => options.issuer === claimed);
  if (found !== undefined) return found.verify(token, now);
  return { kind: "invalid", reason: "token_issuer", cause: undefined };
}

class KeysUnavailable extends Error {}

function reasonOf(cause: unknown): TokenFailure {
  if (cause instanceof errors.JWTExpired) return "token_expired";
  if (cause instanceof errors.JWTClaimValidationFailed) {
    return cause.claim === "aud" ? "token_audience" : "token_claims";
  }
  if (
    cause instanceof errors.JWSSignatureVerificationFailed ||
    cause instanceof errors.JOSEAlgNotAllowed ||
    cause instanceof errors.JOSENotSupported ||
    cause instanceof errors.JWKSNoMatchingKey ||
    cause instanceof errors.JWKSMultipleMatchingKeys
  ) {
    return "token_signature";
  }
  if (cause instanceof errors.JWTInvalid || cause instanceof errors.JWSInvalid) {
    return "token_malformed";
  }
  return "token_keys_unavailable";
}
