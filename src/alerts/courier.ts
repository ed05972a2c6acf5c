import { setTimeout } from "node:timers/promises";
import type { Log } from "../telemetry/log.ts";
import type { Delivery, Send } from "./delivery.ts";
import type { Entry, Outbox } from "./outbox.ts";

export type Outcome = "sent" | "failed" | "dropped";

export interface CourierOptions {
  readonly sink: string;
  readonly send: Send;
  readonly outbox: Pick<Outbox, "put" | "remove">;
  readonly giveUpMs: number;
  readonly onOutcome: (entry: Entry, outcome: Outcome) => void;
  readonly log: Log;
  readonly now: () => Date;
  /** From 0 to 1. */
  readonly random: () => number;
  /** For tests, which have less time. */
  readonly backoff?: { readonly firstMs: number; readonly attemptMs: number };
}

const BACKOFF = { firstMs: 1000, attemptMs: 10_000 };
const LONGEST_BACKOFF_MS = 300_000;
/** Whatever a sink asks for: an alert of an hour ago is still worth a try. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;
const MAX_WAITING = 1000;
const GRAVITY = { info: 0, warning: 1, critical: 2 };

/** Takes alerts to one sink, one after another, and tries until each is taken or too old. */
export class Courier {
  readonly #options: CourierOptions;
  readonly #waiting: Entry[] = [];
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** @param isStored - it was in the outbox before */
  add(entry: Entry, { isStored }: { readonly isStored: boolean }): void {
    if (!this.#makeRoom(entry)) {
      this.#end(entry, "dropped");
      return;
    }
    if (!isStored) this.#options.outbox.put(entry);
    this.#waiting.push(entry);
    if (this.#isClosing()) return;
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** Lets what waits be delivered for so long; the rest stays in the outbox. */
  async close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    const done = new AbortController();
    await Promise.race([
      this.#running,
      setTimeout(graceMs, undefined, { signal: done.signal }).catch(() => undefined),
    ]);
    done.abort();
    this.#closing.abort();
    await this.#running;
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  async #run(): Promise<void> {
    let failures = 0;
    for (;;) {
      const [entry] = this.#waiting;
      if (entry === undefined || this.#isClosing()) return;
      const delivery = await this.#attempt(entry);
      if (this.#isClosing() && delivery.kind === "failed") return;
      if (delivery.kind === "delivered") {
        failures = 0;
        this.#finish(entry, "sent");
        continue;
      }
      this.#report(entry, delivery);
      if (delivery.isFinal || this.#isTooOld(entry)) {
        this.#finish(entry, "failed");
        continue;
      }
      await this.#pause(delivery, failures++);
    }
  }

  async #attempt({ alert }: Entry): Promise<Delivery> {
    const { send, backoff = BACKOFF } = this.#options;
    const deadline = AbortSignal.timeout(backoff.attemptMs);
    try {
      return await send(alert, AbortSignal.any([this.#closing.signal, deadline]));
    } catch (error) {
      const why = deadline.aborted ? "no answer in time" : reasonOf(error);
      return { kind: "failed", why, isFinal: false };
    }
  }

  /** Longer each time, and never all at once: half of it is by chance. */
  async #pause(
    { retryAfterMs = 0 }: Extract<Delivery, { kind: "failed" }>,
    failures: number,
  ): Promise<void> {
    const { random, backoff = BACKOFF } = this.#options;
    const longest = Math.min(backoff.firstMs * 2 ** Math.min(failures, 20), LONGEST_BACKOFF_MS);
    const backoffMs = (longest / 2) * (1 + random());
    const asked = Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS);
    const { signal } = this.#closing;
    // Only close() aborts it, and the loop sees that by itself.
    await setTimeout(Math.max(asked, backoffMs), undefined, { signal }).catch(() => undefined);
  }

  /** Of too many, the oldest of the least grave is given up. The first is on its way and stays. */
  #makeRoom({ alert }: Entry): boolean {
    if (this.#waiting.length < MAX_WAITING) return true;
    for (const severity of ["info", "warning", "critical"] as const) {
      if (GRAVITY[severity] > GRAVITY[alert.severity]) return false;
      const index = this.#waiting.findIndex(
        (entry, at) => at > 0 && entry.alert.severity === severity,
      );
      const [victim] = index === -1 ? [] : this.#waiting.splice(index, 1);
      if (victim === undefined) continue;
      this.#end(victim, "dropped");
      return true;
    }
    return false;
  }

  #isTooOld({ queuedAt }: Entry): boolean {
    const { now, giveUpMs } = this.#options;
    return now().getTime() - Date.parse(queuedAt) >= giveUpMs;
  }

  #finish(entry: Entry, outcome: "sent" | "failed"): void {
    this.#waiting.shift();
    this.#end(entry, outcome);
  }

  #end(entry: Entry, outcome: Outcome): void {
    const { outbox, onOutcome, log, sink } = this.#options;
    outbox.remove(entry);
    if (outcome !== "sent") {
      log.error({ sink, alert: entry.alert.id, outcome }, "an alert was given up");
    }
    onOutcome(entry, outcome);
  }

  #report({ alert }: Entry, { why }: Extract<Delivery, { kind: "failed" }>): void {
    const { log, sink } = this.#options;
    log.warn({ sink, alert: alert.id, why }, "an alert could not be delivered");
  }
}

/** `fetch` says "fetch failed", and in its cause what happened. */
export function reasonOf(error: unknown): string {
  const { cause } = error instanceof Error ? error : { cause: undefined };
  const told = cause instanceof Error && cause.message !== "" ? cause : error;
  return told instanceof Error ? told.message : String(told);
}
