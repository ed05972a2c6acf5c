import fs from "node:fs";
import path from "node:path";
import type { Seq } from "../audit/record.ts";
import type { Sha256 } from "../base/digest.ts";
import { archive } from "./audit-archive.ts";
import { AuditContent, chunksOf } from "./audit-content.ts";
import { listAuditFiles, spilledPath, type AuditFileName } from "./audit-file-names.ts";
import { buildIndex } from "./audit-index-build.ts";
import { indexPath, openIndex } from "./audit-index.ts";

export interface KeepJob {
  readonly directory: string;
  readonly compress: boolean;
  /** Files whose last record is older are removed. Milliseconds since 1970. */
  readonly writtenBeforeMs: number | undefined;
  /** The oldest are removed until all closed files together have no more. */
  readonly maxBytes: number | undefined;
  /** No file with a later record is removed. */
  readonly shippedSeq: number;
}

/** Closed files to be removed, which follow one another from the oldest on. */
export interface Removable {
  /** In the order in which they are to go; what belongs to a file follows it. */
  readonly paths: readonly string[];
  readonly from: Seq;
  readonly to: Seq;
  readonly lastHash: Sha256;
  readonly files: number;
  readonly bytes: number;
  readonly reason: "age" | "size";
}

export interface KeepResult {
  readonly removable: Removable | undefined;
}

/**
 * Indexes and compresses what is closed, and says what may be removed.
 *
 * @throws Error as `fs` does
 */
export function keepClosedFiles(job: KeepJob): KeepResult {
  const { directory } = job;
  dropUnfinished(directory);
  // The last is being written to.
  for (const file of listAuditFiles(directory).slice(0, -1)) {
    if (!hasIndex(file)) buildIndex(file, (sha256) => readSpilled(directory, sha256));
    if (job.compress && !file.isCompressed) archive(file.path);
  }
  return { removable: findRemovable(job) };
}

/** What an earlier run was killed over. */
function dropUnfinished(directory: string): void {
  for (const name of fs.readdirSync(directory)) {
    const isPart = /^audit-.*\.(index|zst)\.part$/.test(name);
    const isDouble =
      name.endsWith(".zst") && fs.existsSync(path.join(directory, name.slice(0, -4)));
    if (isPart || isDouble) fs.rmSync(path.join(directory, name), { force: true });
  }
}

function hasIndex(file: AuditFileName): boolean {
  if (!fs.existsSync(indexPath(file))) return false;
  return withIndex(file, (index) => index !== undefined);
}

function withIndex<T>(file: AuditFileName, use: (index: ReturnType<typeof openIndex>) => T): T {
  const content = new AuditContent(file);
  try {
    const index = openIndex(file, content);
    try {
      return use(index);
    } finally {
      index?.close();
    }
  } finally {
    content.close();
  }
}

function findRemovable({
  directory,
  writtenBeforeMs = -Infinity,
  maxBytes = Infinity,
  shippedSeq,
}: KeepJob): Removable | undefined {
  const files = listAuditFiles(directory);
  const sizes = files.map(diskBytes);
  let left = sizes.slice(0, -1).reduce((sum, bytes) => sum + bytes, 0);
  let [count, bytes] = [0, 0];
  let reason: Removable["reason"] = "age";
  for (const [i, file] of files.slice(0, -1).entries()) {
    const isOld = fs.statSync(file.path).mtimeMs < writtenBeforeMs;
    const isShipped = (files[i + 1]?.firstSeq ?? Infinity) - 1 <= shippedSeq;
    if (!isShipped || !(isOld || left > maxBytes)) break;
    if (!isOld) reason = "size";
    left -= sizes[i] ?? 0;
    bytes += sizes[i] ?? 0;
    count += 1;
  }
  const [first, last] = [files[0], files[count - 1]];
  if (first === undefined || last === undefined) return undefined;
  const end = lastOf(last);
  if (end === undefined) return undefined; // what doesn't end in a record is for `audit verify`, and stays
  return {
    paths: [
      ...files.slice(0, count).flatMap((file) => [file.path, indexPath(file)]),
      ...attachmentsOf(directory, files.slice(0, count), files.slice(count)),
    ],
    from: first.firstSeq,
    to: end.seq,
    lastHash: end.hash,
    files: count,
    bytes,
    reason,
  };
}

function lastOf(file: AuditFileName): ReturnType<AuditContent["last"]> {
  const content = new AuditContent(file);
  try {
    return content.last();
  } finally {
    content.close();
  }
}

function diskBytes(file: AuditFileName): number {
  const index = fs.statSync(indexPath(file), { throwIfNoEntry: false })?.size ?? 0;
  return fs.statSync(file.path).size + index;
}

/** Files beside the log that only what is removed names. */
function attachmentsOf(
  directory: string,
  removed: readonly AuditFileName[],
  kept: readonly AuditFileName[],
): string[] {
  const named = (kind: "spilled" | "torn"): Set<string> =>
    new Set(removed.flatMap((file) => withIndex(file, (index) => index?.attachments(kind) ?? [])));
  const [spilled, torn] = [named("spilled"), named("torn")];
  for (const file of spilled.size === 0 ? [] : kept) {
    const known = withIndex(file, (index) => index?.attachments("spilled"));
    for (const sha256 of known ?? namedIn(file, spilled)) spilled.delete(sha256);
  }
  return [
    ...[...spilled].map((sha256) => spilledPath(directory, sha256)),
    ...[...torn].map((name) => path.join(directory, path.basename(name))),
  ];
}

function namedIn(file: AuditFileName, digests: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  let carry = Buffer.alloc(0);
  for (const chunk of chunksOf(file)) {
    const bytes = Buffer.concat([carry, chunk]);
    for (const digest of digests) if (bytes.includes(digest)) found.add(digest);
    carry = Buffer.from(bytes.subarray(-DIGEST_BYTES));
  }
  return [...found];
}

const DIGEST_BYTES = 64;

function readSpilled(directory: string, sha256: string): string | undefined {
  const filePath = spilledPath(directory, sha256);
  return fs.existsSync(filePath) ? fs.readFileSync(filePath, "utf8") : undefined;
}
