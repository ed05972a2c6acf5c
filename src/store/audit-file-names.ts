import fs from "node:fs";
import path from "node:path";
import { parseChainId, parseSeq, type ChainId, type Seq } from "../audit/record.ts";

/** One file of a chain: its records from `firstSeq` up to the next file's. */
export interface AuditFileName {
  readonly path: string;
  readonly chain: ChainId;
  readonly firstSeq: Seq;
}

/** `audit-<chain>-<first seq, twelve digits>.jsonl`: names sort in the order of their records. */
export function auditFileName(chain: ChainId, firstSeq: number): string {
  return `audit-${chain}-${String(firstSeq).padStart(12, "0")}.jsonl`;
}

/** The directory's audit files, by chain and then in order. */
export function listAuditFiles(directory: string): AuditFileName[] {
  return fs
    .readdirSync(directory)
    .sort()
    .flatMap((name) => {
      const match = /^audit-([0-9a-f]{16})-(\d{12,})\.jsonl$/.exec(name);
      if (match?.[1] === undefined) return [];
      return {
        path: path.join(directory, name),
        chain: parseChainId(match[1]),
        firstSeq: parseSeq(Number(match[2])),
      };
    });
}

/** Where a statement that is too long for a record is kept whole. */
export function spilledPath(directory: string, sha256: string): string {
  return path.join(directory, "spilled", `${sha256}.sql`);
}
