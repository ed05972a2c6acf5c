import { ProtocolViolation } from "../base/errors.ts";
import { CopyIn } from "./copy-in.ts";
import { lookUp, type Lookup, type Surroundings } from "./look-up.ts";
import type { TransactionStatus } from "./message-types.ts";
import { NamedObjects, type NameChanges } from "./named-objects.ts";
import {
  UnansweredQueue,
  type NameKind,
  type ReadyAnswered,
  type Unanswered,
} from "./unanswered.ts";

/** How one execution ended. */
export type Outcome =
  | { readonly kind: "completed"; readonly tag: string }
  | { readonly kind: "suspended" }
  | { readonly kind: "failed"; readonly sqlstate: string }
  /** It stood behind an error in its pipeline: the backend never ran it. */
  | { readonly kind: "skipped" };

export interface ProtocolStateOptions<S, X> {
  /** Told how executions end, in the order in which they were sent. */
  readonly onFinished: (execution: X, outcome: Outcome) => void;
  readonly nameChanges?: (execution: X) => NameChanges<S> | undefined;
  /** Whether running it under another's name would do no harm. */
  readonly isHarmless?: (statement: S) => boolean;
  /** Statements and portals that a frontend can have; by SQL it may make more, which are then not known. */
  readonly maxNames?: number;
}

/**
 * Where the protocol stands between a frontend and a backend: which prepared statements and portals there are, in
 * which transaction status the backend is, and which answers are still to come. It is told of every message that is
 * forwarded, and of every answer, both in order.
 *
 * What a frontend pipelines is not yet true: a `Parse` may fail. Inside one group of messages (up to a `Sync`) that does
 * no harm, as the backend skips the rest of the group; across groups a name may be unsettled (PostgreSQL docs,
 * "Pipelining").
 */
export class ProtocolState<S, X> {
  transactionStatus: TransactionStatus = "I";

  readonly #onFinished: (execution: X, outcome: Outcome) => void;
  readonly #nameChanges: (execution: X) => NameChanges<S> | undefined;
  readonly #isHarmless: (statement: S) => boolean;
  readonly #names: NamedObjects<S>;
  readonly #unanswered = new UnansweredQueue<S, X>();
  readonly #surroundings: { -readonly [K in keyof Surroundings<S, X>]: Surroundings<S, X>[K] };
  #isSkipping = false;
  #copyIn: CopyIn | undefined;
  #syncsToRelease = 0;

