import type { X509Certificate } from "node:crypto";
import { assertNever } from "../base/assert-never.ts";
import { AuthenticationFailed } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";
import type { Principal } from "../policy/principal.ts";
import { namesSubject, type CertificateSubject } from "./certificate-subject.ts";
import type { LoginAttempt } from "./login-throttle.ts";
import {
  decodeSaslInitialResponse,
  decodeSaslResponse,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
} from "./sasl-messages.ts";
import { ScramServer, type ScramMechanism, type ScramStep } from "./scram-server.ts";
import { tlsServerEndPoint } from "./tls-server-end-point.ts";
import { mockVerifier, type ScramVerifier } from "./verifier.ts";

/** What is known of somebody who may log in. */
export interface DirectoryEntry {
  readonly principal: Principal;
  /** `undefined` for those who don't log in by password. */
  readonly verifier: ScramVerifier | undefined;
  /** Certificates that prove this principal without a password. */
  readonly certificates: readonly CertificateSubject[];
  readonly isDisabled: boolean;
  readonly expiresAt: Date | undefined;
}

export interface AuthenticationOptions {
  /** `user` of the StartupMessage. */
  readonly user: string;
  readonly channel: FrontendChannel;
  readonly lookup: (name: string) => DirectoryEntry | undefined;
  /** Random, and the same on every replica and after every restart; see `mockVerifier`. */
  readonly mockSecret: Secret<Buffer>;
  /** Of most people's verifiers, so that unknown names look like theirs. */
  readonly mockIterations: number;
  /** Printable ASCII without commas; fresh for each frontend. */
  readonly nonce: string;
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

export type AuthenticationMethod = "certificate" | "scram-sha-256" | "scram-sha-256-plus";

export type AuthenticationStep =
  | { readonly kind: "continue"; readonly send: Buffer }
  /** `send` goes out before AuthenticationOk; it may be empty. */
  | {
      readonly kind: "ok";
      readonly send: Buffer;
      readonly principal: Principal;
      readonly method: AuthenticationMethod;
    }
  | { readonly kind: "failed"; readonly reason: FailureReason };

/** For the audit log and a metric's label. The frontend is told the same for all: `authenticationFailed`. */
export type FailureReason =
  | "unknown_user"
  | "no_password"
  | "wrong_password"
  | "disabled"
  | "expired"
  | "locked"
  | "channel_binding"
  | "malformed";

/**
 * Finds out who a frontend is: by a client certificate that names the principal, else by SCRAM. Somebody unknown,
 * disabled or without a password goes the same way as everybody, with as many hash operations, to the same end.
 */
export class Authentication {
  readonly #options: AuthenticationOptions;
  readonly #entry: DirectoryEntry | undefined;
  readonly #channelBinding: Buffer | undefined;
  readonly #scram: ScramServer;
  #mechanism: ScramMechanism | undefined;

  constructor(options: AuthenticationOptions) {
    const { user, channel, nonce } = options;
    this.#options = options;
    this.#entry = options.lookup(user);
    this.#channelBinding =
      channel.kind === "tls" ? tlsServerEndPoint(channel.ownCertificate) : undefined;
    // Made for the known, too: its hashing must not tell them apart.
    const mock = mockVerifier(user, options.mockSecret, options.mockIterations);
    this.#scram = new ScramServer({
      verifier: this.#entry?.verifier ?? mock,
      nonce,
      channelBinding: this.#channelBinding,
    });
  }

  /** The answer to the StartupMessage: what the frontend is asked for. */
  start(): AuthenticationStep {
    if (this.#isNamedByCertificate()) return this.#finish("certificate", Buffer.alloc(0));
    const plain: readonly ScramMechanism[] = ["SCRAM-SHA-256"];
    const offered = this.#channelBinding === undefined ? plain : ["SCRAM-SHA-256-PLUS", ...plain];
    return { kind: "continue", send: encodeAuthenticationSasl(offered) };
  }

  /** @param body - of a `p` message */
  receive(body: Buffer): AuthenticationStep {
    return this.#mechanism === undefined ? this.#receiveFirst(body) : this.#receiveFinal(body);
  }

  #receiveFirst(body: Buffer): AuthenticationStep {
    const response = decodeSaslInitialResponse(body);
    const mechanism = response?.mechanism;
    if (mechanism !== "SCRAM-SHA-256" && mechanism !== "SCRAM-SHA-256-PLUS") return MALFORMED;
    this.#mechanism = mechanism;
    return this.#step(this.#scram.clientFirst(mechanism, response?.data ?? ""));
  }

  #receiveFinal(body: Buffer): AuthenticationStep {
    const data = decodeSaslResponse(body);
    return data === undefined ? MALFORMED : this.#step(this.#scram.clientFinal(data));
  }

  #step(step: ScramStep): AuthenticationStep {
    switch (step.kind) {
      case "continue":
        return { kind: "continue", send: encodeAuthenticationSaslContinue(step.message) };
      case "verified": {
        const isPlus = this.#mechanism === "SCRAM-SHA-256-PLUS";
        return this.#counted(
          this.#finish(
            isPlus ? "scram-sha-256-plus" : "scram-sha-256",
            encodeAuthenticationSaslFinal(step.message),
          ),
        );
      }
      case "failed":
        // Nothing was guessed where no proof came to be checked.
        if (step.reason !== "wrong_password") return { kind: "failed", reason: step.reason };
        return this.#counted({ kind: "failed", reason: this.#whyNot() });
      default:
        return assertNever(step);
    }
  }

  /** Only now, with the proof at hand, does it matter whether the principal may log in at all. */
  #finish(method: AuthenticationMethod, send: Buffer): AuthenticationStep {
    const entry = this.#entry;
    if (entry === undefined) return { kind: "failed", reason: "unknown_user" };
    if (entry.isDisabled) return { kind: "failed", reason: "disabled" };
    if (entry.expiresAt !== undefined && entry.expiresAt <= this.#options.now) {
      return { kind: "failed", reason: "expired" };
    }
    return { kind: "ok", send, principal: entry.principal, method };
  }

  #whyNot(): FailureReason {
    if (this.#entry === undefined) return "unknown_user";
    return this.#entry.verifier === undefined ? "no_password" : "wrong_password";
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
    const { channel } = this.#options;
    const peer = channel.kind === "tls" ? channel.verifiedPeer : undefined;
    if (peer === undefined) return false;
    return this.#entry?.certificates.some((subject) => namesSubject(peer, subject)) ?? false;
  }
}

const MALFORMED: AuthenticationStep = { kind: "failed", reason: "malformed" };

/** What the frontend is told, whatever the reason. */
export function authenticationFailed(user: string): AuthenticationFailed {
  const shown = user.replace(/\p{Cc}/gu, "?");
  return new AuthenticationFailed(`password authentication failed for user "${shown}"`);
}
