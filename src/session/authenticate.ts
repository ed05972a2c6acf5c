import type { Socket } from "node:net";
import { authenticationFailed, type Authentication } from "../auth/authentication.ts";
import type { FailureReason, LoggedIn } from "../auth/login.ts";
import { TwokeyError, ProtocolViolation } from "../base/errors.ts";
import { FRONTEND, HEADER_BYTES } from "../wire/message-types.ts";
import { readExactly } from "./read-exactly.ts";

/**
 * Somebody could not prove who they are. The frontend is told the same whatever `reason` says; only who has proved it
 * is told more.
 */
export class LoginFailed extends TwokeyError {
  readonly user: string;
  readonly reason: FailureReason;

  constructor(
    user: string,
    reason: FailureReason,
    told: Pick<TwokeyError, "sqlstate" | "message" | "detail" | "hint"> = authenticationFailed(
      user,
    ),
  ) {
    super(told.sqlstate, told.message, told);
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
): Promise<LoggedIn> {
  let step = authentication.start();
  for (;;) {
    switch (step.kind) {
      case "continue":
        socket.write(step.send);
        break;
      case "ok": {
        const { send, ...who } = step;
        socket.write(send);
        return who;
      }
      case "failed":
        await new Promise((resolve) => setTimeout(resolve, failureDelayMs));
        throw new LoginFailed(user, step.reason);
    }
    const { maxAnswerBytes } = authentication;
    step = await authentication.receive(await readAnswer(socket, { maxAnswerBytes, signal }));
  }
}

/** Body of the next message, which has to be a `p`. */
async function readAnswer(
  socket: Socket,
  { maxAnswerBytes, signal }: { readonly maxAnswerBytes: number; readonly signal: AbortSignal },
): Promise<Buffer> {
  const header = await readExactly(socket, HEADER_BYTES, signal);
  if (header === undefined) throw new ProtocolViolation("the frontend left during authentication");
  const bodyBytes = header.readUInt32BE(1) - 4;
  if (header[0] !== FRONTEND.Password || bodyBytes < 0 || bodyBytes > maxAnswerBytes) {
    throw new ProtocolViolation("expected an answer to the authentication request");
  }
  if (bodyBytes === 0) return Buffer.alloc(0);
  const body = await readExactly(socket, bodyBytes, signal);
  if (body === undefined) throw new ProtocolViolation("the frontend left during authentication");
  return body;
}
