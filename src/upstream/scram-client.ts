import { assertNever } from "../base/assert-never.ts";
import { equalConstantTime } from "../base/digest.ts";
import { ProtocolViolation, SQLSTATE } from "../base/errors.ts";
import type { ScramCredential } from "../auth/login.ts";
import { Secret } from "../base/secret.ts";
import {
  deriveScramKeys,
  hmacSha256,
  parseBase64,
  xor,
  type ScramKeys,
} from "../auth/scram-keys.ts";

import { UpstreamRefused } from "./startup-messages.ts";

// A server's number: rounds cost us time before it has proved anything (RFC 7677 asks for at least 4096).
const MAX_ITERATIONS = 1_000_000;
const MAX_SALT_BYTES = 1024;

export interface ScramClientOptions {
  /** Or what a client has proved it with to us, which is as good where the same verifier is kept. */
  readonly password: Secret | ScramCredential;
  /** Printable ASCII without commas; fresh for each exchange. */
  readonly nonce: string;
  readonly channelBinding: ChannelBinding;
}

/** What we say of channel binding: we can't, we could but the server didn't offer it, or this is it (PLUS). */
export type ChannelBinding =
  | { readonly kind: "unsupported" }
  | { readonly kind: "not_offered" }
  | { readonly kind: "tls-server-end-point"; readonly hash: Buffer };

/**
 * The client's half of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677). The user name is left empty, as
 * PostgreSQL takes it from the StartupMessage.
 *
 * @throws ProtocolViolation for anything malformed, for too many rounds, and for a server that doesn't know our keys
 */
export class ScramClient {
  readonly #password: Secret | ScramCredential;
  readonly #nonce: string;
  readonly #channelBinding: ChannelBinding;
  #expectedSignature: Buffer | undefined;

  constructor({ password, nonce, channelBinding }: ScramClientOptions) {
    this.#password = password;
    this.#nonce = nonce;
    this.#channelBinding = channelBinding;
  }

  clientFirst(): string {
    return `${gs2Header(this.#channelBinding)}${this.#clientFirstBare()}`;
  }

  async clientFinal(serverFirst: string): Promise<string> {
    const fields = /^r=([\x21-\x2b\x2d-\x7e]+),s=([^,]+),i=([1-9]\d{0,8})$/.exec(serverFirst);
    const [, nonce = "", saltText = "", iterationsText = ""] = fields ?? [];
    const salt = parseBase64(saltText);
    if (fields === null || salt === undefined || salt.length > MAX_SALT_BYTES) {
      throw new ProtocolViolation("malformed SCRAM challenge from the server");
    }
    // Without our part a recorded exchange could be replayed; without one of its own the server adds nothing.
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new ProtocolViolation("SCRAM nonce of the server does not continue ours");
    }
    const iterations = Number(iterationsText);
    if (iterations > MAX_ITERATIONS) {
      throw new ProtocolViolation(
        `the server asks for more than ${MAX_ITERATIONS} SCRAM iterations`,
      );
    }
    const keys = await keysFor(this.#password, { salt, iterations });
    return this.#prove(keys, { nonce, serverFirst });
  }

  /** Checks that the server knows our verifier; without this, anyone could have said "ok". */
  verifyServerFinal(serverFinal: string): void {
    const signature = parseBase64(/^v=([^,]+)$/.exec(serverFinal)?.[1] ?? "");
    const expected = this.#expectedSignature;
    if (
      signature === undefined ||
      expected === undefined ||
      !equalConstantTime(signature, expected)
    ) {
      throw new ProtocolViolation("SCRAM signature of the server is wrong");
    }
  }

  #prove(
    keys: ScramKeys,
    { nonce, serverFirst }: { readonly nonce: string; readonly serverFirst: string },
  ): string {
    const withoutProof = `c=${bindingInput(this.#channelBinding).toString("base64")},r=${nonce}`;
    const authMessage = `${this.#clientFirstBare()},${serverFirst},${withoutProof}`;
    this.#expectedSignature = hmacSha256(keys.serverKey, authMessage);
    const proof = xor(keys.clientKey, hmacSha256(keys.storedKey, authMessage));
    return `${withoutProof},p=${proof.toString("base64")}`;
  }

  #clientFirstBare(): string {
    return `n=,r=${this.#nonce}`;
  }
}

/** @throws UpstreamRefused (28P01) for a proof of another password than the server now knows */
async function keysFor(
  password: Secret | ScramCredential,
  asked: { readonly salt: Buffer; readonly iterations: number },
): Promise<ScramKeys> {
  if (password instanceof Secret) return deriveScramKeys(password, asked);
  const { verifier, clientKey } = password;
  if (!verifier.salt.equals(asked.salt) || verifier.iterations !== asked.iterations) {
    throw new UpstreamRefused(SQLSTATE.invalidPassword, "the password was changed on the server");
  }
  const { storedKey, serverKey } = verifier;
  return { clientKey: clientKey.reveal(), storedKey, serverKey };
}

function gs2Header({ kind }: ChannelBinding): string {
  switch (kind) {
    case "unsupported":
      return "n,,";
    case "not_offered":
      // A server that did offer it learns that somebody in between took the offer out.
      return "y,,";
    case "tls-server-end-point":
      return `p=${kind},,`;
    default:
      return assertNever(kind);
  }
}

function bindingInput(binding: ChannelBinding): Buffer {
  const header = Buffer.from(gs2Header(binding));
  return binding.kind === "tls-server-end-point" ? Buffer.concat([header, binding.hash]) : header;
}
