/** A stranger chooses the names that are counted; the oldest are forgotten. */
const MAX_COUNTED = 10_000;

/** Tells when something has happened so often within a time, for each of many. */
export class Counts {
  /** The latest instants of each, oldest first: no more than `times` of them. */
  readonly #instants = new Map<string, number[]>();

  /** @returns whether this one makes it `times` within `withinMs`; the next count begins anew */
  add(
    key: string,
    {
      at,
      times,
      withinMs,
    }: { readonly at: number; readonly times: number; readonly withinMs: number },
  ): boolean {
    if (times === 1) return true;
    const instants = (this.#instants.get(key) ?? []).filter((before) => at - before < withinMs);
    instants.push(at);
    this.#instants.delete(key);
    if (instants.length >= times) return true;
    this.#instants.set(key, instants);
    if (this.#instants.size > MAX_COUNTED) this.#forgetOldest();
    return false;
  }

  #forgetOldest(): void {
    for (const key of this.#instants.keys()) {
      this.#instants.delete(key);
      return;
    }
  }
}
