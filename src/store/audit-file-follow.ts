import fs from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { MAX_RECORD_BYTES } from "../audit/record.ts";
import { listAuditFiles, type AuditFileName } from "./audit-file-names.ts";

const LINE_FEED = 0x0a;
const STEP_BYTES = 64 << 10;
const POLL_MS = 200;

/** Where a reader has got to in a chain. */
export interface TailPlace {
  readonly file: AuditFileName;
  readonly position: number;
}

/**
 * The last whole lines of the chain that was written to last, and where the next will be.
 *
 * @returns no place when there is no log
 */
export function lastLines(
  directory: string,
  count: number,
): { lines: Buffer[]; place: TailPlace | undefined } {
  const [latest] = listAuditFiles(directory)
    .map((file) => ({ file, writtenMs: fs.statSync(file.path).mtimeMs }))
    .sort((a, b) => b.writtenMs - a.writtenMs || b.file.firstSeq - a.file.firstSeq);
  if (latest === undefined) return { lines: [], place: undefined };
  const files = listAuditFiles(directory).filter(({ chain }) => chain === latest.file.chain);
  const lines: Buffer[] = [];
  let place: TailPlace | undefined;
  for (const file of files.reverse()) {
    const end = endOf(file.path, count - lines.length);
    place ??= { file, position: end.position };
    lines.unshift(...end.lines);
    if (lines.length >= count) break;
  }
  return { lines, place };
}

/** Lines as they are written from here on, over all files that follow, until the signal says to stop. */
export async function* followLines(
  directory: string,
  from: TailPlace,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let { file, position } = from;
  while (!signal.aborted) {
    // Looked for before reading: what was written to this file before the next was begun is then read to its end.
    const next = listAuditFiles(directory).find(
      ({ chain, firstSeq }) => chain === file.chain && firstSeq > file.firstSeq,
    );
    for (;;) {
      const { lines, bytes } = wholeLines(readRange(file.path, position, MAX_RECORD_BYTES));
      if (bytes === 0) break;
      yield* lines;
      position += bytes;
    }
    if (next !== undefined) {
      file = next;
      position = 0;
    } else {
      await wait(POLL_MS, undefined, { signal }).catch(() => undefined); // stopped: the loop's condition tells
    }
  }
}

function endOf(filePath: string, count: number): { lines: Buffer[]; position: number } {
  const { size } = fs.statSync(filePath);
  for (let wanted = STEP_BYTES; ; wanted *= 4) {
    const start = Math.max(0, size - wanted);
    const { lines, bytes } = wholeLines(readRange(filePath, start, size - start));
    // The first of them may have begun before `start`.
    const known = start === 0 ? lines : lines.slice(1);
    if (known.length >= count || start === 0) {
      return { lines: known.slice(Math.max(0, known.length - count)), position: start + bytes };
    }
  }
}

function readRange(filePath: string, start: number, maxBytes: number): Buffer {
  const fd = fs.openSync(filePath, "r");
  try {
    const there = Math.max(0, fs.fstatSync(fd).size - start);
    const bytes = Buffer.alloc(Math.min(there, maxBytes));
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, start));
  } finally {
    fs.closeSync(fd);
  }
}

function wholeLines(buffer: Buffer): { lines: Buffer[]; bytes: number } {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = buffer.indexOf(LINE_FEED); end !== -1; end = buffer.indexOf(LINE_FEED, start)) {
    lines.push(buffer.subarray(start, end));
    start = end + 1;
  }
  return { lines, bytes: start };
}
