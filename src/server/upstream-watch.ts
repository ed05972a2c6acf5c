import type { Notice } from "../alerts/event.ts";

/** One failure may be one lost packet, and wakes nobody. */
const FAILURES_TO_BE_DOWN = 2;

/** Makes news of attempts to reach the upstreams: down, and up again. */
export class UpstreamWatch {
  readonly #notice: (notice: Notice) => void;
  readonly #failures = new Map<string, number>();

  constructor(notice: (notice: Notice) => void) {
    this.#notice = notice;
  }

  reached(upstream: string): void {
    const failures = this.#failures.get(upstream) ?? 0;
    this.#failures.delete(upstream);
    if (failures >= FAILURES_TO_BE_DOWN) this.#notice({ kind: "upstream.up", upstream });
  }

  failed(upstream: string, { message: cause }: Error): void {
    const failures = (this.#failures.get(upstream) ?? 0) + 1;
    this.#failures.set(upstream, failures);
    if (failures === FAILURES_TO_BE_DOWN) this.#notice({ kind: "upstream.down", upstream, cause });
  }
}
