import { randomBytes } from "node:crypto";
import { equalConstantTime } from "../base/digest.ts";

/** What a CancelRequest must carry to reach one session, and nobody else's (PostgreSQL docs, "Canceling Requests in Progress"). */
export interface CancelKey {
  readonly processId: number;
  readonly secret: Buffer;
}

const SECRET_BYTES_3_0 = 4;
const SECRET_BYTES_3_2 = 32;

/**
 * Cancel keys of our own, void once their session ends. The process id is the backend's, so that what
 * `pg_backend_pid()` says agrees with it; two upstreams may have the same, the secrets differ.
 */
export class CancelKeys {
  readonly #cancels = new Map<number, { readonly secret: Buffer; readonly cancel: () => void }[]>();

  readonly #wrong = new WrongKeys();

  issue(processId: number, minorVersion: number, cancel: () => void): CancelKey {
    const secret = randomBytes(minorVersion >= 2 ? SECRET_BYTES_3_2 : SECRET_BYTES_3_0);
    const sameProcess = this.#cancels.get(processId) ?? [];
    sameProcess.push({ secret, cancel });
    this.#cancels.set(processId, sameProcess);
    return { processId, secret };
  }

  revoke({ processId, secret }: CancelKey): void {
    const left = (this.#cancels.get(processId) ?? []).filter((entry) => entry.secret !== secret);
    if (left.length === 0) this.#cancels.delete(processId);
    else this.#cancels.set(processId, left);
  }

  /**
   * @param from - who asks: an address that has guessed wrong too often of late is not listened to
   * @returns whether the key was a session's, which is now being canceled
   */
  cancel({ processId, secret }: CancelKey, from: { address: string; nowMs: number }): boolean {
    if (this.#wrong.isTooMany(from)) return false;
    const entry = this.#cancels
      .get(processId)
      ?.find((candidate) => equalConstantTime(candidate.secret, secret));
    if (entry === undefined) this.#wrong.add(from);
    entry?.cancel();
    return entry !== undefined;
  }
}

const WRONG_KEYS = 100;
const WINDOW_MS = 60_000;

/** How many wrong keys came from each address in this minute: at most so many of the four billion that a key may be. */
class WrongKeys {
  readonly #counts = new Map<string, number>();
  #beganAtMs = -Infinity;

  isTooMany({ address, nowMs }: { readonly address: string; readonly nowMs: number }): boolean {
    if (nowMs - this.#beganAtMs >= WINDOW_MS) {
      this.#counts.clear();
      this.#beganAtMs = nowMs;
    }
    return (this.#counts.get(address) ?? 0) >= WRONG_KEYS;
  }

  add({ address }: { readonly address: string }): void {
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1);
  }
}
