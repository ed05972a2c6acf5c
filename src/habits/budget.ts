/** Into so many pieces the window is cut: a row counts for the window, or up to a piece longer. */
const SLOTS = 60;

/** Rows of the last while, added up. */
export class Budget {
  readonly #slotMs: number;
  readonly #rows = new Float64Array(SLOTS + 1);
  /** Number of the slot that is being filled, since 1970. */
  #slot = 0;
  #sum = 0;
  /** Whether it was said that they are too many. */
  isTold = false;

  constructor(windowMs: number) {
    this.#slotMs = windowMs / SLOTS;
  }

  /** @returns the rows of the window, these included */
  add(rows: number, nowMs: number): number {
    this.#moveTo(Math.floor(nowMs / this.#slotMs));
    const index = this.#slot % this.#rows.length;
    this.#rows[index] = (this.#rows[index] ?? 0) + rows;
    this.#sum += rows;
    return this.#sum;
  }

  sum(nowMs: number): number {
    this.#moveTo(Math.floor(nowMs / this.#slotMs));
    return this.#sum;
  }

  clear(): void {
    this.#rows.fill(0);
    this.#sum = 0;
    this.isTold = false;
  }

  // A clock that is set back goes on filling the slot that it was in.
  #moveTo(slot: number): void {
    if (slot <= this.#slot) return;
    const steps = Math.min(slot - this.#slot, this.#rows.length);
    for (let step = 1; step <= steps; step++) {
      const index = (slot - steps + step) % this.#rows.length;
      this.#sum -= this.#rows[index] ?? 0;
      this.#rows[index] = 0;
    }
    this.#slot = slot;
  }
}
