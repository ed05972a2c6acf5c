import { hash } from "node:crypto";
import fs from "node:fs";
import { SEAL_BYTES } from "../audit/chain.ts";
import { parseRecord, type LoggedRecord } from "../audit/record.ts";
import { matcher, neededBytes, neededText, type SearchFilter } from "../audit/search.ts";
import { AuditContent, chunksOf } from "./audit-content.ts";
import { listAuditFiles, spilledPath, type AuditFileName } from "./audit-file-names.ts";
import { openIndex } from "./audit-index.ts";

const LINE_FEED = 0x0a;

/** A record and the line it stands on, byte for byte. */
export interface FoundRecord {
  readonly record: LoggedRecord;
  /** Without its line feed; a copy. */
  readonly line: Buffer;
  /** The line is the one that its hash was made of. That it belongs there, only verifying tells. */
  readonly isSealed: boolean;
}

/**
 * Records that match, file by file and in order within each chain. Where a file has an index, only what may match is read;
 * what is found is always read from the file. Lines that are no records are passed over: verifying names them.
 *
 * @param how - `withoutIndex` reads everything, for whoever trusts the files only
 */
export function* searchDirectory(
  directory: string,
  filter: SearchFilter,
  how: { readonly withoutIndex?: boolean } = {},
): Generator<FoundRecord> {
  const matches = matcher(filter, (sha256) => readSpilled(directory, sha256));
  for (const file of listAuditFiles(directory)) {
    for (const line of linesToLookAt(file, filter, how)) {
      const record = readRecord(line);
      if (record === undefined || !matches(record)) continue;
      const isSealed = record.hash === hash("sha256", line.subarray(0, -SEAL_BYTES));
      yield { record, line: Buffer.from(line), isSealed };
    }
  }
}

function* linesToLookAt(
  file: AuditFileName,
  filter: SearchFilter,
  { withoutIndex = false }: { readonly withoutIndex?: boolean },
): Generator<Buffer> {
  const content = new AuditContent(file);
  try {
    const index = withoutIndex ? undefined : openIndex(file, content);
    if (index === undefined) {
      yield* linesOf(chunksOf(file), filter);
      return;
    }
    const places = index.candidates(filter);
    index.close();
    for (const { at, bytes } of places) yield* linesOf([content.read(at, bytes)], filter);
  } finally {
    content.close();
  }
}

/** The text of a statement that was too long for its record; empty when its file is gone, which verifying tells. */
function readSpilled(directory: string, sha256: string): string {
  const filePath = spilledPath(directory, sha256);
  return fs.existsSync(filePath) ? fs.readFileSync(filePath, "utf8") : "";
}

/** The whole lines that may match; views into a buffer that is used again. */
function* linesOf(chunks: Iterable<Buffer>, filter: SearchFilter): Generator<Buffer> {
  const needed = neededBytes(filter);
  const text = needed === undefined ? neededText(filter) : undefined;
  let carry = Buffer.alloc(0);
  for (const chunk of chunks) {
    const bytes = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    const end = bytes.lastIndexOf(LINE_FEED) + 1;
    const next = text === undefined ? exactly(bytes, needed) : inAnyCase(bytes, text);
    let start = 0;
    while (start < end) {
      const at = next(start);
      if (at === -1 || at >= end) break;
      start = bytes.lastIndexOf(LINE_FEED, at) + 1;
      const lineEnd = bytes.indexOf(LINE_FEED, at);
      yield bytes.subarray(start, lineEnd);
      start = lineEnd + 1;
    }
    carry = Buffer.from(bytes.subarray(end));
  }
}

/** Where to go on looking from a place. */
type Next = (from: number) => number;

function exactly(bytes: Buffer, needed: Buffer | undefined): Next {
  return needed === undefined ? (from) => from : (from) => bytes.indexOf(needed, from);
}

/** Their lower case is in ASCII, so a part in ASCII may be of them. */
const BECOME_ASCII = [Buffer.from("\u212a"), Buffer.from("\u0130")];
const SPILLED_MEMBER = `"sql_spilled":true`;

function inAnyCase(bytes: Buffer, text: string): Next {
  if (BECOME_ASCII.some((letter) => bytes.includes(letter))) return (from) => from;
  const lower = bytes.toString("latin1").toLowerCase();
  let [textAt, spilledAt] = [-2, -2];
  return (from) => {
    if (textAt !== -1 && textAt < from) textAt = lower.indexOf(text, from);
    if (spilledAt !== -1 && spilledAt < from) spilledAt = lower.indexOf(SPILLED_MEMBER, from);
    if (textAt === -1 || spilledAt === -1) return Math.max(textAt, spilledAt);
    return Math.min(textAt, spilledAt);
  };
}

function readRecord(line: Buffer): LoggedRecord | undefined {
  try {
    return parseRecord(line);
  } catch {
    return undefined; // no record: verifying names it, searching goes on
  }
}
