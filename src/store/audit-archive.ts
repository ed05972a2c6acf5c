/**
 * A closed file of the log, compressed: Zstandard frames of whole lines, one after another, and a table of them at the end
 * in a frame that decoders skip ("Zstandard Seekable Format", facebook/zstd, contrib/seekable_format). `zstd -dc` gives the
 * file back as it was, byte for byte; with the table, a block is read without those before it.
 */
import fs from "node:fs";
import path from "node:path";
import { hash } from "node:crypto";
import { syncDirectory } from "./durable-files.ts";
import { cutBlocks } from "./audit-blocks.ts";
import { zstd } from "./zstd.ts";

/** Level 3 takes twice the time of 1 and saves little: hashes, which are half of it by then, don't compress. */
const LEVEL = 1;
const SKIPPABLE_MAGIC = 0x184d2a5e;
const TABLE_MAGIC = 0x8f92eab1;
const FOOTER_BYTES = 9;
const ENTRY_BYTES = 8;
const HEADER_BYTES = 8;
/** A stranger's number: a table longer than this is none. */
const MAX_FRAMES = 1 << 24;
/** Of a block that was cut for it: a line's limit, and the length that blocks have else. */
const MAX_BLOCK_BYTES = 8 << 20;

interface Frame {
  readonly at: number;
  readonly bytes: number;
  readonly rawAt: number;
  readonly rawBytes: number;
}

/**
 * Compresses a file into `<file>.zst`, which is read back and compared before the file itself is removed.
 *
 * @throws Error as `fs` does, or when it can't be read back; the file is then as before
 */
export function archive(filePath: string): void {
  const target = `${filePath}.zst`;
  const unfinished = `${target}.part`;
  const fd = fs.openSync(unfinished, "w", 0o600);
  try {
    const table: [bytes: number, rawBytes: number][] = [];
    for (const { bytes } of cutBlocks(filePath)) {
      const frame = zstd.compress(bytes, LEVEL);
      fs.writeSync(fd, frame);
      table.push([frame.length, bytes.length]);
    }
    fs.writeSync(fd, encodeTable(table));
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  if (!isSame(filePath, unfinished)) {
    fs.unlinkSync(unfinished);
    throw new Error(`"${filePath}" is not the same after it was compressed`);
  }
  const { atime, mtime } = fs.statSync(filePath);
  fs.utimesSync(unfinished, atime, mtime); // its age is that of its records
  fs.renameSync(unfinished, target);
  syncDirectory(path.dirname(target));
  fs.unlinkSync(filePath);
}

/** A compressed file, read a block at a time. */
export class AuditArchive {
  readonly #fd: number;
  readonly #frames: readonly Frame[];

  /** @throws Error for what is none */
  constructor(filePath: string) {
    this.#fd = fs.openSync(filePath, "r");
    try {
      this.#frames = readTable(this.#fd);
    } catch (cause) {
      fs.closeSync(this.#fd);
      throw new Error(`"${filePath}" is no whole archive`, { cause });
    }
  }

  /** Of the file that it was. */
  get rawBytes(): number {
    const last = this.#frames.at(-1);
    return last === undefined ? 0 : last.rawAt + last.rawBytes;
  }

  /** All of it, in order. @throws Error for a frame that is damaged */
  *blocks(): Generator<Buffer> {
    for (const frame of this.#frames) yield this.#read(frame);
  }

  /** @throws Error when there is no block of this place and length */
  read(rawAt: number, rawBytes: number): Buffer {
    const frames = this.#frames;
    let [low, high] = [0, frames.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((frames[middle]?.rawAt ?? Infinity) <= rawAt) low = middle;
      else high = middle - 1;
    }
    const frame = frames[low];
    if (frame?.rawAt !== rawAt || frame.rawBytes !== rawBytes) {
      throw new Error(`no block of ${rawBytes} bytes at ${rawAt}`);
    }
    return this.#read(frame);
  }

  lastBlock(): Buffer {
    const last = this.#frames.at(-1);
    return last === undefined ? Buffer.alloc(0) : this.#read(last);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #read({ at, bytes, rawBytes }: Frame): Buffer {
    const frame = Buffer.allocUnsafe(bytes);
    if (fs.readSync(this.#fd, frame, 0, bytes, at) !== bytes) throw new Error("it ends too early");
    const block = zstd.decompress(frame);
    if (block.length !== rawBytes)
      throw new Error(`a block of ${block.length}, not ${rawBytes} bytes`);
    return Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  }
}

function encodeTable(frames: readonly (readonly [bytes: number, rawBytes: number])[]): Buffer {
  const size = frames.length * ENTRY_BYTES + FOOTER_BYTES;
  const table = Buffer.alloc(HEADER_BYTES + size);
  let at = table.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  at = table.writeUInt32LE(size, at);
  for (const [bytes, rawBytes] of frames) {
    at = table.writeUInt32LE(bytes, at);
    at = table.writeUInt32LE(rawBytes, at);
  }
  at = table.writeUInt32LE(frames.length, at);
  at = table.writeUInt8(0, at); // no checksums: the records have their own
  table.writeUInt32LE(TABLE_MAGIC, at);
  return table;
}

function readTable(fd: number): Frame[] {
  const { size } = fs.fstatSync(fd);
  const footer = readAt(fd, size - FOOTER_BYTES, FOOTER_BYTES);
  const count = footer.readUInt32LE(0);
  if (footer.readUInt32LE(5) !== TABLE_MAGIC || footer[4] !== 0 || count > MAX_FRAMES) {
    throw new Error("no table of its blocks at the end");
  }
  const tableAt = size - FOOTER_BYTES - count * ENTRY_BYTES;
  const table = readAt(fd, tableAt, count * ENTRY_BYTES);
  const frames: Frame[] = [];
  let [at, rawAt] = [0, 0];
  for (let i = 0; i < count; i += 1) {
    const bytes = table.readUInt32LE(i * ENTRY_BYTES);
    const rawBytes = table.readUInt32LE(i * ENTRY_BYTES + 4);
    if (rawBytes > MAX_BLOCK_BYTES) throw new Error("a block is too long");
    frames.push({ at, bytes, rawAt, rawBytes });
    at += bytes;
    rawAt += rawBytes;
  }
  if (at !== tableAt - HEADER_BYTES) throw new Error("the table does not fit the blocks");
  return frames;
}

function readAt(fd: number, at: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (at < 0 || fs.readSync(fd, buffer, 0, bytes, at) !== bytes) throw new Error("too short");
  return buffer;
}

function isSame(filePath: string, archivePath: string): boolean {
  const copy = new AuditArchive(archivePath);
  try {
    if (copy.rawBytes !== fs.statSync(filePath).size) return false;
    for (const { at, bytes } of cutBlocks(filePath)) {
      if (hash("sha256", bytes) !== hash("sha256", copy.read(at, bytes.length))) return false;
    }
    return true;
  } finally {
    copy.close();
  }
}
