import { Worker } from "node:worker_threads";
import type { WorkerOptions } from "node:worker_threads";
import type { Classification, UnparsedClassification } from "../sql/classification.ts";
import type { ClassifyRequest } from "./classify-worker.ts";

interface Job {
  readonly request: ClassifyRequest;
  readonly resolve: (classification: Classification) => void;
}

type State =
  | { readonly kind: "stopped" }
  | { readonly kind: "starting"; readonly worker: Worker }
  | { readonly kind: "idle"; readonly worker: Worker }
  | {
      readonly kind: "busy";
      readonly worker: Worker;
      readonly job: Job;
      readonly deadline: NodeJS.Timeout;
    };

/**
 * One worker thread that classifies one text at a time, and is ended and replaced when a text takes too long or breaks
 * it. Every request is answered: what can't be is refused.
 */
export class ClassifyThread {
  readonly #timeLimitMs: number;
  readonly #workerOptions: WorkerOptions;
  readonly #waiting: Job[] = [];
  #state: State = { kind: "stopped" };
  #closed = false;
  #runs = 0;
  #timeouts = 0;

  constructor({
    timeLimitMs,
    workerOptions,
  }: {
    readonly timeLimitMs: number;
    readonly workerOptions: WorkerOptions;
  }) {
    this.#timeLimitMs = timeLimitMs;
    this.#workerOptions = workerOptions;
  }

  get runs(): number {
    return this.#runs;
  }

  get timeouts(): number {
    return this.#timeouts;
  }

  /** Never rejects. */
  classify(request: ClassifyRequest): Promise<Classification> {
    if (this.#closed) return Promise.resolve(refusal("failed", "the classifier is closed"));
    return new Promise((resolve) => {
      this.#waiting.push({ request, resolve });
      this.#advance();
    });
  }

  /** Starts the thread before the first request needs it; starting takes about 0.1 s. */
  start(): void {
    if (this.#state.kind === "stopped" && !this.#closed) this.#start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const state = this.#state;
    this.#stop("the classifier is closed");
    this.#refuseWaiting("the classifier is closed");
    if (state.kind !== "stopped") await state.worker.terminate();
  }

  #advance(): void {
    switch (this.#state.kind) {
      case "stopped":
        if (this.#waiting.length > 0) this.start();
        return;
      case "idle": {
        this.#run(this.#state.worker);
        return;
      }
      case "starting":
      case "busy":
        return;
    }
  }

  #run(worker: Worker): void {
    const job = this.#waiting.shift();
    if (job === undefined) {
      worker.unref(); // an idle parser is no reason for the process to stay
      return;
    }
    worker.ref();
    this.#runs += 1;
    const deadline = setTimeout(() => {
      this.#timeouts += 1;
      this.#stop("reading the statement took too long", "timed_out");
      void worker.terminate();
      this.#advance();
    }, this.#timeLimitMs);
    this.#state = { kind: "busy", worker, job, deadline };
    worker.postMessage(job.request);
  }

  #start(): void {
    // A sibling with our own ending: .ts where tests run the sources, .js in dist.
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const url = new URL(`./classify-worker.${ending}`, import.meta.url);
    const worker = new Worker(url, this.#workerOptions);
    this.#state = { kind: "starting", worker };
    worker.on("message", (message: Classification | "ready") => {
      if (this.#isCurrent(worker)) this.#receive(worker, message);
    });
    const lost = (): void => {
      if (this.#isCurrent(worker)) this.#lose();
    };
    worker.on("error", lost);
    worker.on("exit", lost);
  }

  #isCurrent(worker: Worker): boolean {
    return this.#state.kind !== "stopped" && this.#state.worker === worker;
  }

  #receive(worker: Worker, message: Classification | "ready"): void {
    if (message !== "ready" && this.#state.kind === "busy") {
      clearTimeout(this.#state.deadline);
      this.#state.job.resolve(message);
    }
    this.#state = { kind: "idle", worker };
    this.#advance();
  }

  /** The thread has ended by itself. If it did so before it was ready, so would the next one: nobody waits for that. */
  #lose(): void {
    const wasStarting = this.#state.kind === "starting";
    this.#stop("the parser failed on this statement");
    if (wasStarting) this.#refuseWaiting("the parser thread does not start");
    this.#advance();
  }

  #stop(message: string, cause: UnparsedClassification["cause"] = "failed"): void {
    const state = this.#state;
    this.#state = { kind: "stopped" };
    if (state.kind !== "busy") return;
    clearTimeout(state.deadline);
    state.job.resolve(refusal(cause, message));
  }

  #refuseWaiting(message: string): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(refusal("failed", message));
  }
}

export function refusal(
  cause: UnparsedClassification["cause"],
  message: string,
): UnparsedClassification {
  return { kind: "unparsed", effects: ["unparsed"], cause, message, position: undefined };
}
