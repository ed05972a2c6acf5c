import type { KeyObject } from "node:crypto";
import type { AuditUnavailable } from "../base/errors.ts";

export interface AuditFileOptions {
  readonly directory: string;
  /** Ed25519, private: signs the checkpoints. */
  readonly signingKey: KeyObject;
  /** `strict`: what is called written is on disk, and reads wait too. */
  readonly durability: "normal" | "strict";
  /** A second file, elsewhere, that gets every checkpoint: shows that the tail was cut off. */
  readonly anchorFile?: string | undefined;
  readonly limits?: Partial<AuditLimits> | undefined;
  /** Microseconds since 1970. */
  readonly now?: (() => number) | undefined;
  /** Called with the failure when the log can't be written any more, and with `undefined` when it can again. */
  readonly onAvailability?: ((failure: AuditUnavailable | undefined) => void) | undefined;
  /** What went wrong without stopping anything: a rotation, the anchor. Tried again by itself. */
  readonly onTrouble?: ((error: unknown) => void) | undefined;
}

interface AuditLimits {
  readonly checkpointEveryRecords: number;
  readonly checkpointEverySeconds: number;
  readonly maxFileBytes: number;
  readonly maxFileAgeSeconds: number;
  /** A statement's text above this is kept in a file of its own. */
  readonly spillAboveBytes: number;
}

export const DEFAULT_LIMITS: AuditLimits = {
  checkpointEveryRecords: 4096,
  checkpointEverySeconds: 10,
  maxFileBytes: 256 << 20,
  maxFileAgeSeconds: 86_400,
  spillAboveBytes: 64 << 10,
};

export interface AuditStats {
  readonly records: number;
  readonly writeFailures: number;
  /** Records that a power cut could still take. */
  readonly unsynced: number;
}

/**
 * The wall clock with microseconds: a monotonic clock, set by the wall clock's milliseconds and set again whenever the
 * two have come apart.
 */
export function microsecondClock(): () => number {
  let offsetMs = performance.timeOrigin;
  return () => {
    const monotonicMs = performance.now();
    const wallMs = Date.now();
    if (Math.abs(offsetMs + monotonicMs - wallMs) > 2) offsetMs = wallMs - monotonicMs;
    return Math.floor((offsetMs + monotonicMs) * 1000);
  };
}
