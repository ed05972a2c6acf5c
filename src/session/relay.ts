import type { Socket } from "node:net";
import { SQLSTATE } from "../base/errors.ts";
import type { UpstreamConnection, UpstreamListener } from "../upstream/connection.ts";
import { encodeErrorResponse } from "../wire/encode-backend.ts";
import { encodeTerminate } from "../wire/encode-frontend.ts";
import { ProtocolState } from "../wire/protocol-state.ts";
import { encodeFatal } from "./fatal.ts";
import { ForwardPath } from "./forward-path.ts";
import { FrontendFlow } from "./frontend-flow.ts";
import type { Gate } from "./gate.ts";
import type { HoldLine, Holds } from "./holds.ts";
import type { Subject } from "./judged.ts";
import { IdleInTransaction } from "./idle-in-transaction.ts";
import { nameChangesOf } from "./name-changes.ts";
import { ReturnPath } from "./return-path.ts";
import type { Execution, Traffic } from "./session-recorder.ts";
import type { SessionSql } from "./session-sql.ts";
import { SwappedRefusals } from "./swapped-refusals.ts";

export interface RelayOptions {
  readonly frontend: Socket;
  readonly upstream: UpstreamConnection;
  readonly gate: Gate;
  readonly sql: SessionSql;
  readonly holds: Holds;
  /** A sentence that every refusal ends in. */
  readonly reminder: string | undefined;
  readonly maxMessageBytes: number;
  readonly maxNamedObjects: number;
  readonly idleInTransactionMs: number | undefined;
  /** Asks the server to cancel what it is running. */
  readonly cancel: () => void;
  readonly countBytes: (direction: "to_upstream" | "to_frontend", bytes: number) => void;
}

/** Why a relay ended; where it was not the frontend that left, the frontend has been told. */
export type Ending =
  | { readonly kind: "terminated" }
  | { readonly kind: "frontend_lost"; readonly error: Error | undefined }
  | { readonly kind: "upstream_lost"; readonly error: Error | undefined }
  | { readonly kind: "failed"; readonly error: unknown };

