import path from "node:path";
import type { KeyObject } from "node:crypto";
import { NO_RECORD } from "../audit/chain.ts";
import { isSignedBy, parseCheckpoint } from "../audit/checkpoint.ts";
import type { ChainReport } from "../audit/finding.ts";
import { parseRecord, type ChainId } from "../audit/record.ts";
import type { VerifyEnd, VerifyOptions, VerifyStart } from "../audit/verify-options.ts";
import { ChainVerifier } from "../audit/verify.ts";
import { sealedHash } from "../audit/seal.ts";
import { AuditContent, chunksOf } from "./audit-content.ts";
import type { AuditFileName } from "./audit-file-names.ts";

/** Verifies files that follow one another. */
export function verifyFiles(
  chain: ChainId,
  files: readonly AuditFileName[],
  options: VerifyOptions,
): { readonly report: ChainReport; readonly end: VerifyEnd } {
  const verifier = new ChainVerifier(chain, options);
  for (const file of files) {
    verifier.startFile(path.basename(file.path));
    try {
      for (const chunk of chunksOf(file)) verifier.feed(chunk);
    } catch (error) {
      // A plain file that can't be read gives no answer; a damaged archive is one.
      if (!file.isCompressed) throw error;
      verifier.feed(UNREADABLE);
    }
  }
  return { report: verifier.finish(), end: verifier.end };
}

/** What stands for the rest of a damaged archive. */
export const UNREADABLE = Buffer.from("what follows in this file can't be decompressed\n");

/** The files that are read, and what is known of the record before them. */
export interface Kept {
  readonly files: readonly AuditFileName[];
  readonly from: VerifyStart | undefined;
}

export function startOf(
  files: readonly AuditFileName[],
  {
    sinceSeq,
    publicKeys,
  }: { readonly sinceSeq?: number | undefined; readonly publicKeys: readonly KeyObject[] },
): Kept {
  for (let i = files.length - 1; sinceSeq !== undefined && i > 0; i -= 1) {
    const [file, before] = [files[i], files[i - 1]];
    if (file === undefined || before === undefined || file.firstSeq > sinceSeq) continue;
    const from = checkpointAtEnd(before, publicKeys);
    if (from?.seq === file.firstSeq - 1) return { files: files.slice(i), from };
  }
  const [first] = files;
  if (first === undefined || first.firstSeq === 1) return { files, from: undefined };
  const prev = firstPrev(first);
  const from: VerifyStart | undefined =
    prev === undefined ? undefined : { kind: "pruned", seq: first.firstSeq - 1, hash: prev };
  return { files, from };
}

function checkpointAtEnd(
  file: AuditFileName,
  publicKeys: readonly KeyObject[],
): VerifyStart | undefined {
  const content = new AuditContent(file);
  try {
    const line = content.lastLine();
    const checkpoint = parseCheckpoint(line);
    const isSigned = publicKeys.some((key) => isSignedBy(checkpoint, key));
    return isSigned && sealedHash(line, 0, line.length) === checkpoint.hash
      ? { kind: "known", seq: checkpoint.seq, hash: checkpoint.hash }
      : undefined;
  } catch {
    return undefined; // no checkpoint: looked for in the file before
  } finally {
    content.close();
  }
}

/** The hash that the file's first record is chained to, as it says; `undefined` where there is no record. */
export function firstPrev(file: AuditFileName): string | undefined {
  if (file.firstSeq === 1) return NO_RECORD;
  try {
    for (const chunk of chunksOf(file)) {
      const end = chunk.indexOf(0x0a);
      return end === -1 ? undefined : parseRecord(chunk.subarray(0, end)).prev;
    }
  } catch {
    // No record, or no archive: verifying from record 1 on tells.
  }
  return undefined;
}
