import { Histogram } from "prom-client";

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * A histogram without labels whose `record` costs a few comparisons and two additions: prom-client's own `observe`
 * takes most of a microsecond, longer than deciding about a statement that was seen before.
 */
export class FastHistogram extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: Float64Array;
  /** By bucket, not cumulative. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param options.bounds - upper bounds, ascending and inclusive, as Prometheus has them; without +Inf */
  constructor(options: { name: string; help: string; bounds: readonly number[] }) {
    super({ name: options.name, help: options.help, registers: [] });
    this.#name = options.name;
    this.#help = options.help;
    this.#bounds = Float64Array.of(...options.bounds, Infinity);
    this.#counts = new Float64Array(this.#bounds.length);
  }

  record(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (value > (bounds[bucket] ?? Infinity)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  /** What prom-client asks a histogram for, both to print and to export it; its own buckets stay empty. */
  getForPromString(): Promise<object> {
    const values: Sample[] = [];
    let count = 0;
    this.#counts.forEach((inBucket, index) => {
      count += inBucket;
      const le = String(this.#bounds[index]).replace("Infinity", "+Inf");
      values.push({ metricName: `${this.#name}_bucket`, labels: { le }, value: count });
    });
    values.push({ metricName: `${this.#name}_sum`, labels: {}, value: this.#sum });
    values.push({ metricName: `${this.#name}_count`, labels: {}, value: count });
    return Promise.resolve({
      name: this.#name,
      help: this.#help,
      type: "histogram",
      aggregator: "sum",
      values,
    });
  }
}
