import { parseSqlstate, TwokeyError } from "../base/errors.ts";
import type { TransactionStatus } from "../wire/message-types.ts";

export interface IdleInTransactionOptions {
  /** `undefined`: it may idle for ever. */
  readonly limitMs: number | undefined;
  /** Neither is a statement under way, nor does one wait for something. */
  readonly isWaitingForFrontend: () => boolean;
  readonly end: (error: TwokeyError) => void;
}

/**
 * Ends a session that idles in a transaction for too long: its locks stay, and vacuum can't clean up. Counts from the
 * ReadyForQuery, as the server's `idle_in_transaction_session_timeout` does. One timer at most, armed only where a
 * transaction is open, so that statements cost a look at the clock and no more.
 */
export class IdleInTransaction {
  readonly #options: IdleInTransactionOptions;
  #readyAtMs = 0;
  #isOpen = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: IdleInTransactionOptions) {
    this.#options = options;
  }

  ready(status: TransactionStatus): void {
    const { limitMs } = this.#options;
    this.#isOpen = status !== "I";
    if (limitMs === undefined || !this.#isOpen) return;
    this.#readyAtMs = performance.now();
    if (this.#timer === undefined) this.#lookAfter(limitMs, limitMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#isOpen = false;
  }

  #lookAfter(waitMs: number, limitMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look(limitMs);
    }, waitMs);
    this.#timer.unref();
  }

  #look(limitMs: number): void {
    // Otherwise the next ReadyForQuery begins anew.
    if (!this.#isOpen || !this.#options.isWaitingForFrontend()) return;
    const leftMs = this.#readyAtMs + limitMs - performance.now();
    if (leftMs > 0) this.#lookAfter(Math.ceil(leftMs), limitMs);
    else this.#options.end(TOO_LONG);
  }
}

const TOO_LONG = new TwokeyError(
  parseSqlstate("25P03"),
  "terminating connection due to idle-in-transaction timeout",
  {
    hint: "limits.idle_in_transaction of twokey says how long a session may idle in a transaction",
  },
);
