import { ProtocolViolation } from "../base/errors.ts";
import { BACKEND, HEADER_BYTES, LARGEST_MESSAGE_BYTES } from "./message-types.ts";

/** Where a backend's bytes go, and who is asked about the few messages that matter. */
export interface BackendSink {
  /**
   * A message of one of the types in {@link isOfInterest}, complete (an ErrorResponse above 64 KiB: its beginning).
   *
   * @param bytes - where it stands, its body from `start` to `end`: a view, never kept
   * @returns `undefined` to let it pass unchanged, else what is sent in its place; empty for nothing
   */
  backendMessage(type: number, bytes: Buffer, start: number, end: number): Buffer | undefined;
  /** @param bytes - a view, in order; never kept by the scanner, valid only during the call */
  forward(bytes: Buffer): void;
}

/**
 * Walks a backend's messages by their headers. What passes unchanged is forwarded as it came, in runs as long as
 * the chunk; only a message of interest that is split between chunks is copied and held until it is whole.
 */
export class BackendScanner {
  readonly #sink: BackendSink;
  #held: Buffer = EMPTY;
  #bodyLeft = 0;
  #scannedBytes = 0;
  #answeredBytes = 0;

  constructor(sink: BackendSink) {
    this.#sink = sink;
  }

  /** Whether the next byte is the first of a message, so that one of ours may stand in between. */
  get isBetweenMessages(): boolean {
    return this.#bodyLeft === 0 && this.#held.length === 0;
  }

  /** Bytes of the stream up to the end of the last message of interest. */
  get answeredBytes(): number {
    return this.#answeredBytes;
  }

  /** @throws ProtocolViolation for a length no message can have */
  scan(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#held.length > 0) {
      bytes = Buffer.concat([this.#held, chunk]);
      this.#held = EMPTY;
    }
    let runStart = 0;
    let position = Math.min(this.#bodyLeft, bytes.length);
    this.#bodyLeft -= position;

    while (position < bytes.length) {
      const available = bytes.length - position;
      if (available < HEADER_BYTES) break;
      const type = bytes[position] as number;
      const length = bytes.readUInt32BE(position + 1);
      if (length < 4 || length > LARGEST_MESSAGE_BYTES) {
        throw new ProtocolViolation("the server sent a message with an invalid length");
      }
      const end = position + 1 + length;
      if (!isOfInterest(type)) {
        if (end > bytes.length) {
          this.#bodyLeft = end - bytes.length;
          position = bytes.length;
        } else {
          position = end;
        }
        continue;
      }
      if (type !== BACKEND.ErrorResponse && length > LARGEST_OF_INTEREST_BYTES) {
        throw new ProtocolViolation("the server sent a message longer than its type can be");
      }
      const needed =
        type === BACKEND.ErrorResponse && length > LARGE_ERROR_BYTES
          ? ERROR_HEAD_BYTES
          : 1 + length;
      if (available < needed) break;
      this.#answeredBytes = this.#scannedBytes + end;
      const instead = this.#sink.backendMessage(
        type,
        bytes,
        position + HEADER_BYTES,
        position + needed,
      );
      if (instead !== undefined) {
        this.#forward(bytes, runStart, position);
        if (instead.length > 0) this.#sink.forward(instead);
        runStart = end;
      }
      if (end > bytes.length) this.#bodyLeft = end - bytes.length;
      position = Math.min(end, bytes.length);
    }
    this.#forward(bytes, runStart, position);
    this.#scannedBytes += position;
    if (position < bytes.length) this.#held = Buffer.from(bytes.subarray(position));
  }

  #forward(bytes: Buffer, start: number, end: number): void {
    if (end <= start) return;
    this.#sink.forward(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  }
}

const EMPTY = Buffer.alloc(0);

// Our own errors are short; of a longer one only the SQLSTATE is wanted, which stands among its first fields.
const LARGE_ERROR_BYTES = 64 * 1024;
const ERROR_HEAD_BYTES = 1024;

// Command tags and settings: held until whole, so bounded.
const LARGEST_OF_INTEREST_BYTES = 1024 * 1024;

function isOfInterest(type: number): boolean {
  switch (type) {
    case BACKEND.ParseComplete:
    case BACKEND.BindComplete:
    case BACKEND.CloseComplete:
    case BACKEND.CommandComplete:
    case BACKEND.EmptyQueryResponse:
    case BACKEND.PortalSuspended:
    case BACKEND.ErrorResponse:
    case BACKEND.ReadyForQuery:
    case BACKEND.ParameterStatus:
    case BACKEND.CopyInResponse:
    case BACKEND.CopyOutResponse:
    case BACKEND.CopyBothResponse:
      return true;
    default:
      return false;
  }
}
