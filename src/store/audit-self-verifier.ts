import type { KeyObject } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { ChainHead } from "../audit/chain.ts";
import type { Finding } from "../audit/finding.ts";
import { parseSeq, type Seq } from "../audit/record.ts";
import type { SelfVerifyJob, SelfVerifyResult, VerifiedUpTo } from "./audit-self-verify.ts";

export interface AuditSelfVerifierOptions {
  readonly directory: string;
  readonly publicKey: KeyObject;
  readonly anchorFile: string | undefined;
  /** From the log's start, so that an edit of what was verified before is found as well. */
  readonly wholeEveryMs: number;
  readonly audit: {
    readonly checkpoint: ChainHead;
    readonly synced: (seq: Seq) => Promise<void>;
  };
  /** Called once for each. */
  readonly onFinding: (finding: Finding) => void;
  readonly now: () => number;
}

/** Verifies the log of the running process again and again, in a thread of its own: each time what was signed since the last. */
export class AuditSelfVerifier {
  readonly #options: AuditSelfVerifierOptions;
  readonly #told = new Set<string>();
  #upTo: VerifiedUpTo | undefined;
  #wholeAtMs = -Infinity;
  #worker: Worker | undefined;
  #isClosed = false;

  constructor(options: AuditSelfVerifierOptions) {
    this.#options = options;
  }

  /**
   * Never twice at once.
   *
   * @throws AuditUnavailable while the log can't be written
   * @throws Error as `fs` does, when there is no answer
   */
  async run(): Promise<void> {
    const { directory, publicKey, anchorFile, wholeEveryMs, audit, onFinding, now } = this.#options;
    const target = audit.checkpoint;
    const startedAtMs = now();
    const isWhole = startedAtMs - this.#wholeAtMs >= wholeEveryMs;
    if (!isWhole && this.#upTo?.seq === target.seq) return;
    await audit.synced(parseSeq(target.seq));
    const since = isWhole ? undefined : this.#upTo;
    const result = await this.#work({ directory, target, publicKey, anchorFile, since });
    if (result === undefined) return;
    if (isWhole) this.#wholeAtMs = startedAtMs;
    this.#upTo = result.upTo ?? this.#upTo;
    for (const finding of result.findings) {
      const which = `${finding.kind} ${finding.seq}`;
      if (this.#told.has(which)) continue;
      this.#told.add(which);
      onFinding(finding);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  /** @returns `undefined` when it was closed meanwhile */
  async #work(job: SelfVerifyJob): Promise<SelfVerifyResult | undefined> {
    if (this.#isClosed) return undefined;
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const url = new URL(`./audit-self-verify-worker.${ending}`, import.meta.url);
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
          if (this.#isClosed) resolve(undefined);
          else reject(new Error("stopped before it was done"));
        });
      });
    } finally {
      this.#worker = undefined;
    }
  }
}
