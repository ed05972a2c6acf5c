import type { RowsOf } from "../alerts/event.ts";

/** By kind, how many statements reached so many rows: bucket n holds those of less than 2^n. */
export type UsualCounts = Readonly<Partial<Record<RowsOf, readonly number[]>>>;

const BUCKETS = 48;
const ENOUGH_STATEMENTS = 100;
const USUAL_SHARE = 0.99;

/** How many rows somebody's statements reach, so that what is far more stands out. */
export class UsualRows {
  readonly #counts: Record<RowsOf, Float64Array>;

  constructor(counts: UsualCounts) {
    this.#counts = {
      read: toBuckets(counts.read),
      change: toBuckets(counts.change),
      delete: toBuckets(counts.delete),
    };
  }

  add(of: RowsOf, rows: number): void {
    const counts = this.#counts[of];
    const bucket = bucketOf(rows);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }

  /** @returns what 99 in 100 of them stay below; `undefined` until there were enough */
  limit(of: RowsOf): number | undefined {
    const counts = this.#counts[of];
    let all = 0;
    for (const count of counts) all += count;
    if (all < ENOUGH_STATEMENTS) return undefined;
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      below += counts[bucket] ?? 0;
      if (below >= all * USUAL_SHARE) return 2 ** bucket;
    }
    return 2 ** BUCKETS;
  }

  clear(): void {
    for (const counts of Object.values(this.#counts)) counts.fill(0);
  }

  toText(): UsualCounts {
    const { read, change, delete: deleted } = this.#counts;
    return { read: [...read], change: [...change], delete: [...deleted] };
  }
}

function toBuckets(counts: readonly number[] = []): Float64Array {
  const buckets = new Float64Array(BUCKETS);
  buckets.set(counts.slice(0, BUCKETS));
  return buckets;
}

function bucketOf(rows: number): number {
  return Math.min(BUCKETS - 1, rows < 1 ? 0 : Math.floor(Math.log2(rows)) + 1);
}
