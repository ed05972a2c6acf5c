import { hash } from "node:crypto";
import { parseSha256, type Sha256 } from "../base/digest.ts";
import { RecordHead } from "./head.ts";
import {
  EVENTS,
  type ChainId,
  type EventName,
  type Fragment,
  type Members,
  type Seq,
} from "./record.ts";

/** Where a chain has got to: its last record, or `seq` 0 and {@link NO_RECORD} before the first. */
export interface ChainHead {
  readonly chain: ChainId;
  readonly seq: number;
  readonly hash: Sha256;
}

/** `prev` of a chain's first record. */
export const NO_RECORD = parseSha256("0".repeat(64));

/** Bytes of a line after what its hash covers: `,"hash":"` 64 digits `"}`. */
export const SEAL_BYTES = 75;

/** Bytes that a record has besides its fragments, at most; a signature and the line feed included. */
export const FRAME_BYTES = 448;

const SEAL_START = Buffer.from(`,"hash":"`);
const SEAL_END = Buffer.from(`"}\n`);

const EVENT_NAME = Object.fromEntries(
  EVENTS.map((event) => [event, Buffer.from(`"${event}"`)]),
) as Record<EventName, Buffer>;

/**
 * Encodes records into the caller's buffer, each chained to the one before: a record costs a few copies and one hash.
 */
export class ChainWriter {
  readonly chain: ChainId;
  #seq: number;
  #hash: Sha256;
  readonly #head: RecordHead;

  constructor(head: ChainHead) {
    this.chain = head.chain;
    this.#seq = head.seq;
    this.#hash = head.hash;
    this.#head = new RecordHead(head.chain);
  }

  get head(): ChainHead {
    return { chain: this.chain, seq: this.#seq, hash: this.#hash };
  }

  /** `seq` of the record encoded last. */
  get seq(): Seq {
    return this.#seq as Seq;
  }

  /**
   * Writes the next record at `offset`, which must have room for {@link FRAME_BYTES} and the fragments.
   *
   * @param nowUs - the time, in microseconds since 1970
   * @returns the offset after its line feed
   */
  encode(
    into: Buffer,
    offset: number,
    nowUs: number,
    event: EventName,
    members: readonly Members[],
  ): number {
    const end = this.#begin(into, offset, nowUs, event, members);
    return this.#seal(into, offset, end);
  }

  /** As {@link encode}; before its hash, the record gets as `signature` what `sign` makes of its bytes so far. */
  encodeSigned(
    into: Buffer,
    offset: number,
    nowUs: number,
    event: EventName,
    fragment: Fragment,
    sign: (bytes: Uint8Array) => string,
  ): number {
    const end = this.#begin(into, offset, nowUs, event, [fragment]);
    const signature = `,"signature":"${sign(into.subarray(offset, end))}"`;
    return this.#seal(into, offset, end + into.write(signature, end, "latin1"));
  }

  #begin(
    into: Buffer,
    offset: number,
    nowUs: number,
    event: EventName,
    members: readonly Members[],
  ): number {
    const head = this.#head;
    head.setSeq(this.#seq + 1);
    head.setTime(nowUs);
    head.setPrev(this.#hash);
    into.set(head.bytes, offset);
    let end = offset + head.bytes.length;
    const name = EVENT_NAME[event];
    into.set(name, end);
    end += name.length;
    for (const each of members) {
      if (typeof each === "string") into.write(each, end, "latin1");
      else into.set(each, end);
      end += each.length;
    }
    return end;
  }

  #seal(into: Buffer, offset: number, end: number): number {
    const digest = hash("sha256", into.subarray(offset, end)) as Sha256;
    into.set(SEAL_START, end);
    into.write(digest, end + SEAL_START.length, "latin1");
    const sealEnd = end + SEAL_START.length + digest.length;
    into.set(SEAL_END, sealEnd);
    this.#hash = digest;
    this.#seq += 1;
    return sealEnd + SEAL_END.length;
  }
}
