import fs from "node:fs";
import { parseRecord, type LoggedRecord } from "../audit/record.ts";
import { AuditArchive } from "./audit-archive.ts";
import { cutBlocks, type Block } from "./audit-blocks.ts";
import type { AuditFileName } from "./audit-file-names.ts";

const LINE_FEED = 0x0a;
const CHUNK_BYTES = 4 << 20;
/** A checkpoint, which a closed file ends with, is shorter. */
const TAIL_BYTES = 8 << 10;

/** The bytes of a file as it was written, from one on, in pieces cut anywhere; views into a buffer that is used again. */
export function* chunksOf(file: AuditFileName, from = 0): Generator<Buffer> {
  if (file.isCompressed) {
    for (const { at, bytes } of blocksOf(file)) {
      if (at + bytes.length > from) yield bytes.subarray(Math.max(from - at, 0));
    }
    return;
  }
  const fd = fs.openSync(file.path, "r");
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = from; ;) {
      const bytes = fs.readSync(fd, buffer, 0, buffer.length, at);
      if (bytes === 0) return;
      at += bytes;
      yield buffer.subarray(0, bytes);
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** The same in blocks of whole lines, alike before and after compression. */
export function* blocksOf(file: AuditFileName): Generator<Block> {
  if (!file.isCompressed) {
    yield* cutBlocks(file.path);
    return;
  }
  const archive = new AuditArchive(file.path);
  try {
    let at = 0;
    for (const bytes of archive.blocks()) {
      yield { at, bytes };
      at += bytes.length;
    }
  } finally {
    archive.close();
  }
}

/** A file read at some places. */
export class AuditContent {
  readonly #archive: AuditArchive | undefined;
  readonly #fd: number | undefined;

  constructor({ path, isCompressed }: AuditFileName) {
    if (isCompressed) this.#archive = new AuditArchive(path);
    else this.#fd = fs.openSync(path, "r");
  }

  /** Of the file as it was written. */
  get bytes(): number {
    if (this.#archive !== undefined) return this.#archive.rawBytes;
    return this.#fd === undefined ? 0 : fs.fstatSync(this.#fd).size;
  }

  /** @throws Error when it is not all there */
  read(at: number, bytes: number): Buffer {
    if (this.#archive !== undefined) return this.#archive.read(at, bytes);
    const buffer = Buffer.allocUnsafe(bytes);
    if (this.#fd === undefined || fs.readSync(this.#fd, buffer, 0, bytes, at) !== bytes) {
      throw new Error(`the file ends before byte ${at + bytes}`);
    }
    return buffer;
  }

  /** The last line, without its line feed; empty when the file ends in something else, or it is longer than a checkpoint. */
  lastLine(): Buffer {
    const end = this.#tail();
    if (end.at(-1) !== LINE_FEED) return Buffer.alloc(0);
    const start = end.length < 2 ? -1 : end.lastIndexOf(LINE_FEED, end.length - 2);
    return end.subarray(start + 1, -1);
  }

  /** The last record, if the file ends in one. */
  last(): LoggedRecord | undefined {
    try {
      return parseRecord(this.lastLine());
    } catch {
      return undefined; // it ends in something else
    }
  }

  close(): void {
    this.#archive?.close();
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
  }

  #tail(): Buffer {
    if (this.#archive !== undefined) return this.#archive.lastBlock();
    const { bytes } = this;
    const length = Math.min(bytes, TAIL_BYTES);
    return this.read(bytes - length, length);
  }
}