  constructor({
    onFinished,
    nameChanges = () => undefined,
    isHarmless = () => true,
    maxNames = Infinity,
  }: ProtocolStateOptions<S, X>) {
    this.#onFinished = onFinished;
    this.#nameChanges = nameChanges;
    this.#isHarmless = isHarmless;
    this.#names = new NamedObjects(maxNames);
    this.#surroundings = {
      names: this.#names,
      unanswered: this.#unanswered,
      nameChanges,
      group: 0,
    };
  }

  /** The backend has failed in this group and ignores everything up to the next `Sync`. */
  get isSkipping(): boolean {
    return this.#isSkipping;
  }

  /** Nothing that was forwarded waits for an answer. */
  get isSettled(): boolean {
    return this.#unanswered.length === 0;
  }

  /** What the backend is running now, or will run next of what was sent. */
  get currentExecution(): X | undefined {
    return this.#unanswered.currentExecution;
  }

  /** Messages that were forwarded and wait for their answers. */
  get unanswered(): number {
    return this.#unanswered.length;
  }

  /** A statement waits for rows, or will, for all that is known. */
  get copyIn(): CopyIn | undefined {
    return this.#copyIn;
  }

  statement(name: string): Lookup<S> {
    return lookUp("statement", name, this.#surroundings);
  }

  portal(name: string): Lookup<S> {
    return lookUp("portal", name, this.#surroundings);
  }

  /** Whether a frontend may have one more name; the unnamed ones always have room. */
  hasRoomFor(kind: NameKind, name: string): boolean {
    return this.#names.hasRoomFor(kind, name);
  }

  // --- forwarded to the backend -----------------------------------------------------------------------

  sentParse(name: string, statement: S): void {
    this.#unanswered.push({ type: "Parse", name, statement, group: this.#surroundings.group });
  }

  /** @param execution - a run that was permitted at once with it, if it was */
  sentBind(portal: string, statement: S, execution?: X): void {
    this.#unanswered.push({
      type: "Bind",
      portal,
      statement,
      execution,
      group: this.#surroundings.group,
    });
  }

  sentClose(kind: NameKind, name: string): void {
    this.#unanswered.push({ type: "Close", kind, name, group: this.#surroundings.group });
  }

  /** @param copiesIn - how many COPY FROM STDIN it holds */
  sentExecute(execution: X, copiesIn = 0): void {
    const entry = { type: "Execute", execution, group: this.#surroundings.group } as const;
    this.#unanswered.push(entry);
    if (copiesIn > 0) this.#copyIn = new CopyIn(entry, copiesIn);
  }

  /** @param execution - `undefined` for a query of ours that must fail */
  sentQuery(execution: X | undefined, copiesIn = 0): void {
    const entry = { type: "Query", execution, tag: undefined, sqlstate: undefined } as const;
    this.#unanswered.push(entry);
    if (copiesIn > 0) this.#copyIn = new CopyIn(entry, copiesIn);
  }

  sentFunctionCall(execution: X): void {
    this.#unanswered.push({
      type: "FunctionCall",
      execution,
      tag: undefined,
      sqlstate: undefined,
    });
  }

  /** A `Parse` of ours that must fail, in the place of a refused message; under `name` if that was a `Parse`. */
  sentRefusal(name: string | undefined): void {
    this.#unanswered.push({ type: "Refused", name });
  }

  sentSync(): void {
    this.#surroundings.group += 1;
    this.#isSkipping = false;
    this.#unanswered.push(SYNC);
  }

  /** `CopyDone` or `CopyFail`. */
  sentCopyEnd(): void {
    if (this.#copyIn?.sentEnd() === true) this.#copyIn = undefined;
  }

  /** `Sync` messages that were held back in a COPY which then failed before them: they want to be answered now. */
  releaseSyncs(): number {
    const released = this.#syncsToRelease;
    this.#syncsToRelease = 0;
    return released;
  }

  // --- answered by the backend --------------------------------------------------------------------------

  parseComplete(): void {
    const entry = this.#shiftExpected("Parse");
    if (entry?.type === "Parse") this.#names.set("statement", entry.name, entry.statement);
  }

  bindComplete(): void {
    const entry = this.#shiftExpected("Bind");
    if (entry?.type === "Bind") this.#names.set("portal", entry.portal, entry.statement);
  }

  closeComplete(): void {
    const entry = this.#shiftExpected("Close");
    if (entry?.type === "Close") this.#names.forget(entry.kind, entry.name);
  }

  /** `CommandComplete` with its tag, or `EmptyQueryResponse` (an empty tag). */
  commandComplete(tag: string): void {
    const entry = this.#unanswered.peek();
    if (entry?.type === "Query") {
      entry.tag = tag;
      return;
    }
    if (entry?.type === "Execute") {
      this.#shift();
      this.#changeNames(entry.execution);
      this.#onFinished(entry.execution, { kind: "completed", tag });
    }
  }

  portalSuspended(): void {
    const entry = this.#shiftExpected("Execute");
    if (entry?.type === "Execute") this.#onFinished(entry.execution, { kind: "suspended" });
  }

  /**
   * The backend now takes rows.
   *
   * @throws ProtocolViolation where no statement of the frontend's asked for them
   */
  copyInResponse(): void {
    const entry = this.#unanswered.peek();
    if (entry?.type !== "Query" && entry?.type !== "Execute") {
      throw new ProtocolViolation("the server began a COPY that no statement asked for");
    }
    if (this.#copyIn?.entry === entry) this.#copyIn.isOpen = true;
  }

  errorResponse(sqlstate: string): void {
    const entry = this.#unanswered.peek();
    switch (entry?.type) {
      case "Query":
      case "FunctionCall":
        entry.sqlstate = sqlstate;
        this.#endCopyIn(entry);
        return;
      case "Sync":
        return;
      default:
        this.#failGroup(sqlstate);
    }
  }

  readyForQuery(status: TransactionStatus): void {
    this.transactionStatus = status;
    if (status === "I") this.#names.endTransaction();
    const entry = this.#unanswered.peek();
    switch (entry?.type) {
      case "Sync":
        this.#shift();
        return;
      case "Query":
      case "FunctionCall":
        this.#shift();
        this.#readyEnded(entry);
        return;
      default:
        // An error between two messages, such as a timeout's: the backend reads on.
        this.#isSkipping = false;
    }
  }

  /** The connection has ended: whatever is still unanswered was skipped, or nobody will ever know. */
  connectionLost(sqlstate: string): void {
    while (!this.isSettled) this.#finishUnrun(this.#shift(), { kind: "failed", sqlstate });
  }

  // --- names ----------------------------------------------------------------------------------------------

  #changeNames(execution: X): void {
    const changes = this.#nameChanges(execution);
    if (changes !== undefined) this.#names.change(changes);
  }

  /** Names that may stand for what they did before, or for what an execution has made of them that has failed. */
  #forgetDoubtful(execution: X): void {
    const names = this.#nameChanges(execution);
    if (names?.isOneOfSeveral !== true) return;
    for (const { kind, name } of names.changes) this.#names.forget(kind, name);
  }

  // --- ends -----------------------------------------------------------------------------------------------

  #failGroup(sqlstate: string): void {
    let isFirst = true;
    while (!this.isSettled && this.#unanswered.peek()?.type !== "Sync") {
      const entry = this.#shift();
      // The backend drops the unnamed statement before it reads the new text.
      if (isFirst && (entry.type === "Parse" || entry.type === "Refused") && entry.name === "") {
        this.#names.forget("statement", "");
      }
      this.#finishUnrun(entry, isFirst ? { kind: "failed", sqlstate } : { kind: "skipped" });
      isFirst = false;
    }
    if (this.isSettled) this.#isSkipping = true;
  }

  #finishUnrun(entry: Unanswered<S, X>, outcome: Outcome): void {
    this.#forgetUnlessHarmless(entry);
    switch (entry.type) {
      case "Execute":
        this.#onFinished(entry.execution, outcome);
        return;
      case "Query":
      case "FunctionCall":
      case "Bind":
        if (entry.execution !== undefined) this.#onFinished(entry.execution, outcome);
        return;
      case "Parse":
      case "Close":
      case "Refused":
      case "Sync":
        return;
    }
  }

  /**
   * An error may have come from between two messages (a timeout), so that the backend reads on and makes what seems to be
   * skipped. Then a name must not go on standing for what it did before.
   */
  #forgetUnlessHarmless(entry: Unanswered<S, X>): void {
    if (entry.type !== "Parse" && entry.type !== "Bind") return;
    if (this.#isHarmless(entry.statement)) return;
    if (entry.type === "Parse") this.#names.forget("statement", entry.name);
    else this.#names.forget("portal", entry.portal);
  }

  #readyEnded({ type, execution, tag, sqlstate }: ReadyAnswered<X>): void {
    if (type === "Query") {
      this.#names.forget("statement", "");
      this.#names.forget("portal", "");
    }
    if (execution === undefined) return;
    if (sqlstate !== undefined) {
      this.#forgetDoubtful(execution);
      this.#onFinished(execution, { kind: "failed", sqlstate });
      return;
    }
    this.#changeNames(execution);
    this.#onFinished(execution, { kind: "completed", tag: tag ?? "" });
  }

  #shiftExpected(type: Unanswered<S, X>["type"]): Unanswered<S, X> | undefined {
    return this.#unanswered.peek()?.type === type ? this.#shift() : undefined;
  }

  #shift(): Unanswered<S, X> {
    const entry = this.#unanswered.shift();
    this.#endCopyIn(entry);
    return entry;
  }

  #endCopyIn(entry: object): void {
    if (this.#copyIn?.entry !== entry) return;
    this.#syncsToRelease += this.#copyIn.heldSyncs;
    this.#copyIn = undefined;
  }
}

const SYNC = { type: "Sync" } as const;
