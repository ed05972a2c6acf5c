import type { KeyObject } from "node:crypto";
import { ChainWriter, FRAME_BYTES, type ChainHead } from "../audit/chain.ts";
import { keyFingerprint, RESTART_RECORDS, signCheckpoint } from "../audit/checkpoint.ts";
import {
  encodeFragment,
  MAX_RECORD_BYTES,
  type EventName,
  type Fragment,
  type Members,
  type Seq,
} from "../audit/record.ts";
import { LimitReached, SQLSTATE } from "../base/errors.ts";
import { PendingRecords } from "./audit-file-pending.ts";

/** Room that a checkpoint always finds, whatever was put before it. */
const RESERVED_BYTES = 1024;
/** So many are encoded together; more would be felt by the statements of the same turn. */
const PENDING_RECORDS = 64;
const BUFFER_BYTES = 2 * MAX_RECORD_BYTES + RESERVED_BYTES;

export interface AuditBufferOptions {
  readonly head: ChainHead;
  readonly signingKey: KeyObject;
  readonly checkpointEveryRecords: number;
  /** Microseconds since 1970. */
  readonly now: () => number;
  /** Given each checkpoint's line; a view. */
  readonly onCheckpoint: (line: Uint8Array) => void;
}

/** Records that are in the chain and not yet with the operating system, with the checkpoints that are due among them. */
export class AuditBuffer {
  readonly #options: AuditBufferOptions;
  readonly #writer: ChainWriter;
  readonly #keyFragment: Fragment;
  readonly #pending = new PendingRecords();
  readonly #bytes = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #end = 0;
  #records = 0;
  #checkpoint: ChainHead;
  #checkpointUs = 0;

  constructor(options: AuditBufferOptions) {
    this.#options = options;
    this.#writer = new ChainWriter(options.head);
    this.#checkpoint = options.head;
    this.#keyFragment = encodeFragment({
      key: keyFingerprint(options.signingKey),
      next_within: options.checkpointEveryRecords + RESTART_RECORDS,
    });
  }

  /** Of what is encoded: see {@link encoded}. */
  get head(): ChainHead {
    return this.#writer.head;
  }

  /** Of the record that was put last. */
  get seq(): Seq {
    return (this.#writer.seq + this.#pending.count) as Seq;
  }

  /** Records put since this was made. */
  get records(): number {
    return this.#records;
  }

  get isEmpty(): boolean {
    return this.#end === 0 && this.#pending.count === 0;
  }

  /** Records were put after the last checkpoint. */
  get isUnsigned(): boolean {
    return this.#checkpoint.seq < this.seq;
  }

  /** The last that was put. */
  get checkpoint(): ChainHead {
    return this.#checkpoint;
  }

  get checkpointUs(): number {
    return this.#checkpointUs;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#end + this.#pending.bytes + bytes + RESERVED_BYTES <= this.#bytes.length;
  }

  /** @param bytes - what it takes when encoded, at most; there must be room for them */
  put(event: EventName, members: readonly Members[], bytes: number): Seq {
    const { checkpointEveryRecords, now } = this.#options;
    this.#pending.add(event, now(), members, bytes);
    const { seq } = this;
    this.#records += 1;
    // INVARIANT: a checkpoint's distance from the last is what that one promised in `next_within`, at most.
    if (seq - this.#checkpoint.seq >= checkpointEveryRecords - 1) this.putCheckpoint();
    else if (this.#pending.count >= PENDING_RECORDS) this.#encode();
    return seq;
  }

  putCheckpoint(): void {
    this.#encode();
    const start = this.#end;
    this.#checkpointUs = this.#options.now();
    this.#end = this.#writer.encodeSigned(
      this.#bytes,
      start,
      this.#checkpointUs,
      "chain.checkpoint",
      this.#keyFragment,
      (bytes) => signCheckpoint(bytes, this.#options.signingKey),
    );
    this.#checkpoint = this.#writer.head;
    this.#records += 1;
    this.#options.onCheckpoint(this.#bytes.subarray(start, this.#end));
  }

  /** Everything that has to be written; a view until the next record is put. */
  encoded(): Buffer {
    this.#encode();
    return this.#bytes.subarray(0, this.#end);
  }

  /** All of it is written. */
  clear(): void {
    this.#end = 0;
  }

  #encode(): void {
    this.#end = this.#pending.encode(this.#writer, this.#bytes, this.#end);
  }
}

export function bytesNeeded(members: readonly Members[]): number {
  let bytes = FRAME_BYTES;
  for (const each of members) bytes += each.length;
  return bytes;
}

/** @throws LimitReached (54000) for a record above 4 MiB */
export function checkFits(members: readonly Members[]): number {
  const needed = bytesNeeded(members);
  if (needed <= MAX_RECORD_BYTES) return needed;
  throw new LimitReached(SQLSTATE.programLimitExceeded, "too long for an audit record", {
    detail: `The record would have ${needed} bytes, the limit is ${MAX_RECORD_BYTES}.`,
  });
}
