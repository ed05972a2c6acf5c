import { isSignedBy, type Checkpoint } from "./checkpoint.ts";
import type { VerifyOptions } from "./verify-options.ts";

/** A chain's first checkpoint follows `chain.opened`, unless its writer was killed in between. */
const FIRST_CHECKPOINT_BY = 8;

/** The checkpoints of a chain as they come by: how far it is signed, which one is due, and which anchors were not met. */
export class CheckpointsSeen {
  readonly #publicKeys: VerifyOptions["publicKeys"];
  readonly #anchors: Map<number, VerifyOptions["anchors"][number]>;
  count = 0;
  /** `seq` of the first and of the last that was met. */
  firstSeq = Infinity;
  lastSeq: number;
  signedUpTo = 0;
  /** The next is no later than this. */
  due: number;

  constructor(chain: string, { publicKeys, anchors, from }: VerifyOptions) {
    this.#publicKeys = publicKeys;
    const after = from?.seq ?? 0;
    this.#anchors = new Map(
      anchors
        .filter((anchor) => anchor.chain === chain && anchor.seq > after)
        .map((anchor) => [anchor.seq, anchor]),
    );
    this.lastSeq = after;
    // What a checkpoint promised that is not read, nobody knows here.
    this.due = from === undefined ? FIRST_CHECKPOINT_BY : Infinity;
  }

  /** @returns what is wrong with it, if anything */
  take(checkpoint: Checkpoint): string | undefined {
    const { seq, nextWithin } = checkpoint;
    this.count += 1;
    this.firstSeq = Math.min(this.firstSeq, seq);
    this.lastSeq = seq;
    this.due = seq + nextWithin;
    if (this.#anchors.get(seq)?.hash === checkpoint.hash) this.#anchors.delete(seq);
    if (this.#publicKeys.some((key) => isSignedBy(checkpoint, key))) this.signedUpTo = seq;
    else if (this.#publicKeys.length > 0) {
      return `not signed by the key: records from ${this.signedUpTo + 1} on may be rewritten`;
    }
    return undefined;
  }

  /** `seq` of anchors of which no checkpoint came by. */
  missingAnchors(): number[] {
    return [...this.#anchors.keys()];
  }
}
