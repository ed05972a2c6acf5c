import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { ChainWriter, FRAME_BYTES, NO_RECORD } from "../audit/chain.ts";
import { keyFingerprint, RESTART_RECORDS, signCheckpoint } from "../audit/checkpoint.ts";
import {
  encodeFragment,
  MAX_RECORD_BYTES,
  parseChainId,
  type AuditRecord,
  type EventName,
  type Fragment,
  type Members,
  type Seq,
  type StatementText,
} from "../audit/record.ts";
import { sha256 } from "../base/digest.ts";
import { AuditUnavailable, LimitReached, SQLSTATE } from "../base/errors.ts";
import { AuditAnchors } from "./audit-file-anchors.ts";
import { lockDirectory, type DirectoryLock } from "./audit-file-lock.ts";
import { auditFileName, spilledPath } from "./audit-file-names.ts";
import {
  DEFAULT_LIMITS,
  microsecondClock,
  type AuditFileOptions,
  type AuditStats,
} from "./audit-file-options.ts";
import { recoverChain, writeDurably, type Recovered } from "./audit-file-recovery.ts";
import { PendingRecords } from "./audit-file-pending.ts";
import { AuditSegment } from "./audit-file-segment.ts";

const FLUSH_MS = 25;
const HOUSEKEEPING_MS = 1000;
const RETRY_MS = { first: 50, longest: 5000 };
/** Room that a checkpoint always finds, whatever was appended before it. */
const RESERVED_BYTES = 1024;
/** So many are encoded together; more would be felt by the statements of the same turn. */
const PENDING_RECORDS = 64;
const BUFFER_BYTES = 2 * MAX_RECORD_BYTES + RESERVED_BYTES;

const DONE = Promise.resolve();

/**
 * The audit log of one writer: a chain of records in a directory of its own, over one file after another.
 *
 * A record goes through three states: appended (in memory, written out within 25 ms), {@link written} (with the operating
 * system: no kill loses it) and {@link synced} (on disk: no power cut does). When the log can't be written, everything
 * throws {@link AuditUnavailable} until it can again; what was appended by then is kept and written first, so that the
 * chain has no gap, followed by a `chain.resumed` that says what was refused meanwhile.
 */
export class AuditFile {
  readonly durability: "normal" | "strict";
  readonly #options: AuditFileOptions;
  readonly #limits: typeof DEFAULT_LIMITS;
  readonly #now: () => number;
  readonly #writer: ChainWriter;
  readonly #keyFragment: Fragment;
  readonly #anchors: AuditAnchors;
  readonly #pending = new PendingRecords();
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  readonly #housekeeping: NodeJS.Timeout;
  #lock: DirectoryLock;
  #segment: AuditSegment;
  #end = 0;
  #flushTimer: NodeJS.Timeout | undefined;
  #writtenSeq: number;
  #syncedSeq: number;
  #syncTarget = 0;
  #turn: Promise<void> | undefined;
  #runningSync: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #checkpointSeq = 0;
  #checkpointUs = 0;
  #failure: Failure | undefined;
  #records = 0;
  #writeFailures = 0;
  #isClosed = false;

  /**
   * Opens the directory's chain where it ended, or begins one.
   *
   * @throws AuditUnavailable when the directory can't be used, has another writer, or ends in what is no record
   */
  static open(options: AuditFileOptions): AuditFile {
    const { directory } = options;
    let lock: DirectoryLock | undefined;
    try {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      lock = lockDirectory(directory);
      return new AuditFile(options, lock, recoverChain(directory));
    } catch (cause) {
      lock?.release();
      if (cause instanceof AuditUnavailable) throw cause;
      throw new AuditUnavailable(`audit directory "${directory}" can't be opened`, { cause });
    }
  }

