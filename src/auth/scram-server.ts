import { assertNever } from "../base/assert-never.ts";
import { equalConstantTime } from "../base/digest.ts";
import { Secret } from "../base/secret.ts";
import { hmacSha256, KEY_BYTES, parseBase64, sha256Bytes, xor } from "./scram-keys.ts";
import type { ScramVerifier } from "./verifier.ts";

export type ScramMechanism = "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS";

export type ScramStep =
  /** To be sent as the challenge. */
  | { readonly kind: "continue"; readonly message: string }
  /** The password is right; the message proves to the client that we know its verifier. */
  | {
      readonly kind: "verified";
      readonly message: string;
      /** The one of several that the password fits. */
      readonly verifier: ScramVerifier;
      /** What the client has proved to have: with it, one can log in wherever the same verifier is kept. */
      readonly clientKey: Secret<Buffer>;
    }
  | { readonly kind: "failed"; readonly reason: ScramFailure };

/** `channel_binding`: somebody in between took out the offer, or shows the client another certificate. */
export type ScramFailure = "malformed" | "channel_binding" | "wrong_password";

export interface ScramServerOptions {
  /** Any of which will do; those with another salt or other rounds than the first are nobody's. */
  readonly verifiers: readonly [ScramVerifier, ...ScramVerifier[]];
  /** Printable ASCII without commas; fresh for each exchange. */
  readonly nonce: string;
  /** Our certificate's `tls-server-end-point`; `undefined` where SCRAM-SHA-256-PLUS was not offered. */
  readonly channelBinding: Buffer | undefined;
}

/**
 * The server's half of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): two messages in, an answer to each.
 * The user name in them doesn't count, as in PostgreSQL: the StartupMessage's does.
 */
export class ScramServer {
  readonly #options: ScramServerOptions;
  #state: State = { kind: "waits_for_first" };

  constructor(options: ScramServerOptions) {
    this.#options = options;
  }

  clientFirst(mechanism: ScramMechanism, message: string): ScramStep {
    const first = parseClientFirst(message);
    if (this.#state.kind !== "waits_for_first" || first === undefined)
      return this.#fail("malformed");
    const failure = this.#checkBinding(mechanism, first);
    if (failure !== undefined) return this.#fail(failure);

    const {
      verifiers: [verifier],
      nonce,
    } = this.#options;
    const bothNonces = `${first.nonce}${nonce}`;
    const challenge = `r=${bothNonces},s=${verifier.salt.toString("base64")},i=${verifier.iterations}`;
    this.#state = { kind: "waits_for_final", first, bothNonces, challenge };
    return { kind: "continue", message: challenge };
  }

  clientFinal(message: string): ScramStep {
    const state = this.#state;
    const final = parseClientFinal(message);
    if (state.kind !== "waits_for_final" || final === undefined) return this.#fail("malformed");
    if (final.nonce !== state.bothNonces) return this.#fail("malformed");
    if (!this.#isBoundTo(state.first, final.binding)) return this.#fail("channel_binding");

    const authMessage = `${state.first.bare},${state.challenge},${final.withoutProof}`;
    // All are tried, so that the time does not tell which it was.
    const [proved] = this.#comparable().flatMap((verifier) => {
      const clientKey = clientKeyOf(final.proof, verifier, authMessage);
      return clientKey === undefined ? [] : [{ verifier, clientKey }];
    });
    if (proved === undefined) return this.#fail("wrong_password");
    this.#state = { kind: "done" };
    const signature = hmacSha256(proved.verifier.serverKey, authMessage);
    return { kind: "verified", message: `v=${signature.toString("base64")}`, ...proved };
  }

  /** The client hashes its password with one salt: only what was made with the same can be compared. */
  #comparable(): readonly ScramVerifier[] {
    const { verifiers } = this.#options;
    const [{ salt, iterations }] = verifiers;
    return verifiers.filter(
      (verifier) => verifier.iterations === iterations && verifier.salt.equals(salt),
    );
  }

  #fail(reason: ScramFailure): ScramStep {
    this.#state = { kind: "done" };
    return { kind: "failed", reason };
  }

  #checkBinding(mechanism: ScramMechanism, { binding }: ClientFirst): ScramFailure | undefined {
    const isPlus = mechanism === "SCRAM-SHA-256-PLUS";
    const isOffered = this.#options.channelBinding !== undefined;
    switch (binding) {
      case "unsupported":
        return isPlus ? "malformed" : undefined;
      case "not_offered":
        if (isPlus) return "malformed";
        // It says that we didn't offer what we did.
        return isOffered ? "channel_binding" : undefined;
      case "tls-server-end-point":
        return isPlus && isOffered ? undefined : "malformed";
      default:
        return assertNever(binding);
    }
  }

  #isBoundTo({ gs2Header, binding }: ClientFirst, input: Buffer): boolean {
    const data = binding === "tls-server-end-point" ? this.#options.channelBinding : undefined;
    return equalConstantTime(
      input,
      Buffer.concat([Buffer.from(gs2Header), data ?? Buffer.alloc(0)]),
    );
  }
}

type State =
  | { readonly kind: "waits_for_first" }
  | {
      readonly kind: "waits_for_final";
      readonly first: ClientFirst;
      readonly bothNonces: string;
      readonly challenge: string;
    }
  | { readonly kind: "done" };

/** ClientKey is the proof without its signature; only its hash is known here (RFC 5802 §3). */
function clientKeyOf(
  proof: Buffer,
  { storedKey }: ScramVerifier,
  authMessage: string,
): Secret<Buffer> | undefined {
  const clientKey = xor(proof, hmacSha256(storedKey, authMessage));
  return equalConstantTime(sha256Bytes(clientKey), storedKey) ? new Secret(clientKey) : undefined;
}

interface ClientFirst {
  readonly binding: "unsupported" | "not_offered" | "tls-server-end-point";
  readonly gs2Header: string;
  readonly bare: string;
  readonly nonce: string;
}

// RFC 5802 §7. Another person's authority (`a=`) and mandatory extensions (`m=`) aren't supported, so they don't
// match; optional extensions are passed over, but count in the proof.
const CLIENT_FIRST =
  /^((n|y|p=tls-server-end-point),,)(n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*)$/;
const CLIENT_FINAL =
  /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-oq-z]=[^,]+)*),p=([A-Za-z0-9+/=]+)$/;

const BINDINGS = new Map<string, ClientFirst["binding"]>([
  ["n", "unsupported"],
  ["y", "not_offered"],
  ["p=tls-server-end-point", "tls-server-end-point"],
]);

function parseClientFirst(message: string): ClientFirst | undefined {
  const [, gs2Header, flag, bare, nonce] = CLIENT_FIRST.exec(message) ?? [];
  const binding = BINDINGS.get(flag ?? "");
  if (gs2Header === undefined || binding === undefined) return undefined;
  if (bare === undefined || nonce === undefined) return undefined;
  return { binding, gs2Header, bare, nonce };
}

interface ClientFinal {
  readonly withoutProof: string;
  readonly binding: Buffer;
  readonly nonce: string;
  readonly proof: Buffer;
}

function parseClientFinal(message: string): ClientFinal | undefined {
  const [, withoutProof, bindingText, nonce, proofText] = CLIENT_FINAL.exec(message) ?? [];
  if (withoutProof === undefined || nonce === undefined) return undefined;
  const binding = parseBase64(bindingText ?? "");
  const proof = parseBase64(proofText ?? "");
  if (binding === undefined || proof?.length !== KEY_BYTES) return undefined;
  return { withoutProof, binding, nonce, proof };
}
