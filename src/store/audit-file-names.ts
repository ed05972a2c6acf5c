import fs from "node:fs";
import path from "node:path";
import { parseChainId, parseSeq, type ChainId, type Seq } from "../audit/record.ts";

/** One file of a chain: its records from `firstSeq` up to the next file's. */
export interface AuditFileName {
  readonly path: string;
  readonly chain: ChainId;
  readonly firstSeq: Seq;
  readonly isCompressed: boolean;
}

/** `audit-<chain>-<first seq, twelve digits>.jsonl`: names sort in the order of their records. */
export function auditFileName(chain: ChainId, firstSeq: number): string {
  return `audit-${chain}-${String(firstSeq).padStart(12, "0")}.jsonl`;
}

/**
 * The directory's audit files, by chain and then in order. One that is there compressed and as it was written is the
 * latter: its compression was interrupted.
 */
export function listAuditFiles(directory: string): AuditFileName[] {
  const names = new Set(fs.readdirSync(directory));
  return [...names].sort().flatMap((name) => {
    const match = /^audit-([0-9a-f]{16})-(\d{12,})\.jsonl(\.zst)?$/.exec(name);
    if (match?.[1] === undefined) return [];
    const isCompressed = match[3] !== undefined;
    if (isCompressed && names.has(name.slice(0, -".zst".length))) return [];
    return {
      path: path.join(directory, name),
      chain: parseChainId(match[1]),
      firstSeq: parseSeq(Number(match[2])),
      isCompressed,
    };
  });
}

/** Where a statement that is too long for a record is kept whole. */
export function spilledPath(directory: string, sha256: string): string {
  return path.join(directory, "spilled", `${path.basename(sha256)}.sql`);
}