/** A frontend and its upstream, joined until one of them leaves. */
export class Relay implements UpstreamListener, HoldLine {
  readonly ending: Promise<Ending>;
  readonly #options: RelayOptions;
  readonly #state: ProtocolState<Subject, Execution>;
  readonly #flow: FrontendFlow;
  readonly #forward: ForwardPath;
  readonly #return: ReturnPath;
  readonly #idle: IdleInTransaction;
  #resolveEnding: (ending: Ending) => void = () => undefined;
  #isLeaving = false;
  #isEnded = false;
  #copiedBytes = 0;
  #toldBytes = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    const { frontend, upstream, gate, sql, countBytes } = options;
    this.ending = new Promise((resolve) => (this.#resolveEnding = resolve));
    const refusals = new SwappedRefusals(options.reminder);
    const state = new ProtocolState<Subject, Execution>({
      onFinished: (execution, outcome) => {
        gate.finished(execution, outcome, this.#traffic());
      },
      nameChanges: ({ subject }) => nameChangesOf(subject.judged),
      isHarmless: ({ judged }) => judged.decision.action === "allow",
      maxNames: options.maxNamedObjects,
    });
    this.#state = state;
    this.#flow = new FrontendFlow({
      frontend,
      upstream,
      maxMessageBytes: options.maxMessageBytes,
      countBytes: (bytes) => {
        countBytes("to_upstream", bytes);
      },
      take: (framer) => {
        this.#forward.take(framer);
      },
      fail: (error) => {
        this.#end({ kind: "failed", error });
      },
    });
    this.#forward = new ForwardPath(this.#flow, {
      gate,
      sql,
      state,
      refusals,
      maxNamedObjects: options.maxNamedObjects,
      countCopied: (bytes) => {
        this.#copiedBytes += bytes;
      },
      onTerminate: () => {
        this.#leave();
      },
    });
    this.#idle = new IdleInTransaction({
      limitMs: options.idleInTransactionMs,
      isWaitingForFrontend: () => state.isSettled && !this.#flow.isStopped,
      end: (error) => {
        this.#end({ kind: "failed", error });
      },
    });
    this.#return = new ReturnPath({
      frontend,
      upstream,
      state,
      sql,
      refusals,
      countBytes: (bytes) => {
        countBytes("to_frontend", bytes);
      },
      onTag: (tag) => {
        const execution = state.currentExecution;
        if (execution !== undefined) gate.completed(execution, tag);
      },
      onReady: (status) => {
        this.#idle.ready(status);
        if (status === "I" && state.isSettled) sql.settled();
      },
    });
  }

  start(): void {
    const { frontend, upstream } = this.#options;
    frontend.on("data", (chunk: Buffer) => {
      this.#flow.receive(chunk);
    });
    frontend.on("drain", () => {
      upstream.resume();
    });
    const gone = (error?: Error): void => {
      // Who has said goodbye may go; what was sent before still runs to its end.
      if (this.#isLeaving) upstream.resume();
      else this.#end({ kind: "frontend_lost", error });
    };
    frontend.on("end", gone);
    frontend.on("close", () => {
      gone();
    });
    frontend.on("error", gone);
    this.#options.holds.attach(this);
    upstream.listen(this);
    frontend.resume();
    // It may have left while its upstream was being opened: nobody tells twice.
    if (frontend.destroyed) this.#end({ kind: "frontend_lost", error: undefined });
  }

  /** No statement is running or waiting, and no transaction is open. */
  get isIdle(): boolean {
    const { isSettled, transactionStatus } = this.#state;
    return isSettled && transactionStatus === "I" && !this.#flow.isStopped;
  }

  get canHold(): boolean {
    const { isSettled, transactionStatus } = this.#state;
    return isSettled && transactionStatus === "I";
  }

  tell(message: Buffer): void {
    if (!this.#isEnded) this.#options.frontend.write(message);
  }

  get activity(): "idle" | "active" | "in_transaction" | "failed_transaction" | "held" {
    if (this.#options.holds.isHolding) return "held";
    if (!this.#state.isSettled) return "active";
    switch (this.#state.transactionStatus) {
      case "I":
        return "idle";
      case "T":
        return "in_transaction";
      case "E":
        return "failed_transaction";
    }
  }

  /** The statement that the upstream is running. */
  get statement(): { readonly sql: string; readonly startedAt: Date } | undefined {
    const execution = this.#state.currentExecution;
    if (execution === undefined) return undefined;
    return {
      sql: execution.subject.judged.text,
      startedAt: new Date(performance.timeOrigin + execution.startedAtMs),
    };
  }

  /** Ends the session from our side; the frontend is told why, unless it is in the middle of a message. */
  terminate(error: unknown): void {
    this.#end({ kind: "failed", error });
  }

  onChunk(view: Buffer): void {
    if (this.#isEnded) return;
    try {
      this.#return.receive(view);
      this.#forward.answersCame();
    } catch (error) {
      this.#end({ kind: "failed", error });
    }
  }

  onDrain(): void {
    this.#flow.drained();
  }

  onClose(error: Error | undefined): void {
    this.#end(this.#isLeaving ? { kind: "terminated" } : { kind: "upstream_lost", error });
  }

  /** The frontend has said goodbye: the server hears it behind all that was sent before, and answers that first. */
  #leave(): void {
    this.#isLeaving = true;
    this.#flow.end();
    this.#idle.close();
    this.#options.upstream.end(TERMINATE);
  }

  /** Since the statement before ended. */
  #traffic(): Traffic {
    const { answeredBytes } = this.#return;
    const traffic = { bytes: answeredBytes - this.#toldBytes, copiedBytes: this.#copiedBytes };
    this.#toldBytes = answeredBytes;
    this.#copiedBytes = 0;
    return traffic;
  }

  #end(ending: Ending): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#flow.end();
    this.#idle.close();
    this.#options.holds.leave();
    const { frontend, upstream, cancel } = this.#options;
    // A server that is running something does not see that its connection has gone.
    if (this.#state.currentExecution !== undefined && ending.kind !== "upstream_lost") cancel();
    this.#state.connectionLost(SQLSTATE.connectionFailure);
    upstream.destroy();
    const last = this.#lastMessage(ending);
    if (last !== undefined && this.#return.isBetweenMessages) frontend.write(last);
    frontend.destroySoon();
    this.#resolveEnding(ending);
  }

  #lastMessage(ending: Ending): Buffer | undefined {
    switch (ending.kind) {
      case "terminated":
      case "frontend_lost":
        return undefined;
      case "upstream_lost":
        return this.#return.hasSaidWhy ? undefined : UPSTREAM_LOST;
      case "failed":
        return encodeFatal(ending.error);
    }
  }
}

const TERMINATE = encodeTerminate();

const UPSTREAM_LOST = encodeErrorResponse({
  severity: "FATAL",
  sqlstate: SQLSTATE.connectionFailure,
  message: "twokey: the upstream closed the connection",
  hint: "Whatever transaction was open has been rolled back. Connect again.",
});
