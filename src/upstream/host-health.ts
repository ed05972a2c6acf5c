import type { UpstreamAddress } from "./dial.ts";

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 30_000;

interface Failure {
  readonly backoffMs: number;
  readonly untilMs: number;
}

/**
 * Which of several hosts did not do of late: for a while, longer with each failure, they are tried behind the others, so
 * that a session does not wait for a host that is down while another is up. They are never left out: all may be down.
 */
export class HostHealth {
  readonly #failures = new Map<string, Failure>();

  /** @param nowMs - of a clock that is not set back */
  order(hosts: readonly UpstreamAddress[], nowMs: number): readonly UpstreamAddress[] {
    if (this.#failures.size === 0) return hosts;
    const isResting = (host: UpstreamAddress): boolean =>
      (this.#failures.get(nameOf(host))?.untilMs ?? -Infinity) > nowMs;
    return [...hosts.filter((host) => !isResting(host)), ...hosts.filter(isResting)];
  }

  reached(host: UpstreamAddress): void {
    this.#failures.delete(nameOf(host));
  }

  failed(host: UpstreamAddress, nowMs: number): void {
    const before = this.#failures.get(nameOf(host));
    // Who was in the middle of trying it while it failed for another says nothing new.
    if (before !== undefined && before.untilMs > nowMs) return;
    const backoffMs =
      before === undefined ? FIRST_BACKOFF_MS : Math.min(before.backoffMs * 2, LONGEST_BACKOFF_MS);
    this.#failures.set(nameOf(host), { backoffMs, untilMs: nowMs + backoffMs });
  }
}

export function nameOf(address: UpstreamAddress): string {
  return address.kind === "tcp" ? `${address.host}:${address.port}` : address.path;
}
