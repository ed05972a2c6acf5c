import fs from "node:fs";
import { MAX_RECORD_BYTES } from "../audit/record.ts";

/** About 240 records: what is read, and decompressed, to look at one of them. */
const BLOCK_BYTES = 128 << 10;
const LINE_FEED = 0x0a;

export interface Block {
  /** In the file as it was written. */
  readonly at: number;
  /** Whole lines, but for a last one that the file ends within. A view until the next block. */
  readonly bytes: Buffer;
}

/**
 * Cuts a file that is not compressed into blocks of whole lines, always at the same places. A line longer than a block is
 * a block by itself; what goes on for longer than a record may be is cut anywhere.
 */
export function* cutBlocks(filePath: string): Generator<Block> {
  const fd = fs.openSync(filePath, "r");
  try {
    let buffer = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let at = 0; ;) {
      const bytes = readBlock(fd, at, buffer);
      if (bytes.length === 0) return;
      const end = bytes.lastIndexOf(LINE_FEED) + 1;
      if (end === 0 && bytes.length === buffer.length && buffer.length < MAX_RECORD_BYTES) {
        buffer = Buffer.allocUnsafe(2 * buffer.length);
        continue;
      }
      const block = end === 0 ? bytes : bytes.subarray(0, end);
      yield { at, bytes: block };
      at += block.length;
      if (buffer.length > BLOCK_BYTES) buffer = Buffer.allocUnsafe(BLOCK_BYTES);
    }
  } finally {
    fs.closeSync(fd);
  }
}

function readBlock(fd: number, at: number, into: Buffer): Buffer {
  let filled = 0;
  while (filled < into.length) {
    const read = fs.readSync(fd, into, filled, into.length - filled, at + filled);
    if (read === 0) break;
    filled += read;
  }
  return into.subarray(0, filled);
}
