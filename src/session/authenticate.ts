import type { Socket } from "node:net";
import {
  authenticationFailed,
  type Authentication,
  type AuthenticationMethod,
  type FailureReason,
} from "../auth/authentication.ts";
import { TwokeyError, ProtocolViolation, SQLSTATE } from "../base/errors.ts";
import type { Principal } from "../policy/principal.ts";
import { FRONTEND, HEADER_BYTES, SMALL_MESSAGE_BYTES } from "../wire/message-types.ts";
import { readExactly } from "./read-exactly.ts";

export interface Authenticated {
  readonly principal: Principal;
  readonly method: AuthenticationMethod;
}

/** Somebody could not prove who they are. The frontend is told the same whatever `reason` says. */
export class LoginFailed extends TwokeyError {
  readonly user: string;
  readonly reason: FailureReason;

  constructor(user: string, reason: FailureReason) {
    super(SQLSTATE.invalidPassword, authenticationFailed(user).message);
    this.user = user;
    this.reason = reason;
  }
}

/**
 * Carries the messages of an authentication. Until it has succeeded, nothing but its own messages is read. A failure
 * is told after the same while, whatever the reason; who waits for it holds a socket and a timer, nothing more.
 *
 * @throws LoginFailed; ProtocolViolation for any other message; the signal's reason after the deadline
 */
export async function authenticate(
  socket: Socket,
  authentication: Authentication,
  {
    user,
    failureDelayMs,
    signal,
  }: { readonly user: string; readonly failureDelayMs: number; readonly signal: AbortSignal },
): Promise<Authenticated> {
  let step = authentication.start();
  for (;;) {
    switch (step.kind) {
      case "continue":
        socket.write(step.send);
        break;
      case "ok":
        socket.write(step.send);
        return { principal: step.principal, method: step.method };
      case "failed":
        await new Promise((resolve) => setTimeout(resolve, failureDelayMs));
        throw new LoginFailed(user, step.reason);
    }
    step = authentication.receive(await readAnswer(socket, signal));
  }
}

/** Body of the next message, which has to be a `p`. */
async function readAnswer(socket: Socket, signal: AbortSignal): Promise<Buffer> {
  const header = await readExactly(socket, HEADER_BYTES, signal);
  if (header === undefined) throw new ProtocolViolation("the frontend left during authentication");
  const bodyBytes = header.readUInt32BE(1) - 4;
  if (header[0] !== FRONTEND.Password || bodyBytes < 0 || bodyBytes > SMALL_MESSAGE_BYTES) {
    throw new ProtocolViolation("expected an answer to the authentication request");
  }
  if (bodyBytes === 0) return Buffer.alloc(0);
  const body = await readExactly(socket, bodyBytes, signal);
  if (body === undefined) throw new ProtocolViolation("the frontend left during authentication");
  return body;
}
