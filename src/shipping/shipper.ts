import { setTimeout as wait } from "node:timers/promises";
import type { ChainId } from "../audit/record.ts";
import { AuditCursor, type NumberedLine } from "../store/audit-cursor.ts";
import type { Log } from "../telemetry/log.ts";
import { readBookmark, writeBookmark } from "./bookmark.ts";
import type { Send } from "./shipment.ts";

const POLL_MS = 250;
const SEND_TIMEOUT_MS = 30_000;
const RETRY_MS = { first: 500, longest: 60_000 };
const MAX_LINES = 4000;
const MAX_BYTES = 1 << 20;
const CHECKPOINT = Buffer.from(`"event":"chain.checkpoint"`);

export interface ShipperOptions {
  /** The receiver's, for whoever reads logs and metrics. */
  readonly name: string;
  readonly directory: string;
  readonly chain: ChainId;
  readonly records: "all" | "checkpoints";
  readonly bookmarkFile: string;
  readonly send: Send;
  /** The last record that is on disk: what a power cut could take from us, nobody else is to have. */
  readonly syncedSeq: () => number;
  readonly onOutcome: (outcome: "sent" | "failed") => void;
  readonly log: Log;
}

/**
 * Sends the log to one receiver, from where it had got to before. What it does not take is sent again, later and later, and
 * nothing after it: a receiver has a record more than once, or late, never with a gap before it.
 */
export class Shipper {
  readonly name: string;
  readonly #options: ShipperOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #shippedSeq: number;

  constructor(options: ShipperOptions) {
    this.name = options.name;
    this.#options = options;
    const bookmark = readBookmark(options.bookmarkFile);
    this.#shippedSeq = bookmark?.chain === options.chain ? bookmark.seq : 0;
    this.#running = this.#run();
  }

  /** The last record that the receiver has, or that is not for it. */
  get shippedSeq(): number {
    return this.#shippedSeq;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { directory, chain, syncedSeq, records } = this.#options;
    const cursor = new AuditCursor({ directory, chain, afterSeq: this.#shippedSeq });
    try {
      while (!this.#isStopped()) {
        const lines = await this.#patiently(() =>
          cursor.next({ upToSeq: syncedSeq(), maxLines: MAX_LINES, maxBytes: MAX_BYTES }),
        );
        const wanted =
          records === "all" ? lines : lines?.filter(({ line }) => line.includes(CHECKPOINT));
        const last = lines?.at(-1);
        if (wanted === undefined || last === undefined) await this.#pause(POLL_MS);
        else await this.#patiently(() => this.#ship(wanted, last.seq));
      }
    } finally {
      cursor.close();
    }
  }

  async #ship(lines: readonly NumberedLine[], lastSeq: number): Promise<void> {
    const { send, chain, bookmarkFile, onOutcome } = this.#options;
    if (lines.length > 0) {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(SEND_TIMEOUT_MS)]);
      await send({ chain, lines }, signal);
      onOutcome("sent");
    }
    this.#shippedSeq = lastSeq;
    writeBookmark(bookmarkFile, { chain, seq: lastSeq });
  }

  /** Tries until it works. @returns `undefined` when stopped meanwhile */
  async #patiently<T>(attempt: () => T | Promise<T>): Promise<T | undefined> {
    const { log, name, onOutcome } = this.#options;
    for (let retryMs = RETRY_MS.first; !this.#isStopped();) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#isStopped()) break;
        onOutcome("failed");
        log.error({ err: error, receiver: name }, "the audit log was not shipped, is tried again");
      }
      await this.#pause(retryMs);
      retryMs = Math.min(2 * retryMs, RETRY_MS.longest);
    }
    return undefined;
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #pause(ms: number): Promise<void> {
    await wait(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined); // stopped
  }
}
