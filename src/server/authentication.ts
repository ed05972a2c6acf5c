import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Authentication, type AuthenticationOptions } from "../auth/authentication.ts";
import type { LoginThrottle } from "../auth/login-throttle.ts";
import { TokenIssuer, verifyToken } from "../auth/token-issuer.ts";
import { parseVerifier, type ScramVerifier } from "../auth/verifier.ts";
import type { Config } from "../config/config.ts";
import type { SessionServices } from "../session/services.ts";
import type { ShortLivedPasswords } from "../store/short-lived-passwords.ts";
import type { Directory } from "./directory.ts";
import type { UpstreamVerifiers } from "./upstream-verifiers.ts";

interface AuthenticationParts {
  readonly config: Config;
  readonly directory: Directory;
  readonly shortLived: ShortLivedPasswords;
  readonly upstreamVerifiers: UpstreamVerifiers;
  readonly throttle: LoginThrottle;
  readonly now: () => Date;
}

/** How the running Twokey finds out who a frontend is. */
export function openAuthentication({
  config,
  directory,
  shortLived,
  upstreamVerifiers,
  throttle,
  now,
}: AuthenticationParts): SessionServices["authentication"] {
  const tokens = openTokens(config, now);
  return (user, { channel, address, database }) => {
    const known = directory.entry(user);
    const onServer = upstreamVerifiers.of(user, database);
    const entry = known && {
      ...known,
      ...(known.isUpstreams === true && { verifiers: onServer === undefined ? [] : [onServer] }),
      shortLived: known.isUpstreams === true ? [] : verifiersOf(user, { shortLived, now }),
    };
    return Promise.resolve(
      new Authentication({
        user,
        channel,
        entry,
        mockAsksFor: directory.mockAsksFor(user),
        mockSecret: directory.mockSecret,
        mockIterations: directory.mockIterations,
        nonce: randomBytes(18).toString("base64"),
        md5Salt: randomBytes(4),
        tokens,
        attempt: throttle.attempt({
          user,
          isKnown: entry !== undefined,
          address,
          // A clock that is set back must not lock anybody for longer.
          nowMs: performance.now(),
        }),
        now: now(),
      }),
    );
  };
}

function verifiersOf(
  user: string,
  { shortLived, now }: Pick<AuthenticationParts, "shortLived" | "now">,
): readonly ScramVerifier[] {
  return shortLived
    .of(user, now().getTime())
    .flatMap(({ verifier }) => parseVerifier(verifier) ?? []);
}

function openTokens({ tokens }: Config, now: () => Date): AuthenticationOptions["tokens"] {
  const issuers = tokens.map(
    ({ caFile, ...options }) =>
      new TokenIssuer({ ...options, ca: caFile === undefined ? undefined : readFileSync(caFile) }),
  );
  const [first] = issuers;
  if (first === undefined) return undefined;
  return {
    verify: (token) => verifyToken(token, issuers, now()),
    // A program that gets tokens by itself is told of one issuer only.
    discovery: { configurationUrl: first.configurationUrl, scope: first.options.scope },
  };
}
