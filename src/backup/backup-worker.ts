import { parentPort, workerData } from "node:worker_threads";
import { TwokeyError } from "../base/errors.ts";
import { BackupDamaged, BackupUnderWay, reasonOf } from "./backup-failed.ts";
import type { Job, WorkerMessage } from "./run-in-thread.ts";
import { pruneAt, takeAt, verifyAt } from "./site.ts";

/** One job of `run-in-thread.ts`, and the thread's end. The message `stop` ends it early. */
async function work(job: Job, signal: AbortSignal): Promise<unknown> {
  const { site } = job;
  switch (job.kind) {
    case "take":
      return takeAt(site, {
        id: job.id,
        scope: job.scope,
        unlessNewerThan: job.unlessNewerThan,
        signal,
        onProgress: (progress) => {
          tell({ kind: "progress", progress });
        },
      });
    case "verify":
      return verifyAt(site, job.id, { signal });
    case "prune":
      return pruneAt(site);
  }
}

function tell(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

const stopping = new AbortController();
parentPort?.once("message", () => {
  stopping.abort(new Error("it was told to stop"));
});
try {
  tell({ kind: "done", value: await work(workerData as Job, stopping.signal) });
} catch (error) {
  const told = error instanceof TwokeyError ? error : undefined;
  tell({
    kind: "failed",
    message: reasonOf(error),
    detail: told?.detail,
    hint: told?.hint,
    is:
      error instanceof BackupDamaged
        ? "damaged"
        : error instanceof BackupUnderWay
          ? "under_way"
          : "failed",
  });
}
parentPort?.close();
