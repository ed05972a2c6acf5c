import fs from "node:fs";
import path from "node:path";
import { hash, type KeyObject } from "node:crypto";
import { isSignedBy, parseCheckpoint, type Checkpoint } from "../audit/checkpoint.ts";
import type { Attachment, ChainReport, Finding } from "../audit/finding.ts";
import type { ChainId } from "../audit/record.ts";
import { listAuditFiles, spilledPath, type AuditFileName } from "./audit-file-names.ts";
import { startOf, verifyFiles } from "./audit-verify-files.ts";
import { verifyInThreads } from "./audit-verify-threads.ts";

export interface VerifyDirectoryOptions {
  readonly publicKeys: readonly KeyObject[];
  readonly anchors: readonly Checkpoint[];
  /** Begins after a signed checkpoint at or before this record, at the end of a file; needs a key. */
  readonly sinceSeq?: number | undefined;
}

/**
 * Verifies every chain in a directory, and the files that its records name.
 *
 * @throws Error as `fs` does: then there is no answer
 */
export function verifyDirectory(directory: string, options: VerifyDirectoryOptions): ChainReport[] {
  return chainsOf(directory, options).map(([chain, files]) =>
    withAttachments(directory, verifyChain(chain, files, options)),
  );
}

/**
 * The same, file by file in as many threads as there are processors. A log in which anything is wrong is read once more from
 * its start, in order, to say what.
 */
export async function verifyDirectoryInThreads(
  directory: string,
  options: VerifyDirectoryOptions,
): Promise<ChainReport[]> {
  const reports: ChainReport[] = [];
  for (const [chain, files] of chainsOf(directory, options)) {
    const kept = startOf(files, options);
    const report =
      (await verifyInThreads(chain, kept.files, { ...options, from: kept.from })) ??
      verifyChain(chain, files, options);
    reports.push(withAttachments(directory, report));
  }
  return reports;
}

/**
 * Checkpoints out of an anchor file, or out of all files of a folder, where other records are passed over.
 *
 * @throws Error when one is unreadable, or not signed by any of the keys: an anchor that proves nothing is no anchor
 */
export function loadAnchors(filePath: string, publicKeys: readonly KeyObject[]): Checkpoint[] {
  if (!fs.statSync(filePath).isDirectory()) return readAnchors(filePath, publicKeys);
  return fs
    .readdirSync(filePath, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap(({ parentPath, name }) =>
      readAnchors(path.join(parentPath, name), publicKeys, "some"),
    );
}

function readAnchors(
  filePath: string,
  publicKeys: readonly KeyObject[],
  which: "all" | "some" = "all",
): Checkpoint[] {
  const lines = fs.readFileSync(filePath).toString("latin1").split("\n");
  // A last line without its end is one that was being written.
  return lines.slice(0, -1).flatMap((line, i) => {
    if (which === "some" && !line.includes(`"event":"chain.checkpoint"`)) return [];
    const checkpoint = parseCheckpoint(Buffer.from(line, "latin1"));
    if (publicKeys.length > 0 && !publicKeys.some((key) => isSignedBy(checkpoint, key))) {
      throw new Error(`anchor in line ${i + 1} is not signed by the key`);
    }
    return [checkpoint];
  });
}

function chainsOf(
  directory: string,
  { anchors }: VerifyDirectoryOptions,
): [ChainId, AuditFileName[]][] {
  const files = new Map<ChainId, AuditFileName[]>();
  // A chain of which nothing but an anchor is left is one that was deleted.
  for (const { chain } of anchors) files.set(chain, []);
  for (const file of listAuditFiles(directory)) {
    files.set(file.chain, [...(files.get(file.chain) ?? []), file]);
  }
  return [...files];
}

function verifyChain(
  chain: ChainId,
  files: readonly AuditFileName[],
  options: VerifyDirectoryOptions,
): ChainReport {
  const kept = startOf(files, options);
  return verifyFiles(chain, kept.files, { ...options, from: kept.from }).report;
}

function withAttachments(directory: string, report: ChainReport): ChainReport {
  const altered = report.attachments.flatMap((file) => checkAttachment(directory, file));
  return { ...report, findings: [...report.findings, ...altered].sort((a, b) => a.seq - b.seq) };
}

/** What is wrong with a file that a record names, if anything. */
export function checkAttachment(directory: string, attachment: Attachment): Finding[] {
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
