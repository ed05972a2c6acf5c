import type { ExchangeStep } from "./login.ts";
import { failed } from "./login.ts";
import type { TokenVerification } from "./token-issuer.ts";

/** Of one message that may hold a token: what PostgreSQL allows (its PG_MAX_AUTH_TOKEN_LENGTH). */
export const MAX_TOKEN_MESSAGE_BYTES = 65_535;

/** By what a token names somebody: who issued it, and what it must say. */
export interface TokenSubject {
  /** Name of the issuer in our configuration. */
  readonly issuer: string;
  /** All of them. */
  readonly claims: ReadonlyMap<string, string | number | boolean>;
}

export type CheckToken = (token: string) => Promise<ExchangeStep>;

/**
 * What a token comes to for somebody: it is verified first, whoever that is, so that its time tells nothing of them.
 */
export async function checkToken(
  token: string,
  subjects: readonly TokenSubject[],
  verify: (token: string) => Promise<TokenVerification>,
): Promise<ExchangeStep> {
  const verification = await verify(token);
  if (verification.kind === "invalid") return failed(verification.reason);
  const { issuer, claims, roles, expiresAt } = verification;
  if (!subjects.some((subject) => subject.issuer === issuer && names(claims, subject))) {
    return failed("token_subject");
  }
  // Its issuer tells who is in which group: somebody who is in none has no role any more.
  if (roles?.length === 0) return failed("token_roles");
  return {
    kind: "proved",
    send: Buffer.alloc(0),
    method: "token",
    isGuessable: false,
    roles,
    endsAt: expiresAt,
  };
}

function names(
  claims: Readonly<Record<string, unknown>>,
  { claims: asked }: TokenSubject,
): boolean {
  // An address that nobody verified is whatever its owner typed.
  if (asked.has("email") && claims["email_verified"] !== true) return false;
  return asked.size > 0 && [...asked].every(([name, value]) => holds(claims, name, value));
}

function holds(claims: Readonly<Record<string, unknown>>, name: string, value: unknown): boolean {
  if (!Object.hasOwn(claims, name)) return false;
  const claim = claims[name];
  return Array.isArray(claim) ? claim.includes(value) : claim === value;
}
