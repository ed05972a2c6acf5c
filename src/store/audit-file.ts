import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ChainHead } from "../audit/chain.ts";
import {
  encodeFragment,
  type AuditRecord,
  type ChainId,
  type EventName,
  type Members,
  type Seq,
  type StatementText,
} from "../audit/record.ts";
import { AuditUnavailable } from "../base/errors.ts";
import { AuditAnchors } from "./audit-file-anchors.ts";
import { AuditBuffer, bytesNeeded, checkFits } from "./audit-file-buffer.ts";
import { lockDirectory, type DirectoryLock } from "./audit-file-lock.ts";
import { auditFileName } from "./audit-file-names.ts";
import { AuditOutage } from "./audit-file-outage.ts";
import {
  DEFAULT_LIMITS,
  microsecondClock,
  type AuditFileOptions,
  type AuditStats,
} from "./audit-file-options.ts";
import { newChain, recoverChain, type Recovered } from "./audit-file-recovery.ts";
import { AuditSegment } from "./audit-file-segment.ts";
import { textOrSpilled } from "./audit-file-spill.ts";

const FLUSH_MS = 25;
const HOUSEKEEPING_MS = 1000;
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
  readonly #buffer: AuditBuffer;
  readonly #anchors: AuditAnchors;
  readonly #housekeeping: NodeJS.Timeout;
  #lock: DirectoryLock;
  #segment: AuditSegment;
  #flushTimer: NodeJS.Timeout | undefined;
  #writtenSeq: number;
  #syncedSeq: number;
  #syncTarget = 0;
  #turn: Promise<void> | undefined;
  #runningSync: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #failure: AuditOutage | undefined;
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
    const head = recovered?.head ?? newChain();
    this.#buffer = new AuditBuffer({
      head,
      signingKey: options.signingKey,
      checkpointEveryRecords: this.#limits.checkpointEveryRecords,
      now: this.#now,
      onCheckpoint: (line) => {
        this.#anchors.add(line);
      },
    });
    this.#writtenSeq = head.seq;
    this.#syncedSeq = head.seq;
    this.#segment =
      recovered === undefined
        ? AuditSegment.create(path.join(options.directory, auditFileName(head.chain, 1)))
        : AuditSegment.resume(recovered.path, recovered.position);
    if (recovered?.torn !== undefined) this.append({ event: "chain.torn_tail", ...recovered.torn });
    this.append({
      event: "chain.opened",
      format: 1,
      after: recovered?.after ?? "nothing",
      host: os.hostname(),
      pid: process.pid,
    });
    this.#buffer.putCheckpoint();
    this.#segment.write(this.#buffer.encoded());
    this.#segment.syncNow();
    this.#buffer.clear();
    this.#writtenSeq = this.#buffer.seq;
    this.#syncedSeq = this.#buffer.seq;
    this.#anchors.write();
    this.#housekeeping = setInterval(() => {
      this.#keepHouse();
    }, HOUSEKEEPING_MS).unref();
  }

  get chain(): ChainId {
    return this.#buffer.head.chain;
  }

  /** The last record that is on disk. */
  get syncedSeq(): number {
    return this.#syncedSeq;
  }

  get stats(): AuditStats {
    return {
      records: this.#buffer.records,
      writeFailures: this.#writeFailures,
      unsynced: this.#buffer.seq - this.#syncedSeq,
    };
  }

  /** The newest that was signed; perhaps not {@link synced} yet. */
  get checkpoint(): ChainHead {
    return this.#buffer.checkpoint;
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
    const needed = checkFits(members);
    if (!this.#buffer.hasRoomFor(needed)) this.flush();
    return this.#put(event, members, needed);
  }

  /**
   * Records what has already happened, such as the end of a statement: never throws. While the log can't be written it
   * is kept in memory for as long as there is room, and counted in `chain.resumed` when there is not.
   */
  note(event: "statement.finished" | "session.end", ...members: readonly Members[]): void {
    if (this.#isClosed) return;
    const needed = bytesNeeded(members);
    if (!this.#buffer.hasRoomFor(needed)) this.#writeOut();
    if (this.#buffer.hasRoomFor(needed)) this.#put(event, members, needed);
    else if (this.#failure !== undefined) this.#failure.lose();
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
    const { directory } = this.#options;
    try {
      return textOrSpilled(sql, { directory, aboveBytes: this.#limits.spillAboveBytes });
    } catch (cause) {
      this.#writeFailures += 1;
      throw new AuditUnavailable("a statement's text can't be put on record", { cause });
    }
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
      this.#buffer.putCheckpoint();
      this.#isClosed = true;
      await this.synced(this.#buffer.seq);
    } catch (cause) {
      if (cause instanceof AuditUnavailable) throw cause;
      throw new AuditUnavailable("the audit log was closed before all was written", { cause });
    } finally {
      this.#isClosed = true;
      clearInterval(this.#housekeeping);
      clearTimeout(this.#flushTimer);
      this.#failure?.stop();
      this.#segment.close();
      this.#lock.release();
    }
  }

  #put(event: EventName, members: readonly Members[], bytes: number): Seq {
    const seq = this.#buffer.put(event, members, bytes);
    this.#flushTimer ??= setTimeout(() => {
      this.#writeOut();
    }, FLUSH_MS);
    return seq;
  }

  /** Writes the buffer out. Never throws: what goes wrong becomes {@link failure}. */
  #writeOut(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#failure !== undefined || this.#buffer.isEmpty) return;
    try {
      this.#segment.write(this.#buffer.encoded());
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#buffer.clear();
    this.#writtenSeq = this.#buffer.seq;
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
    this.synced(this.#buffer.seq).catch(() => undefined); // a failure is kept and reported by #fail
  }

  /** Right after a sync and within one turn: what is left to sync in the old file is little, and nobody else syncs it. */
  #rotateIfDue(): void {
    if (this.#isClosed || this.#failure !== undefined) return;
    const ageSeconds = this.#now() / 1e6 - this.#segment.createdMs / 1000;
    const { maxFileBytes, maxFileAgeSeconds } = this.#limits;
    if (this.#segment.position < maxFileBytes && ageSeconds < maxFileAgeSeconds) return;
    if (this.#buffer.isUnsigned) this.#buffer.putCheckpoint();
    this.#writeOut();
    if (this.failure !== undefined) return;
    const { chain, seq } = this.#buffer.head;
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
    if (
      this.#buffer.isUnsigned &&
      this.#now() - this.#buffer.checkpointUs >= checkpointEverySeconds * 1e6
    ) {
      this.#buffer.putCheckpoint();
    }
    if (this.#syncedSeq < this.#buffer.seq) this.#syncInBackground();
    this.#anchors.write();
  }

  #fail(cause: unknown, refusedFrom = this.#writtenSeq + 1): void {
    this.#writeFailures += 1;
    if (this.#failure !== undefined) return;
    const outage = new AuditOutage({
      cause,
      sinceUs: this.#now(),
      refusedFrom,
      refusedTo: this.#buffer.seq,
    });
    this.#failure = outage;
    outage.retry(this.#resume.bind(this), () => (this.#writeFailures += 1));
    this.#options.onAvailability?.(outage.error);
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
    this.#segment.write(this.#buffer.encoded());
    this.#buffer.clear();
    this.#segment.syncNow();
    this.#writtenSeq = this.#buffer.seq;
    this.#syncedSeq = this.#buffer.seq;
    failure.stop();
    this.#failure = undefined;
    this.append({ event: "chain.resumed", ...failure.summary(this.#now()) });
    this.#writeOut();
    if (this.failure === undefined) this.#options.onAvailability?.(undefined);
  }
}
