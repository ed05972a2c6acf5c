import { parseSha256 } from "../base/digest.ts";
import { NO_RECORD } from "./chain.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import type { Attachment, ChainReport, Finding, FindingKind } from "./finding.ts";
import { RecordHead } from "./head.ts";
import {
  asText,
  MAX_RECORD_BYTES,
  parseRecord,
  parseSeq,
  type ChainId,
  type LoggedRecord,
} from "./record.ts";
import { sealedHash, startsAt } from "./seal.ts";
import { CheckpointsSeen } from "./verify-checkpoints.ts";
import {
  isVouchedFor,
  type Removal,
  type VerifyEnd,
  type VerifyOptions,
  type VerifyStart,
} from "./verify-options.ts";

/** A log in shreds is told from a good one by its first findings. */
const MAX_FINDINGS = 100;
const MAX_REMEMBERED = 1000;
const LINE_FEED = 0x0a;
/** No other event begins so. */
const CHAIN_EVENT = Buffer.from(`"ch`);
const SPILLED_MEMBER = Buffer.from(`,"sql_spilled":true`);
const NOTHING = Buffer.alloc(0);

/**
 * Checks one chain as its bytes come by, file after file, cut anywhere.
 *
 * A record as it should be takes a short way: one hash, and its first bytes are what they must be. Anything else, and the
 * first good record after it, takes the long way, which tells what was done.
 */
export class ChainVerifier {
  readonly #chain: ChainId;
  readonly #head: RecordHead;
  readonly #checkpoints: CheckpointsSeen;
  readonly #findings: Finding[] = [];
  readonly #attachments: Attachment[] = [];
  #place: Place = { file: "", line: 0 };
  #firstFile = "";
  #carry: Buffer = NOTHING;
  #records = 0;
  #expected = 1;
  /** `hash` of the record before; `undefined` when that record can't be relied on. */
  #prev: string | undefined = NO_RECORD;
  /** `hash` of a second record with the number of the last: the next one tells which of the two was there first. */
  #rival: string | undefined;
  /** Lines that are no whole records. The next good record tells whether they stand in the place of others. */
  #bad: Place[] = [];
  /** A record whose number is too high: the next one tells whether some are missing, or this one is out of place. */
  #ahead: PlacedRecord | undefined;
  /** A record whose `prev` is not the hash before it: the next one tells which of the two is false. */
  #unlinked: PlacedRecord | undefined;
  #missing: (Place & { from: number; to: number })[] = [];
  readonly #outOfPlace = new Map<number, PlacedRecord>();
  #closedSeq = 0;
  readonly #from: VerifyStart | undefined;
  readonly #removals: Removal[] = [];

  constructor(chain: ChainId, options: VerifyOptions) {
    const { from } = options;
    this.#chain = chain;
    this.#head = new RecordHead(chain);
    this.#checkpoints = new CheckpointsSeen(chain, options);
    this.#from = from;
    if (from !== undefined) {
      this.#expected = from.seq + 1;
      this.#prev = from.hash;
    }
  }

  get end(): VerifyEnd {
    return {
      seq: this.#expected - 1,
      hash: this.#prev,
      firstCheckpoint: this.#checkpoints.firstSeq,
      checkpointDue: this.#checkpoints.due,
      removals: this.#removals,
    };
  }

