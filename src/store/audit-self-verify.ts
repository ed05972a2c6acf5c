import fs from "node:fs";
import path from "node:path";
import type { KeyObject } from "node:crypto";
import type { ChainHead } from "../audit/chain.ts";
import type { Finding } from "../audit/finding.ts";
import { ChainVerifier } from "../audit/verify.ts";
import { chunksOf } from "./audit-content.ts";
import { listAuditFiles, type AuditFileName } from "./audit-file-names.ts";
import { startOf, UNREADABLE, type Kept } from "./audit-verify-files.ts";
import { checkAttachment, loadAnchors } from "./audit-verify.ts";

/** How far a log was verified: after a checkpoint's line, `offset` bytes into a file as it was written. */
export interface VerifiedUpTo {
  readonly firstSeq: number;
  readonly offset: number;
  readonly seq: number;
  readonly hash: string;
}

export interface SelfVerifyJob {
  readonly directory: string;
  /** The checkpoint to verify up to, as its writer knows it; it is on disk. */
  readonly target: ChainHead;
  readonly publicKey: KeyObject;
  readonly anchorFile: string | undefined;
  /** Without, from the log's start. */
  readonly since: VerifiedUpTo | undefined;
}

export interface SelfVerifyResult {
  readonly records: number;
  readonly findings: readonly Finding[];
  /** `undefined` when the checkpoint was not where it should be. */
  readonly upTo: VerifiedUpTo | undefined;
}

const ATTEMPTS = 40;
const PAUSE_MS = 50;

/**
 * Verifies a log that is being written, up to a checkpoint. Of what its writer does meanwhile nothing is a finding: a file
 * that is compressed or removed under it is looked for again, and what is wrong has to be so when it is read once more.
 *
 * @throws Error as `fs` does: then there is no answer
 */
export function selfVerify(job: SelfVerifyJob): SelfVerifyResult {
  const first = verifyOnce(job);
  return first.findings.length === 0 ? first : verifyOnce(job);
}

function verifyOnce(job: SelfVerifyJob): SelfVerifyResult {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return read(job);
    } catch (error) {
      if (attempt >= ATTEMPTS || !isGone(error)) throw error;
      // A thread of its own, so it may block; whoever is removing files has some more to remove.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}

function read(job: SelfVerifyJob): SelfVerifyResult {
  const { directory, target, publicKey } = job;
  const { files, from, since } = startAt(job);
  const anchors = [...anchorsOf(job), target];
  const verifier = new ChainVerifier(target.chain, { publicKeys: [publicKey], anchors, from });
  const end = new LineEnd(`${target.hash}"}\n`);
  // That the log's first files were removed in their turn may be on record only after the checkpoint.
  const stopsThere = from?.kind !== "pruned";
  let upTo: VerifiedUpTo | undefined;
  for (const file of files) {
    if (upTo !== undefined && stopsThere) break;
    const isWithin = file.firstSeq === since?.firstSeq;
    let offset = isWithin ? since.offset : 0;
    verifier.startFile(path.basename(file.path), isWithin ? since.seq - file.firstSeq + 1 : 0);
    for (const chunk of readable(file, offset)) {
      const at = upTo === undefined ? end.find(chunk) : undefined;
      if (at !== undefined) {
        const { seq, hash } = target;
        upTo = { firstSeq: file.firstSeq, offset: offset + at, seq, hash };
      }
      verifier.feed(at !== undefined && stopsThere ? chunk.subarray(0, at) : chunk);
      if (upTo !== undefined && stopsThere) break;
      offset += chunk.length;
    }
  }
  const { records, findings, attachments } = verifier.finish();
  const altered = attachments.flatMap((attachment) => checkAttachment(directory, attachment));
  // INVARIANT: what lies after the checkpoint may be half written, and is nobody's fault.
  const certain = [...findings, ...altered].filter(({ seq }) => seq <= target.seq);
  return { records, findings: certain, upTo };
}

/** The files to read. The one that verifying got to may have been removed when its time was over: then all. */
function startAt({ directory, target, publicKey, since }: SelfVerifyJob): Kept & {
  readonly since?: VerifiedUpTo;
} {
  const files = listAuditFiles(directory).filter(({ chain }) => chain === target.chain);
  const first = files.findIndex(({ firstSeq }) => firstSeq === since?.firstSeq);
  if (since === undefined || first === -1) return startOf(files, { publicKeys: [publicKey] });
  const { seq, hash } = since;
  return { files: files.slice(first), from: { kind: "known", seq, hash }, since };
}

/** Of this chain, and not of what is written meanwhile. They tell what was cut off while nobody was writing. */
function anchorsOf({ anchorFile, target, publicKey, since }: SelfVerifyJob): ChainHead[] {
  if (anchorFile === undefined || since !== undefined || !fs.existsSync(anchorFile)) return [];
  return loadAnchors(anchorFile, [publicKey])
    .filter(({ chain, seq }) => chain === target.chain && seq < target.seq)
    .map(({ chain, seq, hash }) => ({ chain, seq, hash }));
}

function* readable(file: AuditFileName, from: number): Generator<Buffer> {
  try {
    yield* chunksOf(file, from);
  } catch (error) {
    if (!file.isCompressed || isGone(error)) throw error;
    yield UNREADABLE;
  }
}

function isGone(error: unknown): boolean {
  return (
    error instanceof Error &&
    (("code" in error && error.code === "ENOENT") || isGone(error.cause ?? undefined))
  );
}

/** Looks for bytes that a chunk, or two that follow one another, may have. */
class LineEnd {
  readonly #wanted: Buffer;
  #before = Buffer.alloc(0);

  constructor(wanted: string) {
    this.#wanted = Buffer.from(wanted);
  }

  /** @returns the place in the chunk behind them */
  find(chunk: Buffer): number | undefined {
    const { length } = this.#wanted;
    const seam = Buffer.concat([this.#before, chunk.subarray(0, length - 1)]);
    const atSeam = seam.indexOf(this.#wanted);
    if (atSeam !== -1) return atSeam + length - this.#before.length;
    const at = chunk.indexOf(this.#wanted);
    if (at !== -1) return at + length;
    const tail = chunk.length >= length ? chunk : seam;
    this.#before = Buffer.from(tail.subarray(Math.max(tail.length - length + 1, 0)));
    return undefined;
  }
}
