import fs from "node:fs";
import type { ChainId } from "../audit/record.ts";
import { blocksOf } from "./audit-content.ts";
import { listAuditFiles, type AuditFileName } from "./audit-file-names.ts";

const CHUNK_BYTES = 1 << 20;
const LINE_FEED = 0x0a;

/** A record's line with its line feed, and its number. */
export interface NumberedLine {
  readonly seq: number;
  readonly line: Buffer;
}

export interface CursorOptions {
  readonly directory: string;
  readonly chain: ChainId;
  /** The last record that is not wanted. */
  readonly afterSeq: number;
}

interface OpenFile {
  readonly name: AuditFileName;
  readonly chunks: Generator<Buffer, undefined>;
}

/** Reads a chain's records one after another, from file to file, compressed or not, up to where it is told that they are good. */
export class AuditCursor {
  readonly #directory: string;
  readonly #chain: ChainId;
  #seq: number;
  #file: OpenFile | undefined;
  /** Read, and not yet handed out. */
  #waiting: NumberedLine[] = [];

  constructor({ directory, chain, afterSeq }: CursorOptions) {
    this.#directory = directory;
    this.#chain = chain;
    this.#seq = afterSeq;
  }

  /**
   * The next records.
   *
   * @param upToSeq - none after this one
   * @returns none when there are none yet
   * @throws Error as `fs` does
   */
  next({
    upToSeq,
    maxLines,
    maxBytes,
  }: {
    upToSeq: number;
    maxLines: number;
    maxBytes: number;
  }): NumberedLine[] {
    while (this.#waiting.length === 0 && this.#seq < upToSeq) if (!this.#readOn()) break;
    const taken: NumberedLine[] = [];
    let bytes = 0;
    for (const line of this.#waiting) {
      bytes += line.line.length;
      const isEnough = taken.length === maxLines || (bytes > maxBytes && taken.length > 0);
      if (line.seq > upToSeq || isEnough) break;
      taken.push(line);
    }
    this.#waiting = this.#waiting.slice(taken.length);
    this.#seq = taken.at(-1)?.seq ?? this.#seq;
    return taken;
  }

  close(): void {
    this.#file?.chunks.return(undefined);
  }

  /** @returns whether there was more to read */
  #readOn(): boolean {
    this.#file ??= this.#open();
    if (this.#file === undefined) return false;
    if (this.#takeNext(this.#file.chunks)) return true;
    // At its end: it may grow, until there is another. What came before that one was begun is read first.
    const next = this.#fileAfter(this.#file.name);
    if (next === undefined || this.#takeNext(this.#file.chunks)) return next !== undefined;
    this.#file.chunks.return(undefined);
    this.#file = { name: next, chunks: chunksThatGrow(next) };
    return true;
  }

  #takeNext(chunks: Generator<Buffer, undefined>): boolean {
    const chunk = chunks.next().value;
    if (chunk === undefined || chunk.length === 0) return false;
    this.#take(chunk);
    return true;
  }

  #take(chunk: Buffer): void {
    for (let start = 0; start < chunk.length;) {
      const end = chunk.indexOf(LINE_FEED, start) + 1;
      const seq = seqOf(chunk, start);
      if (seq > this.#seq)
        this.#waiting.push({ seq, line: Buffer.from(chunk.subarray(start, end)) });
      start = end;
    }
  }

  #open(): OpenFile | undefined {
    const files = this.#files();
    const name = files.findLast(({ firstSeq }) => firstSeq <= this.#seq + 1) ?? files[0];
    return name === undefined ? undefined : { name, chunks: chunksThatGrow(name) };
  }

  #fileAfter({ firstSeq }: AuditFileName): AuditFileName | undefined {
    return this.#files().find((file) => file.firstSeq > firstSeq);
  }

  #files(): AuditFileName[] {
    return listAuditFiles(this.#directory).filter(({ chain }) => chain === this.#chain);
  }
}

/** Whole lines; at the end of a file that is written to nothing, and more when it is asked again and has grown. */
function* chunksThatGrow(file: AuditFileName): Generator<Buffer, undefined> {
  if (file.isCompressed) {
    for (const { bytes } of blocksOf(file)) yield bytes;
    return undefined;
  }
  // Held open, it can be read to its end though it is compressed and removed meanwhile.
  const fd = fs.openSync(file.path, "r");
  try {
    let size = CHUNK_BYTES;
    for (let at = 0; ;) {
      const buffer = Buffer.allocUnsafe(size);
      const read = fs.readSync(fd, buffer, 0, size, at);
      const end = buffer.subarray(0, read).lastIndexOf(LINE_FEED) + 1;
      if (end > 0) {
        at += end;
        size = CHUNK_BYTES;
        yield buffer.subarray(0, end);
      } else if (read === size) size *= 2;
      else yield NOTHING;
    }
  } finally {
    fs.closeSync(fd);
  }
}

const NOTHING = Buffer.alloc(0);
const SEQ_AT = `{"seq":`.length;

/** NaN for what is no record: it is passed over, and verifying names it. */
function seqOf(chunk: Buffer, start: number): number {
  const end = chunk.indexOf(",", start);
  return end === -1
    ? NaN
    : Number(chunk.toString("latin1", start + SEQ_AT, Math.min(end, start + 40)));
}
