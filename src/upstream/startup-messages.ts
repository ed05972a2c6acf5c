import { parseSqlstate, ProtocolViolation, TwokeyError } from "../base/errors.ts";
import { decodeParameterStatus, decodeResponse } from "../wire/decode-backend.ts";
import { BACKEND, HEADER_BYTES } from "../wire/message-types.ts";
import type { UpstreamConnection, UpstreamListener } from "./connection.ts";

export interface BackendMessage {
  readonly type: number;
  readonly body: Buffer;
}

/**
 * The server's own ErrorResponse instead of a session: unknown database (3D000), too many clients (53300), and so on;
 * 28P01 is about *our* credential, not the frontend's.
 */
export class UpstreamRefused extends TwokeyError {}

// As libpq: nothing longer is expected before the first ReadyForQuery.
const MAX_MESSAGE_BYTES = 30_000;
const MAX_TOTAL_BYTES = 1_000_000;

/**
 * Cuts what the upstream sends during start-up into messages, bounded each and in sum. Keeps what may come between
 * any two of them: settings and notices.
 */
export class StartupMessages implements UpstreamListener {
  /** The server's settings as last reported. */
  readonly parameters = new Map<string, string>();
  /** Whole NoticeResponse messages, as they came. */
  readonly notices: Buffer[] = [];

  readonly #connection: UpstreamConnection;
  #received = Buffer.alloc(0);
  #totalBytes = 0;
  #end: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(connection: UpstreamConnection) {
    this.#connection = connection;
    connection.listen(this);
  }

  /**
   * The next message that isn't a setting or a notice.
   *
   * @throws UpstreamRefused for an ErrorResponse; ProtocolViolation for a length that can't be, or for more than
   *   start-up may take; the connection's own error when it has ended
   */
  async next(): Promise<BackendMessage> {
    for (;;) {
      const bytes = await this.#whole();
      const message = { type: bytes.readUInt8(0), body: bytes.subarray(HEADER_BYTES) };
      switch (message.type) {
        case BACKEND.ErrorResponse:
          throw refusedBy(message.body);
        case BACKEND.NoticeResponse:
          this.notices.push(bytes);
          break;
        case BACKEND.ParameterStatus: {
          const { name, value } = decodeParameterStatus(message.body);
          this.parameters.set(name, value);
          break;
        }
        default:
          return message;
      }
    }
  }

  /** Leaves the connection, and what was read of it already, to the next listener. */
  handOver(): void {
    this.#connection.handOver(this.#received);
  }

  onChunk(view: Buffer): void {
    this.#totalBytes += view.length;
    if (this.#totalBytes > MAX_TOTAL_BYTES) {
      this.#connection.destroy(new ProtocolViolation("the server's start-up messages do not end"));
      return;
    }
    this.#received = Buffer.concat([this.#received, view]);
    this.#wake?.();
  }

  onDrain(): void {
    // What is written here is a few hundred bytes.
  }

  onClose(error: Error | undefined): void {
    this.#end = error ?? new Error("the server closed the connection unexpectedly");
    this.#wake?.();
  }

  async #whole(): Promise<Buffer> {
    for (;;) {
      const bytes = this.#cut();
      if (bytes !== undefined) return bytes;
      if (this.#end !== undefined) throw this.#end;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #cut(): Buffer | undefined {
    if (this.#received.length < HEADER_BYTES) return undefined;
    const length = this.#received.readUInt32BE(1);
    if (length < 4 || length > MAX_MESSAGE_BYTES) {
      throw new ProtocolViolation("invalid message length from the server");
    }
    if (this.#received.length < 1 + length) return undefined;
    const bytes = this.#received.subarray(0, 1 + length);
    this.#received = this.#received.subarray(1 + length);
    return bytes;
  }
}

function refusedBy(body: Buffer): UpstreamRefused {
  const { sqlstate, message, detail, hint } = decodeResponse(body);
  return new UpstreamRefused(parseSqlstate(sqlstate), message, { detail, hint });
}
