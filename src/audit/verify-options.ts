import type { KeyObject } from "node:crypto";
import type { ChainHead } from "./chain.ts";

export interface VerifyOptions {
  /** Whoever may have signed. Without a key it does not show when everything after an edit was recomputed. */
  readonly publicKeys: readonly KeyObject[];
  /** Checkpoints kept elsewhere. */
  readonly anchors: readonly Anchor[];
  /** The record before the first that is fed, where that is not the chain's first. */
  readonly from?: VerifyStart | undefined;
}

/** What is known of a checkpoint. */
type Anchor = Readonly<ChainHead>;

/**
 * Where verifying begins: after a record that is known (a checkpoint, or the end of the file before), or after those that
 * were removed when their time was over, which a record in the chain has to vouch for.
 */
export interface VerifyStart {
  readonly kind: "known" | "pruned";
  readonly seq: number;
  readonly hash: string;
}

/** Where verifying has got to; what comes next can be verified from there. */
export interface VerifyEnd {
  readonly seq: number;
  readonly hash: string | undefined;
  /** `seq` of the first checkpoint that was met; Infinity where there was none. */
  readonly firstCheckpoint: number;
  readonly checkpointDue: number;
  /** What is on record of files that were removed. */
  readonly removals: readonly Removal[];
}

export interface Removal {
  readonly to: number;
  readonly lastHash: string;
}

/** Files are removed oldest first, after it was recorded: some of them may still be there. */
export function isVouchedFor({ seq, hash }: VerifyStart, removals: readonly Removal[]): boolean {
  return removals.some(({ to, lastHash }) => seq < to || (seq === to && hash === lastHash));
}
