import type { Secret } from "../base/secret.ts";
import type { AuthMethod } from "../policy/client.ts";
import type { Principal } from "../policy/principal.ts";
import type { ScramVerifier } from "./verifier.ts";

/** What one exchange of messages comes to; `send` may be empty. */
export type ExchangeStep =
  | { readonly kind: "continue"; readonly send: Buffer }
  | ({ readonly kind: "proved"; readonly send: Buffer } & Proof)
  /** `guess`: something was tried that others could try as well, so it counts against name and address. */
  | { readonly kind: "failed"; readonly reason: FailureReason; readonly isGuess: boolean };

export interface Proof {
  readonly method: AuthMethod;
  /** Whether somebody could have come to it by trying. */
  readonly isGuessable: boolean;
  /** Roles that the proof itself gives, in place of those on our list. */
  readonly roles?: readonly string[] | undefined;
  /** When what was shown has run out. */
  readonly endsAt?: Date | undefined;
  /** The one of their passwords that it was. */
  readonly verifier?: ScramVerifier | undefined;
  /** What the frontend proved a password with that it did not send. */
  readonly clientKey?: Secret<Buffer> | undefined;
}

/** One way of finding out who a frontend is: a question, and what is made of the answers. */
export interface Exchange {
  /** The largest answer that is read. */
  readonly maxAnswerBytes: number;
  readonly ask: () => Buffer;
  /** @param body - of a `p` message */
  readonly receive: (body: Buffer) => ExchangeStep | Promise<ExchangeStep>;
}

export interface LoggedIn extends Omit<Proof, "verifier" | "clientKey"> {
  readonly principal: Principal;
  /** By which to log in on the server as themselves; for the others there is a credential of ours. */
  readonly upstream: ScramCredential | undefined;
}

/** Enough of a password to log in by SCRAM where the same verifier is kept. */
export interface ScramCredential {
  readonly verifier: ScramVerifier;
  readonly clientKey: Secret<Buffer>;
}

/** For the audit log and a metric's label. The frontend is told the same for all: `authenticationFailed`. */
export type FailureReason =
  | "unknown_user"
  | "no_password"
  | "wrong_password"
  | "disabled"
  | "expired"
  | "locked"
  | "channel_binding"
  /** Proved, but tied to other places or methods. */
  | "place"
  | "malformed"
  /** It only asked where to get a token. */
  | "token_discovery"
  | TokenFailure;

/** Why a token proves nothing. */
export type TokenFailure =
  | "token_malformed"
  | "token_issuer"
  | "token_audience"
  | "token_signature"
  | "token_expired"
  | "token_keys_unavailable"
  | "token_claims"
  /** It names somebody else. */
  | "token_subject"
  /** None of its groups gives a role. */
  | "token_roles";

export function failed(reason: FailureReason, isGuess = false): ExchangeStep {
  return { kind: "failed", reason, isGuess };
}