  /** The chain's next file begins, perhaps not with its first line; `name` is what findings call it. */
  startFile(name: string, linesBefore = 0): void {
    // Only the last file of a chain can end within a record.
    if (this.#carry.length > 0) this.#takeLine(this.#carry, 0, this.#carry.length, false);
    this.#carry = NOTHING;
    this.#place = { file: name, line: linesBefore };
    if (this.#firstFile === "") this.#firstFile = name;
  }

  /** @param chunk - a view, not kept */
  feed(chunk: Buffer): void {
    let start = 0;
    if (this.#carry.length > 0) {
      const end = chunk.indexOf(LINE_FEED);
      this.#keep(end === -1 ? chunk : chunk.subarray(0, end));
      if (end === -1) return;
      const line = this.#carry;
      this.#carry = NOTHING;
      this.#takeLine(line, 0, line.length, line.includes(SPILLED_MEMBER));
      start = end + 1;
    }
    let spilledAt = chunk.indexOf(SPILLED_MEMBER, start);
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end === -1) break;
      const isSpilled = spilledAt !== -1 && spilledAt < end;
      this.#takeLine(chunk, start, end, isSpilled);
      if (isSpilled) spilledAt = chunk.indexOf(SPILLED_MEMBER, end);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** @returns what there is to say once all files have been fed */
  finish(): ChainReport {
    if (this.#ahead !== undefined) this.#skipTo(this.#ahead);
    for (const [i, at] of this.#bad.entries())
      this.#find("edited", this.#expected + i, NO_WHOLE, at);
    const lastSeq = this.#expected - 1 + this.#bad.length;
    if (this.#unlinked !== undefined) this.#blame(this.#unlinked.record.seq - 1, this.#unlinked);
    for (const { record, ...at } of this.#outOfPlace.values()) {
      this.#find("inserted", record.seq, "a record too many", at);
    }
    for (const { from, to, ...at } of this.#missing) {
      const which = from === to ? `record ${from} is` : `records ${from} to ${to} are`;
      this.#find("deleted", from, `${which} missing`, at);
    }
    this.#checkAnchors(lastSeq);
    this.#checkStart();
    const isClosed = this.#checkpoints.lastSeq === lastSeq && this.#closedSeq === lastSeq - 1;
    return {
      chain: this.#chain,
      records: this.#records,
      since: this.#from,
      lastSeq,
      end: this.#carry.length > 0 ? "unfinished" : isClosed ? "closed" : "open",
      checkpoints: this.#checkpoints.count,
      signedUpTo: this.#checkpoints.signedUpTo,
      attachments: this.#attachments,
      findings: this.#findings.sort((a, b) => a.seq - b.seq).slice(0, MAX_FINDINGS),
    };
  }

  /** Keeps the start of a line until the rest comes; of one too long to be a record, enough to tell that it is. */
  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#carry = Buffer.concat([this.#carry, bytes.subarray(0, MAX_RECORD_BYTES)]);
    this.#carry = this.#carry.subarray(0, MAX_RECORD_BYTES);
  }

  #takeLine(bytes: Buffer, start: number, end: number, isSpilled: boolean): void {
    this.#records += 1;
    this.#place.line += 1;
    const digest = sealedHash(bytes, start, end);
    if (digest === undefined) this.#takeBad();
    else if (this.#isSettled() && this.#isNext(bytes, start)) {
      const eventAt = start + this.#head.bytes.length;
      const isNoted = isSpilled || startsAt(CHAIN_EVENT, bytes, eventAt);
      this.#accept(digest, isNoted ? bytes.subarray(start, end) : undefined);
    } else this.#inspect(bytes.subarray(start, end));
  }

  #takeBad(): void {
    if (this.#bad.length < MAX_REMEMBERED) this.#bad.push({ ...this.#place });
  }

  #isSettled(): boolean {
    return (
      this.#bad.length === 0 &&
      this.#ahead === undefined &&
      this.#unlinked === undefined &&
      this.#rival === undefined
    );
  }

  #isNext(bytes: Buffer, start: number): boolean {
    if (this.#prev === undefined) return false;
    this.#head.setSeq(this.#expected);
    this.#head.setPrev(this.#prev);
    return this.#head.isAt(bytes, start);
  }

  /**
   * The next record of the chain has come, with nothing wrong between it and the one before.
   *
   * @param noted - its line, where it says something of the chain itself or of a file beside it
   */
  #accept(digest: string, noted: Buffer | undefined): void {
    const seq = this.#expected;
    this.#expected += 1;
    this.#prev = digest;
    this.#rival = undefined;
    if (noted !== undefined) this.#note(noted);
    if (seq > this.#checkpoints.due) {
      this.#find("unsigned", seq, `no checkpoint since record ${this.#checkpoints.lastSeq}`);
      this.#checkpoints.due = Infinity;
    }
  }

  #note(line: Buffer): void {
    try {
      const { seq, event, fields } = parseRecord(line);
      const at = { ...this.#place, seq };
      if (event === "chain.checkpoint") {
        const wrong = this.#checkpoints.take(parseCheckpoint(line));
        if (wrong !== undefined) this.#find("forged", seq, wrong);
      }
      if (event === "chain.closed") this.#closedSeq = seq;
      if (event === "chain.pruned") {
        const { to, last_hash: lastHash } = fields;
        this.#removals.push({ to: parseSeq(to), lastHash: parseSha256(asText(lastHash)) });
      }
      if (event === "chain.torn_tail") {
        const sha256 = parseSha256(asText(fields["sha256"]));
        this.#attachments.push({ ...at, kind: "torn", name: asText(fields["file"]), sha256 });
      }
      if (fields["sql_spilled"] === true) {
        const sha256 = parseSha256(asText(fields["sql_sha256"]));
        this.#attachments.push({ ...at, kind: "spilled", name: undefined, sha256 });
      }
    } catch {
      // Rightly hashed and chained, and yet not what a writer writes: everything from here on was recomputed.
      this.#find("forged", this.#expected - 1, "no record of its kind");
    }
  }

  #checkStart(): void {
    if (this.#from?.kind !== "pruned" || isVouchedFor(this.#from, this.#removals)) return;
    const message = `records 1 to ${this.#from.seq} are missing, and no record tells that they were removed`;
    this.#find("deleted", 1, message, { file: this.#firstFile, line: 1 });
  }

  /** The long way, for a line whose own hash is right. */
  #inspect(line: Buffer): void {
    const record = readRecord(line);
    if (record === undefined) {
      this.#takeBad();
      return;
    }
    if (record.chain !== this.#chain) {
      const seq = this.#expected + this.#bad.length;
      this.#find("spliced", seq, `record ${record.seq} of chain ${record.chain} stands here`);
      return;
    }
    this.#settleAhead(record);
    this.#settleBad(record);
    if (record.seq < this.#expected) {
      this.#takeLate(record);
      return;
    }
    this.#returnOutOfPlace(record);
    if (record.seq > this.#expected) {
      this.#ahead = { ...this.#place, record, bytes: Buffer.from(line) };
      return;
    }
    this.#settleLink(record);
    this.#accept(record.hash, line);
  }

