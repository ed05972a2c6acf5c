import { createHash, randomBytes } from "node:crypto";
import { assertNever } from "../base/assert-never.ts";
import { ProtocolViolation, Unsupported } from "../base/errors.ts";
import type { ScramCredential } from "../auth/login.ts";
import { Secret } from "../base/secret.ts";
import { tlsServerEndPoint } from "../auth/tls-server-end-point.ts";
import { decodeAuthentication, type Authentication } from "../wire/decode-backend.ts";
import {
  encodePasswordMessage,
  encodeSaslInitialResponse,
  encodeSaslResponse,
} from "../wire/encode-frontend.ts";
import { BACKEND } from "../wire/message-types.ts";
import { ScramClient, type ChannelBinding } from "./scram-client.ts";
import type { BackendMessage, StartupMessages } from "./startup-messages.ts";

export interface LogIn {
  readonly user: string;
  /** Called only when the server asks for a password. */
  readonly password: () => Promise<Secret | ScramCredential>;
  /** DER of the certificate that the server showed; `undefined` without TLS. */
  readonly certificate: Buffer | undefined;
  readonly messages: StartupMessages;
  readonly send: (message: Buffer) => void;
}

const NONCE_BYTES = 18;

/**
 * Proves to the server who we are, by the method it asks for: SCRAM-SHA-256 (with channel binding over TLS), md5 for
 * old servers, or a cleartext password, over TLS only.
 *
 * @param first - the server's answer to the StartupMessage
 * @throws UpstreamRefused, ProtocolViolation, Unsupported for any other method
 */
export async function logIn(first: BackendMessage, login: LogIn): Promise<void> {
  const asked = authenticationIn(first);
  switch (asked.kind) {
    case "ok":
      return;
    case "cleartext_password":
      if (login.certificate === undefined) {
        throw new Unsupported(
          "the server asks for a cleartext password on a connection without TLS",
        );
      }
      login.send(encodePasswordMessage((await wholePassword(login)).reveal()));
      break;
    case "md5_password":
      login.send(
        encodePasswordMessage(md5Response(login.user, await wholePassword(login), asked.salt)),
      );
      break;
    case "sasl":
      await scram(asked.mechanisms, login);
      break;
    case "unsupported":
      throw new Unsupported(`the server asks for authentication method ${asked.code}`);
    case "sasl_continue":
    case "sasl_final":
      throw outOfPlace();
    default:
      return assertNever(asked);
  }
  if (authenticationIn(await login.messages.next()).kind !== "ok") throw outOfPlace();
}

async function wholePassword({ password }: LogIn): Promise<Secret> {
  const known = await password();
  if (known instanceof Secret) return known;
  throw new Unsupported(
    "the server does not ask by SCRAM-SHA-256, so the person's proof is no use",
  );
}

async function scram(
  mechanisms: readonly string[],
  { password, certificate, messages, send }: LogIn,
) {
  const channelBinding = bindingFor(mechanisms, certificate);
  const isBound = channelBinding.kind === "tls-server-end-point";
  const mechanism = isBound ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
  if (!mechanisms.includes(mechanism)) {
    throw new Unsupported("the server offers no SASL mechanism that we have: only SCRAM-SHA-256");
  }
  const nonce = randomBytes(NONCE_BYTES).toString("base64");
  const client = new ScramClient({ password: await password(), nonce, channelBinding });
  send(encodeSaslInitialResponse(mechanism, client.clientFirst()));
  const challenge = authenticationIn(await messages.next());
  if (challenge.kind !== "sasl_continue") throw outOfPlace();
  send(encodeSaslResponse(await client.clientFinal(challenge.data.toString("latin1"))));
  const outcome = authenticationIn(await messages.next());
  // INVARIANT: without the server's signature there is no "ok": it might be anyone's.
  if (outcome.kind !== "sasl_final") throw outOfPlace();
  client.verifyServerFinal(outcome.data.toString("latin1"));
}

function bindingFor(
  mechanisms: readonly string[],
  certificate: Buffer | undefined,
): ChannelBinding {
  const hash = certificate && tlsServerEndPoint(certificate);
  if (hash === undefined) return { kind: "unsupported" };
  if (!mechanisms.includes("SCRAM-SHA-256-PLUS")) return { kind: "not_offered" };
  return { kind: "tls-server-end-point", hash };
}

/** "md5" and the hex of md5(md5(password, user), salt) (PostgreSQL docs, "Message Flow"). */
function md5Response(user: string, password: Secret, salt: Buffer): string {
  const md5 = (...parts: readonly (string | Buffer)[]): string => {
    const hash = createHash("md5");
    for (const part of parts) hash.update(part);
    return hash.digest("hex");
  };
  return `md5${md5(md5(password.reveal(), user), salt)}`;
}

function authenticationIn({ type, body }: BackendMessage): Authentication {
  if (type !== BACKEND.Authentication) throw outOfPlace();
  return decodeAuthentication(body);
}

function outOfPlace(): ProtocolViolation {
  return new ProtocolViolation("unexpected message from the server during authentication");
}
