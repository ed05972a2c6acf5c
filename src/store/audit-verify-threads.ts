import type { KeyObject } from "node:crypto";
import os from "node:os";
import { Worker } from "node:worker_threads";
import type { ChainReport } from "../audit/finding.ts";
import type { ChainId } from "../audit/record.ts";
import {
  isVouchedFor,
  type VerifyEnd,
  type VerifyOptions,
  type VerifyStart,
} from "../audit/verify-options.ts";
import type { AuditFileName } from "./audit-file-names.ts";
import { firstPrev } from "./audit-verify-files.ts";

/** One file, and what a thread is to know of the rest of its chain. */
export interface VerifyJob {
  readonly chain: ChainId;
  readonly file: AuditFileName;
  readonly publicKeys: readonly KeyObject[];
  readonly anchors: VerifyOptions["anchors"];
  readonly from: VerifyStart | undefined;
}

export interface VerifyResult {
  readonly report: ChainReport;
  readonly end: VerifyEnd;
}

/**
 * Verifies the files of a chain at the same time, each from the record that its first one is chained to.
 *
 * @returns `undefined` when anything is wrong with any of them, or with how they follow one another
 */
export async function verifyInThreads(
  chain: ChainId,
  files: readonly AuditFileName[],
  { publicKeys, anchors, from }: VerifyOptions,
): Promise<ChainReport | undefined> {
  if (files.length < 2) return undefined;
  const jobs: VerifyJob[] = [];
  for (const [i, file] of files.entries()) {
    const next = files[i + 1]?.firstSeq ?? Infinity;
    const prev = i === 0 ? from?.hash : firstPrev(file);
    if (i > 0 && prev === undefined) return undefined;
    jobs.push({
      chain,
      file,
      publicKeys,
      anchors: anchors
        .filter(({ seq }) => seq >= (i === 0 ? 0 : file.firstSeq) && seq < next)
        .map(({ chain: its, seq, hash }) => ({ chain: its, seq, hash })),
      from: prev === undefined ? undefined : { kind: "known", seq: file.firstSeq - 1, hash: prev },
    });
  }
  const report = join(jobs, await runAll(jobs));
  if (report === undefined || from === undefined) return report?.whole;
  if (from.kind === "pruned" && !isVouchedFor(from, report.removals)) return undefined;
  return { ...report.whole, since: { kind: from.kind, seq: from.seq } };
}

/** Adds up what was found, if each file is good and goes on where the one before ended. */
function join(
  jobs: readonly VerifyJob[],
  results: readonly VerifyResult[],
): { readonly whole: ChainReport; readonly removals: VerifyEnd["removals"] } | undefined {
  let whole: ChainReport | undefined;
  let due = Infinity;
  let before: VerifyEnd | undefined;
  for (const [i, { report, end }] of results.entries()) {
    if (report.findings.length > 0) return undefined;
    if (whole !== undefined && before !== undefined) {
      const start = jobs[i]?.from;
      const follows =
        whole.end !== "unfinished" && start?.seq === before.seq && start.hash === before.hash;
      if (!follows || Math.min(end.firstCheckpoint, end.seq) > due) return undefined;
    }
    whole = whole === undefined ? report : sum(whole, report);
    if (end.firstCheckpoint !== Infinity) due = end.checkpointDue;
    before = end;
  }
  const removals = results.flatMap(({ end }) => end.removals);
  return whole === undefined ? undefined : { whole, removals };
}

function sum(whole: ChainReport, next: ChainReport): ChainReport {
  return {
    ...next,
    since: whole.since,
    records: whole.records + next.records,
    checkpoints: whole.checkpoints + next.checkpoints,
    signedUpTo: Math.max(whole.signedUpTo, next.signedUpTo),
    attachments: [...whole.attachments, ...next.attachments],
  };
}

async function runAll(jobs: readonly VerifyJob[]): Promise<VerifyResult[]> {
  const results = new Array<VerifyResult>(jobs.length);
  const left = jobs.map((job, i) => ({ job, i })).reverse();
  const threads = Math.min(os.availableParallelism(), jobs.length);
  await Promise.all(
    Array.from({ length: threads }, async () => {
      const thread = new VerifyThread();
      try {
        for (let next = left.pop(); next !== undefined; next = left.pop()) {
          results[next.i] = await thread.verify(next.job);
        }
      } finally {
        await thread.close();
      }
    }),
  );
  return results;
}

class VerifyThread {
  readonly #worker: Worker;

  constructor() {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.#worker = new Worker(new URL(`./audit-verify-worker.${ending}`, import.meta.url));
  }

  /** @throws Error as `fs` does */
  verify(job: VerifyJob): Promise<VerifyResult> {
    return new Promise((resolve, reject) => {
      this.#worker.once("error", reject);
      this.#worker.once("message", (result: VerifyResult) => {
        this.#worker.removeListener("error", reject);
        resolve(result);
      });
      this.#worker.postMessage(job);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
