/** A forwarded message that waits for its answer. `group` counts the pipelines: what stands between two `Sync`. */
export type Unanswered<S, X> =
  | { readonly type: "Parse"; readonly name: string; readonly statement: S; readonly group: number }
  | UnansweredBind<S, X>
  | {
      readonly type: "Close";
      readonly kind: NameKind;
      readonly name: string;
      readonly group: number;
    }
  | { readonly type: "Execute"; readonly execution: X; readonly group: number }
  | ReadyAnswered<X>
  | { readonly type: "Refused"; readonly name: string | undefined }
  | { readonly type: "Sync" };

export type NameKind = "statement" | "portal";

interface UnansweredBind<S, X> {
  readonly type: "Bind";
  readonly portal: string;
  readonly statement: S;
  /** The run that was permitted with it; told as over only where the portal never came to be. */
  readonly execution: X | undefined;
  readonly group: number;
}

/** Answered by a ReadyForQuery of its own, which tells that it is over; how it went was told before. */
export interface ReadyAnswered<X> {
  readonly type: "Query" | "FunctionCall";
  /** `undefined` for a query of ours that must fail. */
  readonly execution: X | undefined;
  tag: string | undefined;
  sqlstate: string | undefined;
}

/** What was forwarded and not answered yet, in order. */
export class UnansweredQueue<S, X> {
  readonly #entries: Unanswered<S, X>[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** What the backend is running now, or will run next of what was sent. */
  get currentExecution(): X | undefined {
    for (let i = this.#head; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (entry !== undefined && entry.type !== "Bind" && "execution" in entry)
        return entry.execution;
    }
    return undefined;
  }

  push(entry: Unanswered<S, X>): void {
    this.#entries.push(entry);
  }

  peek(): Unanswered<S, X> | undefined {
    return this.#entries[this.#head];
  }

  shift(): Unanswered<S, X> {
    const entry = this.#entries[this.#head] as Unanswered<S, X>;
    this.#head += 1;
    if (this.#head === this.#entries.length) {
      this.#entries.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /** @param index - from the next to be answered on; below `length` */
  at(index: number): Unanswered<S, X> {
    return this.#entries[this.#head + index] as Unanswered<S, X>;
  }
}
