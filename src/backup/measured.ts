import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Sha256 } from "../base/digest.ts";

/** What has passed; final once the iterable has ended. */
export interface Measure {
  bytes: number;
  /** Of all that passed. @throws Error when asked twice */
  readonly digest: () => Sha256;
}

export interface MeasuredOptions {
  /** At most so many, on average; a chunk is never cut. */
  readonly bytesPerSecond?: number | undefined;
  readonly onBytes?: ((total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The same bytes, counted, hashed, and slowed down to a bandwidth. */
export function measured(
  content: AsyncIterable<Uint8Array>,
  { bytesPerSecond, onBytes, signal }: MeasuredOptions = {},
): { readonly content: AsyncIterable<Uint8Array>; readonly measure: Measure } {
  const hash = createHash("sha256");
  const measure = { bytes: 0, digest: () => hash.digest("hex") as Sha256 };
  async function* pass(): AsyncGenerator<Uint8Array> {
    const startedAt = performance.now();
    for await (const chunk of content) {
      hash.update(chunk);
      measure.bytes += chunk.length;
      onBytes?.(measure.bytes);
      yield chunk;
      if (bytesPerSecond === undefined) continue;
      const aheadMs = (measure.bytes / bytesPerSecond) * 1000 - (performance.now() - startedAt);
      if (aheadMs > 1) await sleep(aheadMs, undefined, signal && { signal });
    }
  }
  return { content: pass(), measure };
}
