import type { Events, Seq } from "../audit/record.ts";
import { AuditUnavailable } from "../base/errors.ts";

const RETRY_MS = { first: 50, longest: 5000 };

export interface OutageStart {
  readonly cause: unknown;
  /** Microseconds since 1970. */
  readonly sinceUs: number;
  /** Whoever waits for one of these records is told that it is not there. */
  readonly refusedFrom: number;
  readonly refusedTo: number;
}

/** A time in which the log can't be written: tried again and again, at first soon, then ever more seldom. */
export class AuditOutage {
  readonly error: AuditUnavailable;
  readonly #start: OutageStart;
  #retryMs = RETRY_MS.first;
  #timer: NodeJS.Timeout | undefined;
  #lost = 0;

  constructor(start: OutageStart) {
    this.#start = start;
    this.error = new AuditUnavailable("the audit log can't be written", {
      cause: start.cause,
      hint: "Nothing runs that is not on record. See the proxy's own log; it goes on by itself once the log can be written.",
    });
  }

  /** There was no room for the end of a statement or session. */
  lose(): void {
    this.#lost += 1;
  }

  /** @param attempt - throws while the log still can't be written */
  retry(attempt: () => void, onFailed: () => unknown): void {
    this.#timer = setTimeout(() => {
      try {
        attempt();
      } catch {
        onFailed(); // the first failure's cause stands; this only says that it lasts
        this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.longest);
        this.retry(attempt, onFailed);
      }
    }, this.#retryMs).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** What is put on record once it is over. */
  summary(nowUs: number): Events["chain.resumed"] {
    const { cause, sinceUs, refusedFrom, refusedTo } = this.#start;
    return {
      cause: cause instanceof Error ? cause.message : String(cause),
      unavailable_ms: Math.round((nowUs - sinceUs) / 1000),
      ...(refusedFrom <= refusedTo && {
        refused_from: refusedFrom as Seq,
        refused_to: refusedTo as Seq,
      }),
      lost: this.#lost,
    };
  }
}
