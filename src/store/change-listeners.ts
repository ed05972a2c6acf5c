import type { ChangeNotice } from "../approvals/request-store.ts";

/** Who wants to hear of changed requests. */
export class ChangeListeners {
  readonly #listeners = new Set<(change: ChangeNotice) => void>();

  /** @returns what takes the listener off again */
  add(listener: (change: ChangeNotice) => void): () => void {
    // A wrapper of its own each, so that adding one function twice is two subscriptions.
    const entry = (change: ChangeNotice): void => {
      listener(change);
    };
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  notify(change: ChangeNotice): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  isEmpty(): boolean {
    return this.#listeners.size === 0;
  }
}
