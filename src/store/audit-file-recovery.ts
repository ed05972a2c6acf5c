import fs from "node:fs";
import path from "node:path";
import { hash, randomBytes } from "node:crypto";
import { NO_RECORD, SEAL_BYTES, type ChainHead } from "../audit/chain.ts";
import { MAX_RECORD_BYTES, parseChainId, parseRecord, type LoggedRecord } from "../audit/record.ts";
import type { Sha256 } from "../base/digest.ts";
import { AuditUnavailable } from "../base/errors.ts";
import { AuditContent } from "./audit-content.ts";
import { writeDurably } from "./durable-files.ts";
import { listAuditFiles, type AuditFileName } from "./audit-file-names.ts";

/** Bytes after the last whole record, moved out of the log. */
interface TornTail {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: Sha256;
  readonly whole_lines: number;
}

/** Where a chain is taken up again. */
export interface Recovered {
  readonly head: ChainHead;
  readonly path: string;
  readonly position: number;
  readonly after: "close" | "crash";
  readonly torn: TornTail | undefined;
}

export function newChain(): ChainHead {
  return { chain: parseChainId(randomBytes(8).toString("hex")), seq: 0, hash: NO_RECORD };
}

/**
 * Finds the end of the directory's chain, and moves what a killed writer left unfinished into a file of its own.
 *
 * @returns `undefined` where there is no chain yet
 * @throws AuditUnavailable when the end is not what a writer can have left: the chain is not taken up on it
 */
export function recoverChain(directory: string): Recovered | undefined {
  const files = listAuditFiles(directory);
  if (new Set(files.map((file) => file.chain)).size > 1) {
    throw new AuditUnavailable(`"${directory}" holds the files of more than one chain`, {
      hint: "Give each writer a directory of its own, and keep copies of other logs elsewhere.",
    });
  }
  let torn: TornTail | undefined;
  files.reverse();
  for (const [i, file] of files.entries()) {
    if (file.isCompressed) break;
    const tail = readTail(file);
    if (tail.last === undefined && tail.position > 0) throw damaged(file);
    if (tail.garbage.length > 0) {
      if (torn !== undefined) throw damaged(file);
      torn = setAside(directory, file, tail);
    }
    if (tail.last !== undefined) {
      const { chain, seq, hash: recordHash } = tail.last;
      return {
        head: { chain, seq, hash: recordHash },
        path: file.path,
        position: tail.position,
        after: tail.isClosed ? "close" : "crash",
        torn,
      };
    }
    // Killed between opening this file and its first whole record: the chain ends in the file before.
    if (file.firstSeq === 1) {
      return {
        head: { chain: file.chain, seq: 0, hash: NO_RECORD },
        path: file.path,
        position: 0,
        after: "crash",
        torn,
      };
    }
    const before = files[i + 1];
    if (before?.isCompressed === true) return begunAfter(before, file, torn);
    fs.unlinkSync(file.path);
  }
  if (files.length > 0) throw damaged(files[0] as AuditFileName);
  return undefined;
}

/** The file before is closed for good by now, so the one that was begun is gone on with, from its beginning. */
function begunAfter(
  before: AuditFileName,
  file: AuditFileName,
  torn: TornTail | undefined,
): Recovered {
  const content = new AuditContent(before);
  try {
    const last = content.last();
    if (last?.seq !== file.firstSeq - 1) throw damaged(before);
    const head = { chain: last.chain, seq: last.seq, hash: last.hash };
    return { head, path: file.path, position: 0, after: "crash", torn };
  } finally {
    content.close();
  }
}

interface Tail {
  readonly last: LoggedRecord | undefined;
  /** The writer had ended the chain in order: `chain.closed`, then the last checkpoint. */
  readonly isClosed: boolean;
  /** Where the next record goes. */
  readonly position: number;
  readonly garbage: Buffer;
}

function readTail(file: AuditFileName): Tail {
  const { start, bytes } = readEnd(file.path, 2 * MAX_RECORD_BYTES);
  let lineEnd = bytes.lastIndexOf(0x0a);
  while (lineEnd !== -1) {
    const end = lineEnd + 1;
    const lineStart = lineEnd === 0 ? 0 : bytes.lastIndexOf(0x0a, lineEnd - 1) + 1;
    const last = wholeRecord(bytes.subarray(lineStart, lineEnd), file);
    if (last !== undefined) {
      const isClosed = last.event === "chain.checkpoint" && endsInClosed(bytes, lineStart);
      return { last, isClosed, position: start + end, garbage: bytes.subarray(end) };
    }
    lineEnd = lineStart - 1;
  }
  return { last: undefined, isClosed: false, position: start, garbage: bytes };
}

function readEnd(filePath: string, maxBytes: number): { start: number; bytes: Buffer } {
  const fd = fs.openSync(filePath, "r");
  try {
    const { size } = fs.fstatSync(fd);
    const start = Math.max(0, size - maxBytes);
    const bytes = Buffer.alloc(size - start);
    let filled = 0;
    while (filled < bytes.length) {
      const read = fs.readSync(fd, bytes, filled, bytes.length - filled, start + filled);
      if (read === 0) throw new AuditUnavailable(`"${filePath}" shrank while it was read`);
      filled += read;
    }
    return { start, bytes };
  } finally {
    fs.closeSync(fd);
  }
}

function wholeRecord(line: Buffer, file: AuditFileName): LoggedRecord | undefined {
  try {
    const record = parseRecord(line);
    const isWhole =
      record.chain === file.chain &&
      record.seq >= file.firstSeq &&
      record.hash === hash("sha256", line.subarray(0, -SEAL_BYTES));
    return isWhole ? record : undefined;
  } catch {
    return undefined; // what does not parse is no record: that is the answer here, not a failure
  }
}

function endsInClosed(bytes: Buffer, end: number): boolean {
  const before = bytes.subarray(Math.max(0, end - 1024), end);
  const lineStart = before.lastIndexOf(0x0a, before.length - 2) + 1;
  return before.includes(`"event":"chain.closed"`, lineStart);
}

/** The bytes are on disk in their own file before they are cut from the log: a second kill between the two loses nothing. */
function setAside(directory: string, file: AuditFileName, tail: Tail): TornTail {
  const sha256 = hash("sha256", tail.garbage) as Sha256;
  const name = `torn-${file.chain}-${sha256.slice(0, 16)}.bin`;
  writeDurably(path.join(directory, name), tail.garbage);
  fs.truncateSync(file.path, tail.position);
  return {
    file: name,
    bytes: tail.garbage.length,
    sha256,
    whole_lines: tail.garbage.reduce((lines, byte) => lines + Number(byte === 0x0a), 0),
  };
}

function damaged(file: AuditFileName): AuditUnavailable {
  return new AuditUnavailable(`audit file "${file.path}" ends in what is no record`, {
    hint: "Keep the directory as evidence, see `twokey audit verify`, and give the writer a new one.",
  });
}
