import type { X509Certificate } from "node:crypto";
import { assertNever } from "../base/assert-never.ts";
import { AuthenticationFailed } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";
import type { Principal } from "../policy/principal.ts";
import { namesSubject, type CertificateSubject } from "./certificate-subject.ts";
import type { Exchange, ExchangeStep, FailureReason, LoggedIn, Proof } from "./login.ts";
import type { LoginAttempt } from "./login-throttle.ts";
import type { BearerDiscovery } from "./oauthbearer.ts";
import { cleartextPassword, md5Password, tokenAsPassword } from "./password-exchange.ts";
import { SaslExchange } from "./sasl-exchange.ts";
import { tlsServerEndPoint } from "./tls-server-end-point.ts";
import type { TokenVerification } from "./token-issuer.ts";
import { checkToken, type TokenSubject } from "./token-subject.ts";
import { mockVerifier, type ScramVerifier } from "./verifier.ts";

/** What somebody is asked for who shows no certificate. All but `sasl` are asked for over TLS only. */
export type AskedFor = "sasl" | "token" | "cleartext" | "md5";

/** What is known of somebody who may log in. */
export interface DirectoryEntry {
  readonly principal: Principal;
  readonly asksFor: AskedFor;
  /** Of their own passwords. */
  readonly verifiers: readonly ScramVerifier[];
  /** Their password is the one they have on the server behind: what proves it opens that, too. */
  readonly isUpstreams?: boolean | undefined;
  /** Of passwords that are good for a while; those with another salt than their own password has don't count. */
  readonly shortLived?: readonly ScramVerifier[] | undefined;
  /** The hex of md5(password, user). */
  readonly md5: Secret | undefined;
  /** Certificates that prove this principal without a password. */
  readonly certificates: readonly CertificateSubject[];
  /** Tokens that do. */
  readonly tokens: readonly TokenSubject[];
  readonly isDisabled: boolean;
  readonly expiresAt: Date | undefined;
}

export interface AuthenticationOptions {
  /** `user` of the StartupMessage. */
  readonly user: string;
  readonly channel: FrontendChannel;
  readonly entry: DirectoryEntry | undefined;
  /** What somebody unknown is asked for, so that they look like the others. */
  readonly mockAsksFor: AskedFor;
  /** Random, and the same on every replica and after every restart; see `mockVerifier`. */
  readonly mockSecret: Secret<Buffer>;
  /** Of most people's verifiers, so that unknown names look like theirs. */
  readonly mockIterations: number;
  /** Printable ASCII without commas; fresh for each frontend. */
  readonly nonce: string;
  /** Four random bytes, fresh for each frontend. */
  readonly md5Salt: Buffer;
  /** Where tokens are taken: how they are verified, and where to get one. */
  readonly tokens:
    | {
        readonly verify: (token: string) => Promise<TokenVerification>;
        readonly discovery: BearerDiscovery;
      }
    | undefined;
  /** Whether passwords are still taken from there, and where it is counted how it went. */
  readonly attempt: LoginAttempt;
  readonly now: Date;
}

/** How the frontend is connected. */
export type FrontendChannel =
  | { readonly kind: "plain" }
  | {
      readonly kind: "tls";
      /** DER of the certificate that we showed. */
      readonly ownCertificate: Buffer;
      /** The frontend's certificate; only one that the TLS layer has verified. */
      readonly verifiedPeer: X509Certificate | undefined;
    };

export type AuthenticationStep =
  | { readonly kind: "continue"; readonly send: Buffer }
  /** `send` goes out before AuthenticationOk; it may be empty. */
  | ({ readonly kind: "ok"; readonly send: Buffer } & LoggedIn)
  | { readonly kind: "failed"; readonly reason: FailureReason };

/**
 * Finds out who a frontend is: by a client certificate that names the principal, else by a password or a token.
 * Somebody unknown, disabled or without a password goes the same way as everybody, with as many hash operations, to
 * the same end.
 */
export class Authentication {
  readonly #options: AuthenticationOptions;
  readonly #exchange: Exchange;

  constructor(options: AuthenticationOptions) {
    this.#options = options;
    this.#exchange = openExchange(options);
  }

  /** The largest answer that is read. */
  get maxAnswerBytes(): number {
    return this.#exchange.maxAnswerBytes;
  }

