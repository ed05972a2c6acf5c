import fs from "node:fs";
import { Worker } from "node:worker_threads";
import type { AuditRecord, Seq } from "../audit/record.ts";
import { listAuditFiles } from "./audit-file-names.ts";
import type { KeepJob, KeepResult, Removable } from "./audit-keep.ts";

export interface AuditKeeperOptions {
  readonly directory: string;
  readonly compress: boolean;
  /** How long closed files are kept, and how much of them; without, for ever. */
  readonly keep: { readonly ageMs?: number | undefined; readonly bytes?: number | undefined };
  /** What has been sent to everybody who gets the log: what was not is never removed. */
  readonly shippedSeq: () => number;
  readonly audit: {
    readonly append: (record: AuditRecord) => Seq;
    readonly synced: (seq: Seq) => Promise<void>;
  };
  readonly now: () => number;
}

/**
 * What happens to files of the log that are closed: they get an index, are compressed, and are removed when their time is
 * over, after that is on record. The work is done in a thread of its own.
 */
export class AuditKeeper {
  readonly #options: AuditKeeperOptions;
  #worker: Worker | undefined;

  constructor(options: AuditKeeperOptions) {
    this.#options = options;
  }

  /** Does what there is to do; never twice at once. @throws Error as `fs` does: the next run goes on where this one stopped */
  async run(): Promise<void> {
    const { directory, compress, keep, shippedSeq, now } = this.#options;
    // Only the last is written to: without a second there is nothing to do, and no thread to start.
    if (listAuditFiles(directory).length < 2) return;
    const { ageMs } = keep;
    const { removable } = await this.#work({
      directory,
      compress,
      writtenBeforeMs: ageMs === undefined ? undefined : now() - ageMs,
      maxBytes: keep.bytes,
      shippedSeq: shippedSeq(),
    });
    if (removable !== undefined) await this.#remove(removable);
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  async #work(job: KeepJob): Promise<KeepResult> {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const url = new URL(`./audit-keep-worker.${ending}`, import.meta.url);
    const worker = new Worker(url, {
      workerData: job,
      resourceLimits: { maxOldGenerationSizeMb: 512 },
    });
    this.#worker = worker;
    try {
      return await new Promise((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
        worker.once("exit", () => {
          reject(new Error("stopped before it was done"));
        });
      });
    } finally {
      this.#worker = undefined;
    }
  }

  /** INVARIANT: the record is on disk before the first file goes, and the oldest goes first: the chain always says where it begins. */
  async #remove({ paths, from, to, lastHash, files, bytes, reason }: Removable): Promise<void> {
    const { audit } = this.#options;
    await audit.synced(
      audit.append({ event: "chain.pruned", from, to, last_hash: lastHash, files, bytes, reason }),
    );
    for (const path of paths) fs.rmSync(path, { force: true });
  }
}
