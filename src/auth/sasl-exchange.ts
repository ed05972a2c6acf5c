import { assertNever } from "../base/assert-never.ts";
import { SMALL_MESSAGE_BYTES } from "../wire/message-types.ts";
import { failed, type Exchange, type ExchangeStep, type FailureReason } from "./login.ts";
import { decodeBearer, encodeBearerError, type BearerDiscovery } from "./oauthbearer.ts";
import {
  decodeSaslInitialResponse,
  decodeScramMessage,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
} from "./sasl-messages.ts";
import { ScramServer, type ScramMechanism, type ScramStep } from "./scram-server.ts";
import { MAX_TOKEN_MESSAGE_BYTES, type CheckToken } from "./token-subject.ts";
import type { ScramVerifier } from "./verifier.ts";

export interface SaslExchangeOptions {
  readonly verifiers: readonly [ScramVerifier, ...ScramVerifier[]];
  /** Printable ASCII without commas; fresh for each exchange. */
  readonly nonce: string;
  /** Our certificate's `tls-server-end-point`, where there is one. */
  readonly channelBinding: Buffer | undefined;
  /** `undefined` offers no OAUTHBEARER. */
  readonly bearer: { readonly discovery: BearerDiscovery; readonly check: CheckToken } | undefined;
}

type State =
  | { readonly kind: "waits_for_choice" }
  | { readonly kind: "scram"; readonly isPlus: boolean }
  /** The client has been told why, and has yet to say that it heard. */
  | { readonly kind: "bearer_refused"; readonly reason: FailureReason };

/** SASL: a password by SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, or a token by OAUTHBEARER, as the frontend chooses. */
export class SaslExchange implements Exchange {
  readonly #options: SaslExchangeOptions;
  readonly #scram: ScramServer;
  #state: State = { kind: "waits_for_choice" };

  constructor(options: SaslExchangeOptions) {
    this.#options = options;
    this.#scram = new ScramServer(options);
  }

  get maxAnswerBytes(): number {
    return this.#options.bearer === undefined ? SMALL_MESSAGE_BYTES : MAX_TOKEN_MESSAGE_BYTES;
  }

  ask(): Buffer {
    const { channelBinding, bearer } = this.#options;
    return encodeAuthenticationSasl([
      ...(channelBinding === undefined ? [] : ["SCRAM-SHA-256-PLUS"]),
      "SCRAM-SHA-256",
      ...(bearer === undefined ? [] : ["OAUTHBEARER"]),
    ]);
  }

  receive(body: Buffer): ExchangeStep | Promise<ExchangeStep> {
    const state = this.#state;
    switch (state.kind) {
      case "waits_for_choice":
        return this.#choose(body);
      case "scram": {
        const message = decodeScramMessage(body);
        if (message === undefined) return failed("malformed");
        return this.#step(this.#scram.clientFinal(message), state.isPlus);
      }
      case "bearer_refused":
        return failed(state.reason);
      default:
        return assertNever(state);
    }
  }

  #choose(body: Buffer): ExchangeStep | Promise<ExchangeStep> {
    const chosen = decodeSaslInitialResponse(body);
    switch (chosen?.mechanism) {
      case "SCRAM-SHA-256":
      case "SCRAM-SHA-256-PLUS":
        return this.#begin(chosen.mechanism, chosen.response);
      case "OAUTHBEARER":
        return this.#bear(chosen.response);
      default:
        return failed("malformed");
    }
  }

  #begin(mechanism: ScramMechanism, response: Buffer): ExchangeStep {
    const isPlus = mechanism === "SCRAM-SHA-256-PLUS";
    this.#state = { kind: "scram", isPlus };
    const message = decodeScramMessage(response);
    if (message === undefined) return failed("malformed");
    return this.#step(this.#scram.clientFirst(mechanism, message), isPlus);
  }

  #step(step: ScramStep, isPlus: boolean): ExchangeStep {
    switch (step.kind) {
      case "continue":
        return { kind: "continue", send: encodeAuthenticationSaslContinue(step.message) };
      case "verified":
        return {
          kind: "proved",
          send: encodeAuthenticationSaslFinal(step.message),
          method: isPlus ? "scram-sha-256-plus" : "scram-sha-256",
          isGuessable: true,
          verifier: step.verifier,
          clientKey: step.clientKey,
        };
      case "failed":
        // Nothing was guessed where no proof came to be checked.
        return failed(step.reason, step.reason === "wrong_password");
      default:
        return assertNever(step);
    }
  }

  async #bear(response: Buffer): Promise<ExchangeStep> {
    const { bearer } = this.#options;
    const said = bearer === undefined ? undefined : decodeBearer(response);
    if (bearer === undefined || said === undefined) return failed("malformed");
    const step =
      said.kind === "discovery" ? failed("token_discovery") : await bearer.check(said.token);
    if (step.kind !== "failed") return step;
    this.#state = { kind: "bearer_refused", reason: step.reason };
    const answer = encodeBearerError(bearer.discovery);
    return { kind: "continue", send: encodeAuthenticationSaslContinue(answer) };
  }
}
