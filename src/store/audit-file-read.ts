import fs from "node:fs";
import path from "node:path";
import { hash, type KeyObject } from "node:crypto";
import { isSignedBy, parseCheckpoint, type Checkpoint } from "../audit/checkpoint.ts";
import type { Attachment, ChainReport, Finding } from "../audit/finding.ts";
import { parseRecord, type ChainId, type LoggedRecord } from "../audit/record.ts";
import { matcher, neededBytes, type SearchFilter } from "../audit/search.ts";
import { ChainVerifier } from "../audit/verify.ts";
import { listAuditFiles, spilledPath, type AuditFileName } from "./audit-file-names.ts";

const CHUNK_BYTES = 4 << 20;
const LINE_FEED = 0x0a;

/** A record and the line it stands on, byte for byte. */
export interface FoundRecord {
  readonly record: LoggedRecord;
  /** Without its line feed; a copy. */
  readonly line: Buffer;
}

/**
 * Verifies every chain in a directory, and the files that its records name.
 *
 * @throws Error as `fs` does: then there is no answer
 */
export function verifyDirectory(
  directory: string,
  options: { readonly publicKeys: readonly KeyObject[]; readonly anchors: readonly Checkpoint[] },
): ChainReport[] {
  const files = new Map<ChainId, AuditFileName[]>();
  // A chain of which nothing but an anchor is left is one that was deleted.
  for (const { chain } of options.anchors) files.set(chain, []);
  for (const file of listAuditFiles(directory)) {
    files.set(file.chain, [...(files.get(file.chain) ?? []), file]);
  }
  return [...files].map(([chain, names]) => {
    const report = verifyChain(chain, names, options);
    const altered = report.attachments.flatMap((file) => checkAttachment(directory, file));
    return { ...report, findings: [...report.findings, ...altered].sort((a, b) => a.seq - b.seq) };
  });
}

function verifyChain(
  chain: ChainId,
  files: readonly AuditFileName[],
  options: ConstructorParameters<typeof ChainVerifier>[1],
): ChainReport {
  const verifier = new ChainVerifier(chain, options);
  for (const file of files) {
    verifier.startFile(path.basename(file.path));
    for (const chunk of chunksOf(file.path)) verifier.feed(chunk);
  }
  return verifier.finish();
}

function checkAttachment(directory: string, attachment: Attachment): Finding[] {
  const { seq, kind, sha256, file, line } = attachment;
  // A name out of the log is only a name: nothing outside the directory is opened for it.
  const filePath =
    kind === "spilled"
      ? spilledPath(directory, sha256)
      : path.join(directory, path.basename(attachment.name ?? ""));
  const name = path.relative(directory, filePath);
  const find = (message: string): Finding[] => [{ kind: "attachment", seq, file, line, message }];
  if (!fs.statSync(filePath, { throwIfNoEntry: false })?.isFile())
    return find(`${name} is missing`);
  if (hash("sha256", fs.readFileSync(filePath)) === sha256) return [];
  return find(`${name} is not what record ${seq} names`);
}

/**
 * Checkpoints out of an anchor file.
 *
 * @throws Error when one is unreadable, or not signed by any of the keys: an anchor that proves nothing is no anchor
 */
export function loadAnchors(filePath: string, publicKeys: readonly KeyObject[]): Checkpoint[] {
  const lines = fs.readFileSync(filePath).toString("latin1").split("\n");
  // A last line without its end is one that was being written.
  return lines.slice(0, -1).map((line, i) => {
    const checkpoint = parseCheckpoint(Buffer.from(line, "latin1"));
    if (publicKeys.length > 0 && !publicKeys.some((key) => isSignedBy(checkpoint, key))) {
      throw new Error(`anchor in line ${i + 1} is not signed by the key`);
    }
    return checkpoint;
  });
}

/**
 * Records that match, file by file and in order within each chain. Whether they are what was written, {@link verifyDirectory}
 * says; lines that are no records are passed over here.
 */
export function* searchDirectory(directory: string, filter: SearchFilter): Generator<FoundRecord> {
  const matches = matcher(filter, (sha256) => readSpilled(directory, sha256));
  const needed = neededBytes(filter);
  for (const file of listAuditFiles(directory)) {
    for (const line of linesOf(file.path, needed)) {
      const record = readRecord(line);
      if (record !== undefined && matches(record)) yield { record, line: Buffer.from(line) };
    }
  }
}

/** The text of a statement that was too long for its record; empty when its file is gone, which verifying tells. */
function readSpilled(directory: string, sha256: string): string {
  const filePath = spilledPath(directory, path.basename(sha256));
  return fs.existsSync(filePath) ? fs.readFileSync(filePath, "utf8") : "";
}

/** The whole lines of a file that have the bytes in them; views into a buffer that is used again. */
function* linesOf(filePath: string, needed: Buffer | undefined): Generator<Buffer> {
  let carry = Buffer.alloc(0);
  for (const chunk of chunksOf(filePath)) {
    const bytes = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    const end = bytes.lastIndexOf(LINE_FEED) + 1;
    let start = 0;
    while (start < end) {
      if (needed !== undefined) {
        const at = bytes.indexOf(needed, start);
        if (at === -1 || at >= end) break;
        start = bytes.lastIndexOf(LINE_FEED, at) + 1;
      }
      const lineEnd = bytes.indexOf(LINE_FEED, start);
      yield bytes.subarray(start, lineEnd);
      start = lineEnd + 1;
    }
    carry = Buffer.from(bytes.subarray(end));
  }
}

function* chunksOf(filePath: string): Generator<Buffer> {
  const fd = fs.openSync(filePath, "r");
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (;;) {
      const bytes = fs.readSync(fd, buffer);
      if (bytes === 0) return;
      yield buffer.subarray(0, bytes);
    }
  } finally {
    fs.closeSync(fd);
  }
}

function readRecord(line: Buffer): LoggedRecord | undefined {
  try {
    return parseRecord(line);
  } catch {
    return undefined; // no record: verifying names it, searching goes on
  }
}