  /** Two in a row whose numbers are too high: those before them are missing. One alone is itself out of place. */
  #settleAhead({ seq }: LoggedRecord): void {
    const ahead = this.#ahead;
    if (ahead === undefined) return;
    this.#ahead = undefined;
    if (seq === ahead.record.seq + 1) this.#skipTo(ahead);
    else if (this.#outOfPlace.size < MAX_REMEMBERED) this.#outOfPlace.set(ahead.record.seq, ahead);
  }

  #skipTo({ record, bytes, ...at }: PlacedRecord): void {
    if (this.#missing.length < MAX_REMEMBERED) {
      this.#missing.push({ ...at, from: this.#expected, to: record.seq - 1 });
    }
    this.#expected = record.seq + 1;
    this.#prev = record.hash;
    this.#note(bytes);
  }

  /** Bad lines stand in the place of the numbers that are left out up to the next good record; any more are inserted. */
  #settleBad({ seq }: LoggedRecord): void {
    if (this.#bad.length === 0 || seq < this.#expected) return;
    const edited = Math.min(this.#bad.length, seq - this.#expected);
    for (const [i, at] of this.#bad.entries()) {
      if (i < edited) this.#find("edited", this.#expected + i, NO_WHOLE, at);
      else this.#find("inserted", seq, "a line too many, and no whole record", at);
    }
    this.#bad = [];
    this.#expected += edited;
    if (edited > 0) this.#prev = undefined;
  }

  #takeLate(record: LoggedRecord): void {
    const { seq } = record;
    const gap = this.#missing.find(({ from, to }) => from <= seq && seq <= to);
    if (gap === undefined) {
      this.#find("inserted", seq, `a second record ${seq}`);
      if (seq === this.#expected - 1) this.#rival = record.hash;
      return;
    }
    this.#find("reordered", seq, `stands after record ${this.#expected - 1}`);
    this.#missing = this.#missing
      .filter((range) => range !== gap)
      .concat({ ...gap, to: seq - 1 }, { ...gap, from: seq + 1 })
      .filter(({ from, to }) => from <= to);
  }

  /** Records that stood too early are what is left out now. */
  #returnOutOfPlace({ seq }: LoggedRecord): void {
    for (;;) {
      const early = seq > this.#expected ? this.#outOfPlace.get(this.#expected) : undefined;
      if (early === undefined) return;
      const { record, bytes, ...at } = early;
      this.#outOfPlace.delete(record.seq);
      this.#find("reordered", record.seq, `stands before record ${this.#expected - 1}`, at);
      this.#expected += 1;
      this.#prev = record.hash;
      this.#note(bytes);
    }
  }

  #settleLink(record: LoggedRecord): void {
    const isLinked =
      this.#prev === undefined || record.prev === this.#prev || record.prev === this.#rival;
    const unlinked = this.#unlinked;
    this.#unlinked = undefined;
    // A record that the next one is chained to was there first: then it is the one before that is false.
    if (unlinked !== undefined) this.#blame(unlinked.record.seq - Number(isLinked), unlinked);
    else if (!isLinked) this.#unlinked = { ...this.#place, record, bytes: NOTHING };
  }

  #blame(seq: number, at: Place): void {
    const message = `not the record that record ${seq + 1} was chained to`;
    this.#find("edited", Math.max(seq, 1), message, at);
  }

  #checkAnchors(lastSeq: number): void {
    let furthest = 0;
    for (const seq of this.#checkpoints.missingAnchors()) {
      if (seq > lastSeq) furthest = Math.max(furthest, seq);
      else this.#find("forged", seq, "not the checkpoint that was anchored");
    }
    if (furthest > 0) {
      const message = `the log ends here, but checkpoint ${furthest} was anchored`;
      this.#find("truncated", lastSeq + 1, message);
    }
  }

  #find(kind: FindingKind, seq: number, message: string, at: Place = this.#place): void {
    // Twice as many as are listed: they don't come in the order of their numbers.
    if (this.#findings.length >= 2 * MAX_FINDINGS) return;
    this.#findings.push({ kind, seq, file: at.file, line: at.line, message });
  }
}

interface Place {
  file: string;
  line: number;
}

interface PlacedRecord extends Place {
  readonly record: LoggedRecord;
  readonly bytes: Buffer;
}

const NO_WHOLE = "its bytes are not those that its hash was made of";

function readRecord(line: Buffer): LoggedRecord | undefined {
  try {
    return parseRecord(line);
  } catch {
    return undefined; // rightly hashed, and yet no record: counted as a bad line by the caller
  }
}
