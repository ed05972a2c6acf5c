import type { OnReadOpts } from "node:net";

/** What a connection reads into while it does little. */
export const SMALL_BYTES = 16 * 1024;
/** What a connection that streams reads into: fewer system calls and fewer events. */
export const LARGE_BYTES = 256 * 1024;

const SMALL_READS_BEFORE_SHRINKING = 8;
const MAX_SPARE_BUFFERS = 16;

// Buffers that no connection holds, by size: growing and shrinking don't allocate each time.
const spare = new Map<number, Buffer[]>([
  [SMALL_BYTES, []],
  [LARGE_BYTES, []],
]);

/**
 * The memory that one plain socket reads into, used over and over. Grows after a read that filled it, and shrinks
 * when reads have become small again, so that only connections which stream hold a large one.
 */
export class ReadBuffer {
  /** Gets each read's bytes, as a view that the next read overwrites. */
  sink: (view: Buffer) => void = () => undefined;

  /** The option that makes a socket read into this. */
  readonly onread: OnReadOpts = {
    buffer: () => this.#take(),
    callback: (bytes) => {
      this.sink(this.#take().subarray(0, bytes));
      this.#adapt(bytes);
      return true;
    },
  };

  #bytes = SMALL_BYTES;
  #buffer: Buffer | undefined;
  #smallReads = 0;

  /** The last read's bytes belong to somebody else now: that memory is never read into again. */
  keep(): void {
    this.#buffer = undefined;
  }

  /** Gives the memory back, so that another connection can read into it. */
  release(): void {
    const pool = spare.get(this.#bytes);
    if (this.#buffer !== undefined && pool !== undefined && pool.length < MAX_SPARE_BUFFERS) {
      pool.push(this.#buffer);
    }
    this.#buffer = undefined;
  }

  #take(): Buffer {
    this.#buffer ??= spare.get(this.#bytes)?.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
    return this.#buffer;
  }

  #adapt(bytes: number): void {
    if (this.#bytes === SMALL_BYTES) {
      if (bytes === SMALL_BYTES) this.#resize(LARGE_BYTES);
      return;
    }
    this.#smallReads = bytes < SMALL_BYTES ? this.#smallReads + 1 : 0;
    if (this.#smallReads === SMALL_READS_BEFORE_SHRINKING) this.#resize(SMALL_BYTES);
  }

  #resize(bytes: number): void {
    this.release();
    this.#bytes = bytes;
    this.#smallReads = 0;
  }
}
