import { ProtocolViolation } from "../base/errors.ts";
import {
  FRONTEND,
  HEADER_BYTES,
  LARGEST_MESSAGE_BYTES,
  SMALL_MESSAGE_BYTES,
} from "./message-types.ts";

/**
 * Cuts a frontend's bytes into messages, however they arrive. Push a chunk, then call `next()` until it says
 * `false`; in between, `type`, `start`, `bodyStart` and `end` describe the current message as a view over `buffer`,
 * so that nothing is copied or allocated for a message that arrives whole.
 *
 * CopyData is the exception: a piece of one is handed over as soon as it is there (`isPartial`), since it is only
 * data and may be as large as it likes.
 */
export class FrontendFramer {
  buffer: Buffer = EMPTY;
  type = 0;
  start = 0;
  bodyStart = 0;
  end = 0;
  /** A piece of a CopyData message that is not yet, or was not from its beginning, in `buffer`. */
  isPartial = false;

  readonly #maxMessageBytes: number;
  #filled = 0;
  #position = 0;
  #isOwned = false;
  #copyDataLeft = 0;

  /** @param maxMessageBytes - limit for Query, Parse, Bind and FunctionCall, without the type byte */
  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = Math.min(maxMessageBytes, LARGEST_MESSAGE_BYTES);
  }

  /** Bytes received but not handed over yet. */
  get pendingBytes(): number {
    return this.#filled - this.#position;
  }

  /** @param chunk - belongs to the framer from here on, until `next()` has said `false` */
  push(chunk: Buffer): void {
    if (this.#position === this.#filled) {
      this.buffer = chunk;
      this.#filled = chunk.length;
      this.#position = 0;
      this.#isOwned = false;
      return;
    }
    this.#append(chunk);
  }

  /**
   * Moves to the next complete message, or piece of a CopyData.
   *
   * @returns `false` until more bytes are pushed
   * @throws ProtocolViolation (08P01) for an unknown type, a length below 4 or above the limit: as soon as the
   *   header is there, before the body is waited for
   */
  next(): boolean {
    const available = this.#filled - this.#position;
    if (this.#copyDataLeft > 0) return this.#continueCopyData(available);
    this.isPartial = false;
    if (available < HEADER_BYTES) return false;

    const start = this.#position;
    const type = this.buffer[start] as number;
    const length = this.buffer.readUInt32BE(start + 1);
    const limit = messageLimit(type, this.#maxMessageBytes);
    if (limit === undefined) {
      throw new ProtocolViolation(`invalid frontend message type ${type}`);
    }
    if (length < 4 || length > limit) {
      throw new ProtocolViolation(`invalid message length ${length} for type ${type}`, {
        hint: `messages of this type may have at most ${limit} bytes; limits.max_message raises it for statements`,
      });
    }
    this.type = type;
    this.start = start;
    this.bodyStart = start + HEADER_BYTES;
    const end = start + 1 + length;
    if (end > this.#filled) {
      if (type !== FRONTEND.CopyData) return false;
      this.isPartial = true;
      this.#copyDataLeft = end - this.#filled;
      this.end = this.#position = this.#filled;
      return true;
    }
    this.end = this.#position = end;
    return true;
  }

  /** Copies what is not handed over yet out of a chunk whose memory its owner wants back. */
  keepRest(): void {
    if (this.#isOwned || this.#position === this.#filled) return;
    this.#grow(this.#filled - this.#position);
  }

  #continueCopyData(available: number): boolean {
    if (available === 0) return false;
    const piece = Math.min(available, this.#copyDataLeft);
    this.type = FRONTEND.CopyData;
    this.isPartial = true;
    this.start = this.bodyStart = this.#position;
    this.end = this.#position += piece;
    this.#copyDataLeft -= piece;
    return true;
  }

  #append(chunk: Buffer): void {
    const needed = this.#filled - this.#position + chunk.length;
    if (!this.#isOwned || this.#filled + chunk.length > this.buffer.length) this.#grow(needed);
    chunk.copy(this.buffer, this.#filled);
    this.#filled += chunk.length;
  }

  // Doubles with what has really arrived, never with what a header announces.
  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(4096, needed * 2));
    this.buffer.copy(grown, 0, this.#position, this.#filled);
    this.#filled -= this.#position;
    this.#position = 0;
    this.buffer = grown;
    this.#isOwned = true;
  }
}

const EMPTY = Buffer.alloc(0);

function messageLimit(type: number, maxMessageBytes: number): number | undefined {
  switch (type) {
    case FRONTEND.Query:
    case FRONTEND.Parse:
    case FRONTEND.Bind:
    case FRONTEND.FunctionCall:
      return maxMessageBytes;
    case FRONTEND.CopyData:
      return LARGEST_MESSAGE_BYTES;
    case FRONTEND.Close:
    case FRONTEND.Describe:
    case FRONTEND.Execute:
    case FRONTEND.Flush:
    case FRONTEND.Sync:
    case FRONTEND.Terminate:
    case FRONTEND.CopyDone:
    case FRONTEND.CopyFail:
      return SMALL_MESSAGE_BYTES;
    default:
      return undefined;
  }
}
