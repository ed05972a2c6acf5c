/** What a session's wire offers to a statement that waits. */
export interface HoldLine {
  /** Idle, outside a transaction, all answered: waiting holds no lock and keeps no answer back. */
  readonly canHold: boolean;
  /** Sends a message of ours to the frontend. */
  tell: (message: Buffer) => void;
}

/** Why a wait ended before what it waited for. */
export type HoldEnd = "canceled" | "left" | "timed_out";

/** Lets one session's statement wait for a second person, until the time is up or somebody says stop. */
export class Holds {
  #line: HoldLine | undefined;
  #current: AbortController | undefined;
  #hasLeft = false;

  attach(line: HoldLine): void {
    this.#line = line;
  }

  get isPossible(): boolean {
    return this.#line?.canHold ?? false;
  }

  get isHolding(): boolean {
    return this.#current !== undefined;
  }

  /**
   * Tells the frontend, then waits.
   *
   * @param wait - ends soon after the signal, whatever it has by then
   * @returns what it waited for, and why the wait was cut short, if it was
   */
  async hold<T>(
    { notice, seconds }: { readonly notice: Buffer; readonly seconds: number },
    wait: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ readonly value: T; readonly end: HoldEnd | undefined }> {
    const controller = new AbortController();
    const abort = (end: HoldEnd): void => {
      controller.abort(end);
    };
    const timer = setTimeout(abort, seconds * 1000, "timed_out");
    this.#current = controller;
    if (this.#hasLeft) abort("left");
    this.#line?.tell(notice);
    try {
      const value = await wait(controller.signal);
      return { value, end: controller.signal.reason as HoldEnd | undefined };
    } finally {
      clearTimeout(timer);
      this.#current = undefined;
    }
  }

  /** Tells the frontend how it goes, while it waits. */
  tell(message: Buffer): void {
    if (this.#current !== undefined) this.#line?.tell(message);
  }

  /** A CancelRequest. @returns whether there was a statement that waited */
  cancel(): boolean {
    this.#current?.abort("canceled" satisfies HoldEnd);
    return this.#current !== undefined;
  }

  /** The frontend is gone. */
  leave(): void {
    this.#hasLeft = true;
    this.#current?.abort("left" satisfies HoldEnd);
  }
}