  private constructor(
    options: AuditFileOptions,
    lock: DirectoryLock,
    recovered: Recovered | undefined,
  ) {
    this.durability = options.durability;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#now = options.now ?? microsecondClock();
    this.#anchors = new AuditAnchors(options.anchorFile, options.onTrouble);
    this.#lock = lock;
    const head = recovered?.head ?? {
      chain: parseChainId(randomBytes(8).toString("hex")),
      seq: 0,
      hash: NO_RECORD,
    };
    this.#writer = new ChainWriter(head);
    this.#writtenSeq = head.seq;
    this.#syncedSeq = head.seq;
    this.#keyFragment = encodeFragment({
      key: keyFingerprint(options.signingKey),
      next_within: this.#limits.checkpointEveryRecords + RESTART_RECORDS,
    });
    this.#segment =
      recovered === undefined
        ? AuditSegment.create(path.join(options.directory, auditFileName(head.chain, 1)))
        : AuditSegment.resume(recovered.path, recovered.position);
    this.#checkpointSeq = head.seq;
    if (recovered?.torn !== undefined) this.append({ event: "chain.torn_tail", ...recovered.torn });
    this.append({
      event: "chain.opened",
      format: 1,
      after: recovered?.after ?? "nothing",
      host: os.hostname(),
      pid: process.pid,
    });
    this.#putCheckpoint();
    this.#segment.write(this.#buffer.subarray(0, this.#end));
    this.#segment.syncNow();
    this.#end = 0;
    this.#writtenSeq = this.#seq;
    this.#syncedSeq = this.#seq;
    this.#anchors.write();
    this.#housekeeping = setInterval(() => {
      this.#keepHouse();
    }, HOUSEKEEPING_MS).unref();
  }

  get stats(): AuditStats {
    return {
      records: this.#records,
      writeFailures: this.#writeFailures,
      unsynced: this.#seq - this.#syncedSeq,
    };
  }

  /** Of the record appended last. */
  get #seq(): Seq {
    return (this.#writer.seq + this.#pending.count) as Seq;
  }

  /** Why nothing can be recorded at the moment, if so. */
  get failure(): AuditUnavailable | undefined {
    return this.#failure?.error;
  }

  /**
   * Puts a record into the chain. It is in memory only: see {@link written} and {@link synced}.
   *
   * @throws AuditUnavailable while the log can't be written
   * @throws LimitReached (54000) for a record above 4 MiB
   */
  append(record: AuditRecord): Seq {
    const { event, ...fields } = record;
    return this.appendEncoded(event, encodeFragment(fields));
  }

  /** As {@link append}, of parts encoded before. No member may be in two of them. */
  appendEncoded(event: EventName, ...members: readonly Members[]): Seq {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isClosed) throw new AuditUnavailable("the audit log is closed");
    const needed = bytesNeeded(members);
    if (needed > MAX_RECORD_BYTES) {
      throw new LimitReached(SQLSTATE.programLimitExceeded, "too long for an audit record", {
        detail: `The record would have ${needed} bytes, the limit is ${MAX_RECORD_BYTES}.`,
      });
    }
    if (!this.#hasRoomFor(needed)) this.flush();
    return this.#put(event, members, needed);
  }

  /**
   * Records what has already happened, such as the end of a statement: never throws. While the log can't be written it
   * is kept in memory for as long as there is room, and counted in `chain.resumed` when there is not.
   */
  note(event: "statement.finished" | "session.end", ...members: readonly Members[]): void {
    if (this.#isClosed) return;
    const needed = bytesNeeded(members);
    if (!this.#hasRoomFor(needed)) this.#writeOut();
    if (this.#hasRoomFor(needed)) this.#put(event, members, needed);
    else if (this.#failure !== undefined) this.#failure.lost += 1;
  }

  /**
   * Waits until the record, and all before it, are with the operating system; with `strict` durability on disk.
   * All who ask within one turn of the event loop share one write.
   *
   * @throws AuditUnavailable when they can't be written: what they decide must not be done
   */
  written(seq: Seq): Promise<void> {
    if (this.durability === "strict") return this.synced(seq);
    if (seq <= this.#writtenSeq) return DONE;
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    this.#turn ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#turn = undefined;
        this.#writeOut();
        if (this.#failure === undefined) resolve();
        else reject(this.#failure.error);
      });
    });
    return this.#turn;
  }

  /**
   * Waits until the record, and all before it, are on disk. All who ask while one `fdatasync` runs share the next.
   *
   * @throws AuditUnavailable when they can't be: what they decide must not be done
   */
  synced(seq: Seq): Promise<void> {
    if (seq <= this.#syncedSeq) return DONE;
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (this.#runningSync !== undefined && seq <= this.#syncTarget) return this.#runningSync;
    this.#nextSync ??= this.#syncAfter(this.#runningSync);
    return this.#nextSync;
  }

  /**
   * Hands everything appended to the operating system, now.
   *
   * @throws AuditUnavailable when it can't be written
   */
  flush(): void {
    this.#writeOut();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /**
   * The members that give a statement's text, which is put into a file of its own, on disk, when it is too long.
   *
   * @throws AuditUnavailable when that file can't be written
   */
  statementText(sql: string): StatementText {
    const bytes = Buffer.from(sql);
    const digest = sha256(bytes);
    if (bytes.length <= this.#limits.spillAboveBytes) return { sql, sql_sha256: digest };
    const filePath = spilledPath(this.#options.directory, digest);
    try {
      if (!fs.existsSync(filePath)) {
        fs.mkdirSync(path.dirname(filePath), { recursive: true, mode: 0o700 });
        writeDurably(filePath, bytes);
      }
    } catch (cause) {
      this.#writeFailures += 1;
      throw new AuditUnavailable("a statement's text can't be put on record", { cause });
    }
    return { sql_spilled: true, sql_bytes: bytes.length, sql_sha256: digest };
  }

  /**
   * Ends the chain in order, signed and on disk, and lets the directory go.
   *
   * @throws AuditUnavailable when the end can't be written
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    try {
      await this.#runningSync?.catch(() => undefined); // its waiters are told
      if (this.#failure !== undefined) this.#resume();
      this.append({ event: "chain.closed", pid: process.pid });
      this.#putCheckpoint();
      this.#isClosed = true;
      await this.synced(this.#seq);
    } catch (cause) {
      if (cause instanceof AuditUnavailable) throw cause;
      throw new AuditUnavailable("the audit log was closed before all of it was written", {
        cause,
      });
    } finally {
      this.#isClosed = true;
      clearInterval(this.#housekeeping);
      clearTimeout(this.#flushTimer);
      clearTimeout(this.#failure?.retryTimer);
      this.#segment.close();
      this.#lock.release();
    }
  }

  #hasRoomFor(needed: number): boolean {
    return this.#end + this.#pending.bytes + needed + RESERVED_BYTES <= this.#buffer.length;
  }

  #put(event: EventName, members: readonly Members[], bytes: number): Seq {
    this.#pending.add(event, this.#now(), members, bytes);
    const seq = this.#seq;
    this.#records += 1;
    // INVARIANT: a checkpoint's distance from the last is what that one promised in `next_within`, at most.
    if (seq - this.#checkpointSeq >= this.#limits.checkpointEveryRecords - 1) this.#putCheckpoint();
    else if (this.#pending.count >= PENDING_RECORDS) this.#encode();
    this.#flushTimer ??= setTimeout(() => {
      this.#writeOut();
    }, FLUSH_MS);
    return seq;
  }

  #encode(): void {
    this.#end = this.#pending.encode(this.#writer, this.#buffer, this.#end);
  }

  #putCheckpoint(): void {
    this.#encode();
    const start = this.#end;
    this.#checkpointUs = this.#now();
    this.#end = this.#writer.encodeSigned(
      this.#buffer,
      start,
      this.#checkpointUs,
      "chain.checkpoint",
      this.#keyFragment,
      (bytes) => signCheckpoint(bytes, this.#options.signingKey),
    );
    this.#checkpointSeq = this.#writer.seq;
    this.#records += 1;
    this.#anchors.add(this.#buffer.subarray(start, this.#end));
  }

  /** Writes the buffer out. Never throws: what goes wrong becomes {@link failure}. */
  #writeOut(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#failure !== undefined) return;
    this.#encode();
    if (this.#end === 0) return;
    try {
      this.#segment.write(this.#buffer.subarray(0, this.#end));
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#end = 0;
    this.#writtenSeq = this.#writer.seq;
    this.#anchors.write();
    if (this.#segment.position >= this.#limits.maxFileBytes) this.#syncInBackground();
  }

  async #syncAfter(running: Promise<void> | undefined): Promise<void> {
    await running?.catch(() => undefined); // its own waiters are told; this is the next attempt
    // One turn, so that all whose bytes have arrived share this fdatasync.
    await new Promise((resolve) => setImmediate(resolve));
    this.#runningSync = this.#nextSync;
    this.#nextSync = undefined;
    try {
      this.flush();
      this.#syncTarget = this.#writtenSeq;
      await this.#segment.sync().catch((error: unknown) => {
        this.#fail(error, this.#syncedSeq + 1);
        throw this.#failure?.error ?? error;
      });
      this.#syncedSeq = this.#syncTarget;
      this.#rotateIfDue();
    } finally {
      this.#runningSync = undefined;
    }
  }

  #syncInBackground(): void {
    this.synced(this.#seq).catch(() => undefined); // a failure is kept and reported by #fail
  }

  /** Right after a sync and within one turn: what is left to sync in the old file is little, and nobody else syncs it. */
  #rotateIfDue(): void {
    if (this.#isClosed || this.#failure !== undefined) return;
    const ageSeconds = this.#now() / 1e6 - this.#segment.createdMs / 1000;
    const { maxFileBytes, maxFileAgeSeconds } = this.#limits;
    if (this.#segment.position < maxFileBytes && ageSeconds < maxFileAgeSeconds) return;
    if (this.#checkpointSeq < this.#seq) this.#putCheckpoint();
    this.#writeOut();
    if (this.failure !== undefined) return;
    const { chain, seq } = this.#writer.head;
    try {
      this.#segment.syncNow();
    } catch (error) {
      this.#fail(error, this.#syncedSeq + 1);
      return;
    }
    this.#syncedSeq = seq;
    try {
      const filePath = path.join(this.#options.directory, auditFileName(chain, seq + 1));
      const next = AuditSegment.create(filePath);
      this.#segment.close();
      this.#segment = next;
    } catch (error) {
      this.#options.onTrouble?.(error);
    }
  }

  #keepHouse(): void {
    if (this.#failure !== undefined) return;
    try {
      this.#segment.checkPlace();
    } catch (error) {
      this.#fail(error);
      return;
    }
    const { checkpointEverySeconds } = this.#limits;
    const isUncovered = this.#checkpointSeq < this.#seq;
    if (isUncovered && this.#now() - this.#checkpointUs >= checkpointEverySeconds * 1e6) {
      this.#putCheckpoint();
    }
    if (this.#syncedSeq < this.#seq) this.#syncInBackground();
    this.#anchors.write();
  }

  #fail(cause: unknown, refusedFrom = this.#writtenSeq + 1): void {
    this.#writeFailures += 1;
    if (this.#failure !== undefined) return;
    const error = new AuditUnavailable("the audit log can't be written", {
      cause,
      hint: "Nothing runs that is not on record. See the proxy's own log; it goes on by itself once the log can be written.",
    });
    this.#failure = {
      error,
      sinceUs: this.#now(),
      refusedFrom: refusedFrom as Seq,
      refusedTo: this.#seq,
      lost: 0,
      retryMs: RETRY_MS.first,
      retryTimer: undefined,
    };
    this.#retryLater(this.#failure);
    this.#options.onAvailability?.(error);
  }

  #retryLater(failure: Failure): void {
    failure.retryTimer = setTimeout(() => {
      try {
        this.#resume();
      } catch {
        this.#writeFailures += 1; // the first failure's cause stands; this only says that it lasts
        failure.retryMs = Math.min(2 * failure.retryMs, RETRY_MS.longest);
        this.#retryLater(failure);
      }
    }, failure.retryMs).unref();
  }

  /** @throws Error while it still can't be written */
  #resume(): void {
    const failure = this.#failure;
    if (failure === undefined) return;
    // It has the file open, by a number that repairing may give to another file.
    if (this.#runningSync !== undefined) throw new Error("the last sync has not ended yet");
    if (!this.#segment.isInPlace()) {
      fs.mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
      // The lock may have gone with the directory: whoever writes here from now on must hold the new one.
      this.#lock.release();
      this.#lock = lockDirectory(this.#options.directory);
    }
    this.#segment.repair();
    this.#encode();
    this.#segment.write(this.#buffer.subarray(0, this.#end));
    this.#end = 0;
    this.#segment.syncNow();
    this.#writtenSeq = this.#writer.seq;
    this.#syncedSeq = this.#writer.seq;
    clearTimeout(failure.retryTimer);
    this.#failure = undefined;
    this.append({
      event: "chain.resumed",
      cause: causeText(failure.error.cause),
      unavailable_ms: Math.round((this.#now() - failure.sinceUs) / 1000),
      ...(failure.refusedFrom <= failure.refusedTo && {
        refused_from: failure.refusedFrom,
        refused_to: failure.refusedTo,
      }),
      lost: failure.lost,
    });
    this.#writeOut();
    if (this.failure === undefined) this.#options.onAvailability?.(undefined);
  }
}

interface Failure {
  readonly error: AuditUnavailable;
  readonly sinceUs: number;
  readonly refusedFrom: Seq;
  readonly refusedTo: Seq;
  lost: number;
  retryMs: number;
  retryTimer: NodeJS.Timeout | undefined;
}

function bytesNeeded(members: readonly Members[]): number {
  let bytes = FRAME_BYTES;
  for (const each of members) bytes += each.length;
  return bytes;
}

function causeText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
