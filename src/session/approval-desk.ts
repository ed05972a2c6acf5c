import { randomUUID } from "node:crypto";
import { addAbortListener } from "node:events";
import type { Registry } from "../approvals/admit.ts";
import {
  covers,
  isSigned,
  type Coverage,
  type Demand,
  type SignatureRefused,
} from "../approvals/covers.ts";
import { addSeconds, formatInstant, type Instant } from "../approvals/instant.ts";
import type { RequestId } from "../approvals/request-id.ts";
import { sha256 } from "../base/digest.ts";
import type { RequestStore, Opening } from "../approvals/request-store.ts";
import type { Asked, Request, Use, UseId } from "../approvals/request.ts";

/** What an approved statement runs under. */
export interface TakenUse {
  readonly request: Request;
  readonly use: UseId;
  readonly usesLeft: number;
}

export interface ApprovalDeskOptions {
  readonly store: RequestStore;
  readonly registry: () => Registry;
  /** Which replica this is. */
  readonly instance: string;
  readonly requestSeconds: number;
  /** Puts on record why a signature that is there does not count: once for each reason. */
  readonly onRefused: (id: RequestId, because: SignatureRefused) => void;
  /** Puts on record that a request was taken back. */
  readonly onCancelled: (id: RequestId, by: string) => void;
  readonly now: () => Date;
}

/** Where a session asks whether somebody has signed, takes a use, and opens a request where nobody has. */
export class ApprovalDesk {
  readonly #options: ApprovalDeskOptions;
  readonly #told = new Set<string>();

  constructor(options: ApprovalDeskOptions) {
    this.#options = options;
  }

  /** Is it covered now? Takes nothing. */
  async look(demand: Demand): Promise<Coverage> {
    const { requests } = await this.#options.store.list({
      states: ["approved"],
      requester: demand.requester,
      database: demand.database,
      statement: sha256(demand.sql),
      limit: 200,
    });
    const coverage = covers(requests, demand, {
      registry: this.#options.registry(),
      now: this.#now(),
    });
    if (coverage.kind === "not_covered") this.#tellWhy(coverage);
    return coverage;
  }

  /** A signature that was good when it was taken and is not now: revoked, run out, or changed in the store. */
  #tellWhy({ reasons }: Extract<Coverage, { kind: "not_covered" }>): void {
    for (const { request, because } of reasons) {
      if (because.kind !== "too_few_signatures") continue;
      for (const refused of because.refused) {
        const key = `${request} ${JSON.stringify(refused)}`;
        if (this.#told.has(key)) continue;
        if (this.#told.size >= MAX_TOLD) this.#told.clear();
        this.#told.add(key);
        this.#options.onRefused(request, refused);
      }
    }
  }

  /**
   * Takes one use of what covers it, before anybody else does.
   *
   * @returns `undefined` when nothing covers it, or others were quicker with all that did
   */
  async take(demand: Demand): Promise<TakenUse | undefined> {
    for (;;) {
      const coverage = await this.look(demand);
      if (coverage.kind === "not_covered") return undefined;
      const use: Use = {
        id: randomUUID() as UseId,
        step: coverage.step,
        instance: this.#options.instance,
        usedAt: this.#now(),
      };
      const change = await this.#options.store.consume(coverage.request.id, use);
      if (change.kind === "moved") {
        return {
          request: change.request,
          use: use.id,
          usesLeft: usesLeft(change.request, coverage),
        };
      }
      // Somebody was quicker: look again, at another use or another request.
    }
  }

  /** The use is on record: only now may what it allows be done. */
  async settle(use: UseId): Promise<void> {
    await this.#options.store.settle(use);
  }

  /**
   * Waits until a request is signed, or can't be any more.
   *
   * @returns the request as it is then; still pending when the signal came first
   */
  async awaitSigned(id: RequestId, signal: AbortSignal): Promise<Request | undefined> {
    const { store } = this.#options;
    let changed: (() => void) | undefined;
    const unsubscribe = store.subscribe((notice) => {
      if (notice.kind === "unknown" || notice.id === id) changed?.();
    });
    try {
      for (;;) {
        const change = new Promise<void>((resolve) => (changed = resolve));
        const request = await store.get(id);
        if (request?.state.kind !== "pending" || signal.aborted) return request;
        const aborted = addAbortListener(signal, () => changed?.());
        // Its own time may end it, too: nobody announces that.
        const timer = setTimeout(
          () => changed?.(),
          Math.min(untilMs(request, this.#now()), LONGEST_WAIT_MS),
        );
        await change;
        clearTimeout(timer);
        aborted[Symbol.dispose]();
      }
    } finally {
      unsubscribe();
    }
  }

  /** Nobody waits for it any more: it shall not be signed by mistake. */
  async withdraw(id: RequestId, by: string): Promise<boolean> {
    const change = await this.#options.store.cancel(id, { by, now: this.#now() });
    if (change.kind === "moved") this.#options.onCancelled(id, by);
    return change.kind === "moved";
  }

  /** Opens a request or joins the open one; one whose signatures have stopped counting makes way for a new one. */
  async ask(asked: Asked): Promise<Opening> {
    const { store, registry, requestSeconds } = this.#options;
    for (;;) {
      const now = this.#now();
      const opening = await store.openOrJoin(asked, {
        now,
        expiresAt: addSeconds(now, requestSeconds),
      });
      if (opening.kind !== "joined" || opening.request.state.kind !== "approved") return opening;
      if (isSigned(opening.request, { registry: registry(), now })) return opening;
      await this.withdraw(opening.request.id, "twokey");
    }
  }

  #now(): Instant {
    return formatInstant(this.#options.now());
  }
}

const LONGEST_WAIT_MS = 60_000;

const MAX_TOLD = 1000;

function untilMs({ expiresAt }: Request, now: Instant): number {
  return Math.max(1000, Date.parse(expiresAt) - Date.parse(now));
}

function usesLeft(
  { asked, uses }: Request,
  { approvals }: Extract<Coverage, { kind: "covered" }>,
): number {
  const allowed = Math.min(...approvals.map(({ document }) => document.uses));
  return allowed - Math.floor(uses.length / asked.statements.length);
}
