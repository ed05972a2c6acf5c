import { Worker, type WorkerOptions } from "node:worker_threads";
import { BackupDamaged, BackupFailed, BackupUnderWay } from "./backup-failed.ts";
import type { BackupId } from "./backup-id.ts";
import type { Manifest, Verified } from "./manifest.ts";
import type { Site } from "./site.ts";
import type { Progress, TableName } from "./take-backup.ts";

/** What a thread of its own does: hashing and encrypting would make sessions wait. Plain data. */
export type Job =
  | {
      readonly kind: "take";
      readonly site: Site;
      readonly id: BackupId;
      readonly scope: "database" | readonly TableName[];
      readonly unlessNewerThan: Date | undefined;
    }
  | { readonly kind: "verify"; readonly site: Site; readonly id: BackupId }
  | { readonly kind: "prune"; readonly site: Site };

export interface JobResults {
  readonly take: Manifest | undefined;
  readonly verify: Verified;
  readonly prune: readonly BackupId[];
}

export type WorkerMessage =
  | { readonly kind: "progress"; readonly progress: Progress }
  | { readonly kind: "done"; readonly value: unknown }
  | {
      readonly kind: "failed";
      readonly message: string;
      readonly detail: string | undefined;
      readonly hint: string | undefined;
      readonly is: "damaged" | "under_way" | "failed";
    };

/** Between being told to stop and being stopped. */
const GRACE_MS = 15_000;

/** @throws BackupFailed, BackupDamaged, BackupUnderWay, with the words of the thread */
export function runInThread<K extends Job["kind"]>(
  job: Extract<Job, { kind: K }>,
  {
    signal,
    onProgress,
    workerOptions = {},
  }: {
    readonly signal: AbortSignal;
    readonly onProgress?: (progress: Progress) => void;
    readonly workerOptions?: WorkerOptions;
  },
): Promise<JobResults[K]> {
  // A sibling with our own ending: .ts where tests run the sources, .js in dist.
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const worker = new Worker(new URL(`./backup-worker.${ending}`, import.meta.url), {
    ...workerOptions,
    workerData: job,
  });
  return new Promise((resolve, reject) => {
    let grace: NodeJS.Timeout | undefined;
    const stop = (): void => {
      worker.postMessage("stop");
      grace = setTimeout(() => void worker.terminate(), GRACE_MS);
    };
    const settle = (): void => {
      clearTimeout(grace);
      signal.removeEventListener("abort", stop);
    };
    worker.on("message", (message: WorkerMessage) => {
      switch (message.kind) {
        case "progress":
          onProgress?.(message.progress);
          return;
        case "done":
          // What comes over the port is what the job of this kind gives.
          resolve(message.value as JobResults[K]);
          return;
        case "failed":
          reject(failureOf(message));
          return;
      }
    });
    worker.on("error", (cause) => {
      settle();
      reject(new BackupFailed(`the backup's thread broke: ${cause.message}`, { cause }));
    });
    worker.on("exit", () => {
      settle();
      reject(new BackupFailed("the backup was stopped"));
    });
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  });
}

function failureOf({
  message,
  detail,
  hint,
  is,
}: Extract<WorkerMessage, { kind: "failed" }>): BackupFailed {
  const details = { detail, hint };
  switch (is) {
    case "damaged":
      return new BackupDamaged(message, details);
    case "under_way":
      return new BackupUnderWay(message, details);
    case "failed":
      return new BackupFailed(message, details);
  }
}