  /** The answer to the StartupMessage: what the frontend is asked for. */
  start(): AuthenticationStep {
    if (this.#isNamedByCertificate()) {
      const proof: Proof = { method: "certificate", isGuessable: false };
      return this.#finish(proof, Buffer.alloc(0));
    }
    return { kind: "continue", send: this.#exchange.ask() };
  }

  /** @param body - of a `p` message */
  receive(body: Buffer): AuthenticationStep | Promise<AuthenticationStep> {
    const step = this.#exchange.receive(body);
    return step instanceof Promise ? step.then((late) => this.#judge(late)) : this.#judge(step);
  }

  #judge(step: ExchangeStep): AuthenticationStep {
    switch (step.kind) {
      case "continue":
        return step;
      case "proved": {
        const { send, ...proof } = step;
        const finished = this.#finish(this.#named(proof), send);
        return proof.isGuessable ? this.#counted(finished) : finished;
      }
      case "failed": {
        if (!step.isGuess) return { kind: "failed", reason: step.reason };
        return this.#counted({ kind: "failed", reason: this.#whyNot(step.reason) });
      }
      default:
        return assertNever(step);
    }
  }

  /** A password that its person never chose is another method. */
  #named(proof: Proof): Proof {
    const isShortLived =
      proof.verifier !== undefined && this.#options.entry?.shortLived?.includes(proof.verifier);
    return isShortLived === true ? { ...proof, method: "short-lived-password" } : proof;
  }

  /** Only now, with the proof at hand, does it matter whether the principal may log in at all. */
  #finish(proof: Proof, send: Buffer): AuthenticationStep {
    const { entry, now } = this.#options;
    if (entry === undefined) return { kind: "failed", reason: "unknown_user" };
    if (entry.isDisabled) return { kind: "failed", reason: "disabled" };
    if (entry.expiresAt !== undefined && entry.expiresAt <= now) {
      return { kind: "failed", reason: "expired" };
    }
    const { clientKey, verifier, ...rest } = proof;
    const roles = proof.roles ?? entry.principal.roles;
    // Kept no longer than it takes to check it, but for those who are themselves on the server.
    const isOwn = entry.isUpstreams === true && verifier !== undefined && clientKey !== undefined;
    const upstream = isOwn ? { verifier, clientKey } : undefined;
    return { ...rest, upstream, principal: { ...entry.principal, roles }, send, kind: "ok" };
  }

  #whyNot(reason: FailureReason): FailureReason {
    const { entry } = this.#options;
    if (entry === undefined) return "unknown_user";
    const has = [...entry.verifiers, ...(entry.shortLived ?? []), entry.md5].some(
      (one) => one !== undefined,
    );
    return has ? reason : "no_password";
  }

  /** While locked, the right password is as wrong as any: a guesser must not learn from the answer. */
  #counted(step: AuthenticationStep): AuthenticationStep {
    const { attempt } = this.#options;
    if (attempt.isLocked()) return { kind: "failed", reason: "locked" };
    if (step.kind === "ok") attempt.succeeded();
    else attempt.failed();
    return step;
  }

  #isNamedByCertificate(): boolean {
    const { channel, entry } = this.#options;
    const peer = channel.kind === "tls" ? channel.verifiedPeer : undefined;
    if (peer === undefined) return false;
    return entry?.certificates.some((subject) => namesSubject(peer, subject)) ?? false;
  }
}

function openExchange(options: AuthenticationOptions): Exchange {
  const { user, channel, entry, tokens, nonce } = options;
  const verify = tokens?.verify ?? noTokens;
  const check = (token: string): Promise<ExchangeStep> =>
    checkToken(token, entry?.tokens ?? [], verify);
  // Made for the known, too: its hashing must not tell them apart.
  const mock = mockVerifier(user, options.mockSecret, options.mockIterations);
  const [own = mock, ...more] = entry?.verifiers ?? [];
  const others = [...more, ...(entry?.shortLived ?? [])];
  const isEncrypted = channel.kind === "tls";
  const asked = isEncrypted ? (entry?.asksFor ?? options.mockAsksFor) : "sasl";
  switch (asked) {
    case "token":
      return tokenAsPassword(check);
    case "cleartext":
      return cleartextPassword([own, ...others]);
    case "md5":
      return md5Password(entry?.md5, options.md5Salt);
    case "sasl":
      return new SaslExchange({
        verifiers: [own, ...others],
        nonce,
        channelBinding: isEncrypted ? tlsServerEndPoint(channel.ownCertificate) : undefined,
        bearer:
          isEncrypted && tokens !== undefined ? { discovery: tokens.discovery, check } : undefined,
      });
    default:
      return assertNever(asked);
  }
}

function noTokens(): Promise<TokenVerification> {
  return Promise.resolve({ kind: "invalid", reason: "token_issuer", cause: undefined });
}

/** What the frontend is told, whatever the reason. */
export function authenticationFailed(user: string): AuthenticationFailed {
  const shown = user.replace(/\p{Cc}/gu, "?");
  return new AuthenticationFailed(`password authentication failed for user "${shown}"`);
}
