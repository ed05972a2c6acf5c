import type { Socket } from "node:net";
import type { ReadBuffer } from "./read-buffer.ts";

/** Who gets what the upstream sends. One at a time: first the start-up, then the relay. */
export interface UpstreamListener {
  /** `view` is valid during the call only, unless `keepChunk` is called in it. */
  onChunk(view: Buffer): void;
  /** After `write` said `false`: there is room again. */
  onDrain(): void;
  /** Once, when the connection has ended, whoever ended it; without an error that was in an orderly way. */
  onClose(error: Error | undefined): void;
}

/**
 * A stream of bytes to and from the upstream, over TCP, a Unix socket or TLS, which look the same from here. Reads
 * nothing until somebody listens.
 */
export class UpstreamConnection {
  readonly #socket: Socket;
  readonly #readBuffer: ReadBuffer | undefined;
  #listener: UpstreamListener | undefined;
  #unread: Buffer | undefined;
  #error: Error | undefined;

  /**
   * @param socket - connected
   * @param readBuffer - what the socket reads into, if it was opened with `onread`; others bring memory of their own
   */
  constructor(socket: Socket, readBuffer?: ReadBuffer) {
    this.#socket = socket;
    this.#readBuffer = readBuffer;
    socket.pause();
    const receive = (view: Buffer): void => this.#listener?.onChunk(view);
    if (readBuffer === undefined) socket.on("data", receive).pause();
    else readBuffer.sink = receive;
    socket.on("drain", () => this.#listener?.onDrain());
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.on("close", () => {
      this.#readBuffer?.release();
      this.#listener?.onClose(this.#error);
    });
  }

  /** Bytes written that the operating system hasn't taken yet. */
  get writableLength(): number {
    return this.#socket.writableLength;
  }

  /** Hands the stream to a listener, from where the one before it left off, and starts reading. */
  listen(listener: UpstreamListener): void {
    this.#listener = listener;
    if (this.#socket.closed) {
      queueMicrotask(() => {
        listener.onClose(this.#error);
      });
      return;
    }
    this.#socket.resume();
    const unread = this.#unread;
    this.#unread = undefined;
    if (unread !== undefined) listener.onChunk(unread);
  }

  /** Stops reading, and leaves bytes that were read already to the next listener. */
  handOver(unread: Buffer): void {
    this.#socket.pause();
    if (unread.length > 0) this.#unread = unread;
  }

  /** In `onChunk`: the view is the listener's for good, as where a write of it is still under way. */
  keepChunk(): void {
    this.#readBuffer?.keep();
  }

  /** @returns `false` when the listener should wait for `onDrain` */
  write(bytes: Buffer): boolean {
    return this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends what is left to send, then closes. */
  end(last: Buffer): void {
    this.#socket.end(last);
  }

  /** Closes at once; the upstream rolls back what was open. */
  destroy(error?: Error): void {
    this.#socket.destroy(error);
  }
}
