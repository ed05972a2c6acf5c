import type { Socket } from "node:net";
import type { UpstreamConnection } from "../upstream/connection.ts";
import { FrontendFramer } from "../wire/framer.ts";

export interface FrontendFlowOptions {
  readonly frontend: Socket;
  readonly upstream: UpstreamConnection;
  readonly maxMessageBytes: number;
  readonly countBytes: (bytes: number) => void;
  /** Takes the framer's current message: lets it `pass`, writes another in its place, or drops it. */
  readonly take: (framer: FrontendFramer) => void;
  readonly fail: (error: unknown) => void;
}

/** A frontend that is held back may have sent so much more; then it is not read any further. */
const MAX_LATE_BYTES = 256 * 1024;

/**
 * A frontend's messages, one at a time and in order. Those that may pass are written as they came, in runs as long
 * as the chunk. Whoever takes a message may stop the flow until something is known; nothing overtakes it then.
 */
export class FrontendFlow {
  readonly #options: FrontendFlowOptions;
  readonly #framer: FrontendFramer;
  /** What came while stopped. The socket is read on, as that is how one learns that the frontend has left. */
  readonly #late: Buffer[] = [];
  #lateBytes = 0;
  /** Messages of the framer's buffer that may pass and are not written yet. */
  #runStart = 0;
  #runEnd = 0;
  #isStopped = false;
  #isUpstreamFull = false;
  #isEnded = false;

  constructor(options: FrontendFlowOptions) {
    this.#options = options;
    this.#framer = new FrontendFramer(options.maxMessageBytes);
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  receive(chunk: Buffer): void {
    this.#options.countBytes(chunk.length);
    if (!this.#isStopped) {
      this.#framer.push(chunk);
      this.#pump();
      return;
    }
    this.#late.push(chunk);
    this.#lateBytes += chunk.length;
    if (this.#lateBytes >= MAX_LATE_BYTES) this.#options.frontend.pause();
  }

  /** The current message goes on as it came. */
  pass(): void {
    const { start, end } = this.#framer;
    if (this.#runEnd !== start || this.#runStart === this.#runEnd) {
      this.flush();
      this.#runStart = start;
    }
    this.#runEnd = end;
  }

  /** Writes a message of ours behind all that passed before. */
  write(message: Buffer): void {
    this.flush();
    this.#toUpstream(message);
  }

  flush(): void {
    if (this.#runEnd > this.#runStart) {
      const { buffer } = this.#framer;
      const isWhole = this.#runStart === 0 && this.#runEnd === buffer.length;
      this.#toUpstream(isWhole ? buffer : buffer.subarray(this.#runStart, this.#runEnd));
    }
    this.#runStart = this.#runEnd = 0;
  }

  /** Goes on at once with a value; with a promise, stops until it is there. */
  then<T extends object>(value: T | Promise<T>, next: (value: T) => void): void {
    if (!(value instanceof Promise)) {
      next(value);
      return;
    }
    this.stop();
    value.then((settled) => {
      this.goOn(() => {
        next(settled);
      });
    }, this.#options.fail);
  }

  /** Takes no message until `goOn`; the current one stays current. */
  stop(): void {
    this.#isStopped = true;
  }

  goOn(next: () => void): void {
    if (this.#isEnded) return;
    this.#isStopped = false;
    try {
      next();
    } catch (error) {
      this.#options.fail(error);
      return;
    }
    this.#pump();
    this.#takeLate();
    this.#readOn();
  }

  /** The upstream has room again. */
  drained(): void {
    this.#isUpstreamFull = false;
    this.#readOn();
  }

  end(): void {
    this.#isEnded = true;
  }

  #pump(): void {
    const { take, fail } = this.#options;
    try {
      while (!this.#isStopped && !this.#isEnded && this.#framer.next()) take(this.#framer);
      if (!this.#isStopped && !this.#isEnded) this.flush();
    } catch (error) {
      fail(error);
    }
  }

  #takeLate(): void {
    while (!this.#isStopped && !this.#isEnded) {
      const chunk = this.#late.shift();
      if (chunk === undefined) return;
      this.#lateBytes -= chunk.length;
      this.#framer.push(chunk);
      this.#pump();
    }
  }

  #toUpstream(bytes: Buffer): void {
    if (this.#options.upstream.write(bytes)) return;
    this.#isUpstreamFull = true;
    this.#options.frontend.pause();
  }

  #readOn(): void {
    if (!this.#isStopped && !this.#isUpstreamFull && !this.#isEnded)
      this.#options.frontend.resume();
  }
}
