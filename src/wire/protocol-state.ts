import type { TransactionStatus } from "./message-types.ts";

/** What a name stands for by now, as far as the backend's answers tell. */
export type Lookup<T> =
  | { readonly kind: "found"; readonly value: T }
  | { readonly kind: "unknown" }
  /** An unanswered message may or may not have changed it: ask again after the next answer. */
  | { readonly kind: "unsettled" };

/** How one execution ended. */
export type Outcome =
  | { readonly kind: "completed"; readonly tag: string }
  | { readonly kind: "suspended" }
  | { readonly kind: "failed"; readonly sqlstate: string }
  /** It stood behind an error in its pipeline: the backend never ran it. */
  | { readonly kind: "skipped" };

/** Told how executions end, in the order in which they were sent. */
export type OnFinished<X> = (execution: X, outcome: Outcome) => void;

type Pending<S, X> =
  | { readonly type: "Parse"; readonly name: string; readonly statement: S; readonly group: number }
  | {
      readonly type: "Bind";
      readonly portal: string;
      readonly statement: S;
      readonly group: number;
    }
  | {
      readonly type: "Close";
      readonly kind: "statement" | "portal";
      readonly name: string;
      readonly group: number;
    }
  | { readonly type: "Execute"; readonly execution: X; readonly group: number }
  | ReadyPending<X>
  | { readonly type: "Refused"; readonly name: string | undefined }
  | { readonly type: "Sync" }
  | { readonly type: "CopyEnd" };

/** Answered by a ReadyForQuery of its own, which tells that it is over; how it went was told before. */
interface ReadyPending<X> {
  readonly type: "Query" | "FunctionCall";
  /** `undefined` for a query of ours that must fail. */
  readonly execution: X | undefined;
  tag: string | undefined;
  sqlstate: string | undefined;
}

/** Names that an execution makes by SQL (PREPARE, DECLARE), which `Bind` and `Execute` can use. */
export interface NamesMade<S> {
  readonly statements: readonly (readonly [name: string, statement: S])[];
  readonly portals: readonly (readonly [name: string, statement: S])[];
  /** One of several statements in a message: when that fails, nobody tells whether this was done before. */
  readonly isOneOfSeveral: boolean;
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

  readonly #onFinished: OnFinished<X>;
  readonly #namesMade: (execution: X) => NamesMade<S> | undefined;
  readonly #statements = new Map<string, S>();
  readonly #portals = new Map<string, S>();
  readonly #pending: Pending<S, X>[] = [];
  #head = 0;
  #group = 0;
  #isSkipping = false;
  #isCopyIn = false;

  constructor(
    onFinished: OnFinished<X>,
    namesMade: (execution: X) => NamesMade<S> | undefined = () => undefined,
  ) {
    this.#onFinished = onFinished;
    this.#namesMade = namesMade;
  }

  /** The backend has failed in this group and ignores everything up to the next `Sync`. */
  get isSkipping(): boolean {
    return this.#isSkipping;
  }

  /** Nothing that was forwarded waits for an answer. */
  get isSettled(): boolean {
    return this.#head === this.#pending.length;
  }

  /** What the backend is running now, or will run next of what was sent. */
  get currentExecution(): X | undefined {
    for (let i = this.#head; i < this.#pending.length; i++) {
      const entry = this.#pending[i];
      if (entry !== undefined && "execution" in entry) return entry.execution;
    }
    return undefined;
  }

  /** Messages that were forwarded and wait for their answers. */
  get unanswered(): number {
    return this.#pending.length - this.#head;
  }

  /** Statements and portals that a frontend keeps; bounded by configuration. */
  get namedObjects(): number {
    return this.#statements.size + this.#portals.size;
  }

  statement(name: string): Lookup<S> {
    for (let i = this.#pending.length - 1; i >= this.#head; i--) {
      const entry = this.#pending[i] as Pending<S, X>;
      const lookup = this.#statementAfter(entry, name);
      if (lookup !== undefined) return lookup;
    }
    return toLookup(this.#statements.get(name));
  }

  portal(name: string): Lookup<S> {
    for (let i = this.#pending.length - 1; i >= this.#head; i--) {
      const entry = this.#pending[i] as Pending<S, X>;
      if (entry.type === "Bind" && entry.portal === name) {
        return this.#resolve(entry.group, entry.statement, this.#portals.get(name));
      }
      if (entry.type === "Close" && entry.kind === "portal" && entry.name === name) {
        return this.#resolve(entry.group, undefined, this.#portals.get(name));
      }
      if (entry.type === "Query" || entry.type === "Execute") {
        const lookup = this.#madeBy(entry, "portals", name);
        if (lookup !== undefined) return lookup;
      }
    }
    return toLookup(this.#portals.get(name));
  }

  // --- forwarded to the backend -----------------------------------------------------------------------

  sentParse(name: string, statement: S): void {
    this.#pending.push({ type: "Parse", name, statement, group: this.#group });
  }

  sentBind(portal: string, statement: S): void {
    this.#pending.push({ type: "Bind", portal, statement, group: this.#group });
  }

  sentClose(kind: "statement" | "portal", name: string): void {
    this.#pending.push({ type: "Close", kind, name, group: this.#group });
  }

  sentExecute(execution: X): void {
    this.#pending.push({ type: "Execute", execution, group: this.#group });
  }

  /** @param execution - `undefined` for a query of ours that must fail */
  sentQuery(execution: X | undefined): void {
    this.#pending.push({ type: "Query", execution, tag: undefined, sqlstate: undefined });
  }

  sentFunctionCall(execution: X): void {
    this.#pending.push({ type: "FunctionCall", execution, tag: undefined, sqlstate: undefined });
  }

  /** A `Parse` of ours that must fail, in the place of a refused message; under `name` if that was a `Parse`. */
  sentRefusal(name: string | undefined): void {
    this.#pending.push({ type: "Refused", name });
  }

  sentSync(): void {
    this.#group += 1;
    this.#isSkipping = false;
    // During copy-in the backend ignores it (PostgreSQL docs, "COPY Operations").
    if (!this.#isCopyIn) this.#pending.push(SYNC);
  }

  /** `CopyDone` or `CopyFail`. */
  sentCopyEnd(): void {
    this.#isCopyIn = false;
    if (!this.isSettled) this.#pending.push(COPY_END);
  }

  // --- answered by the backend --------------------------------------------------------------------------

  parseComplete(): void {
    const entry = this.#shiftExpected("Parse");
    if (entry?.type === "Parse") this.#statements.set(entry.name, entry.statement);
  }

  bindComplete(): void {
    const entry = this.#shiftExpected("Bind");
    if (entry?.type === "Bind") this.#portals.set(entry.portal, entry.statement);
  }

  closeComplete(): void {
    const entry = this.#shiftExpected("Close");
    if (entry?.type !== "Close") return;
    (entry.kind === "statement" ? this.#statements : this.#portals).delete(entry.name);
  }

  /** `CommandComplete` with its tag, or `EmptyQueryResponse` (an empty tag). */
  commandComplete(tag: string): void {
    const entry = this.#peek();
    if (entry?.type === "Query") {
      entry.tag = tag;
      return;
    }
    if (entry?.type === "Execute") {
      this.#shift();
      this.#remember(entry.execution);
      this.#onFinished(entry.execution, { kind: "completed", tag });
    }
  }

  portalSuspended(): void {
    const entry = this.#shiftExpected("Execute");
    if (entry?.type === "Execute") this.#onFinished(entry.execution, { kind: "suspended" });
  }

  /** The backend now takes CopyData: until `CopyDone` or `CopyFail` it ignores `Sync`. */
  copyInResponse(): void {
    for (let i = this.#head + 1; i < this.#pending.length; i++) {
      const type = this.#pending[i]?.type;
      if (type === "CopyEnd") return;
      if (type === "Sync") this.#pending.splice(i--, 1);
    }
    this.#isCopyIn = true;
  }

  errorResponse(sqlstate: string): void {
    this.#isCopyIn = false;
    const entry = this.#peek();
    switch (entry?.type) {
      case "Query":
      case "FunctionCall":
        entry.sqlstate = sqlstate;
        return;
      case "Sync":
        return;
      default:
        this.#failGroup(sqlstate);
    }
  }

  readyForQuery(status: TransactionStatus): void {
    this.transactionStatus = status;
    this.#isCopyIn = false;
    if (status === "I") this.#portals.clear();
    const entry = this.#peek();
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
        // A Sync that crossed the end of a COPY was answered after all.
        this.#isSkipping = false;
    }
  }

  /** The connection has ended: whatever is still unanswered was skipped, or nobody will ever know. */
  connectionLost(sqlstate: string): void {
    while (!this.isSettled) this.#finishUnrun(this.#shift(), { kind: "failed", sqlstate });
  }

  // ---------------------------------------------------------------------------------------------------

  #statementAfter(entry: Pending<S, X>, name: string): Lookup<S> | undefined {
    switch (entry.type) {
      case "Parse":
        if (entry.name !== name) return undefined;
        return this.#resolve(entry.group, entry.statement, this.#statements.get(name));
      case "Close":
        if (entry.kind !== "statement" || entry.name !== name) return undefined;
        return this.#resolve(entry.group, undefined, this.#statements.get(name));
      case "Query":
        // It removes the unnamed statement, even if it fails.
        if (name === "") return UNKNOWN;
        return this.#madeBy(entry, "statements", name);
      case "Execute":
        return this.#madeBy(entry, "statements", name);
      case "Refused":
        return entry.name === name && name === "" ? UNKNOWN : undefined;
      case "Bind":
      case "FunctionCall":
      case "Sync":
      case "CopyEnd":
        return undefined;
    }
  }

  #madeBy(
    entry: Extract<Pending<S, X>, { type: "Query" | "FunctionCall" | "Execute" }>,
    kind: "statements" | "portals",
    name: string,
  ): Lookup<S> | undefined {
    if (entry.execution === undefined) return undefined;
    const made = this.#namesMade(entry.execution)?.[kind].find(([known]) => known === name);
    if (made === undefined) return undefined;
    // As in #resolve; and no answer would come to wait for before Sync.
    const isReached = entry.type === "Execute" && entry.group === this.#group;
    return isReached ? toLookup(made[1]) : UNSETTLED;
  }

  #remember(execution: X): void {
    const made = this.#namesMade(execution);
    if (made === undefined) return;
    for (const [name, statement] of made.statements) this.#statements.set(name, statement);
    for (const [name, statement] of made.portals) this.#portals.set(name, statement);
  }

  /** Names whose statement may be the one from before, or the one of an execution that has failed. */
  #forgetDoubtful(execution: X): void {
    const made = this.#namesMade(execution);
    if (made?.isOneOfSeveral !== true) return;
    for (const [name] of made.statements) this.#statements.delete(name);
    for (const [name] of made.portals) this.#portals.delete(name);
  }

  // In its own group a definition either holds or is never reached; in a later one it may have failed.
  #resolve(group: number, defined: S | undefined, before: S | undefined): Lookup<S> {
    if (group === this.#group || before === undefined || before === defined)
      return toLookup(defined);
    return UNSETTLED;
  }

  #failGroup(sqlstate: string): void {
    let isFirst = true;
    while (!this.isSettled && this.#peek()?.type !== "Sync") {
      const entry = this.#shift();
      if (isFirst && entry.type !== "CopyEnd") {
        isFirst = false;
        // The backend drops the unnamed statement before it reads the new text.
        if ((entry.type === "Parse" || entry.type === "Refused") && entry.name === "") {
          this.#statements.delete("");
        }
        this.#finishUnrun(entry, { kind: "failed", sqlstate });
      } else {
        this.#finishUnrun(entry, { kind: "skipped" });
      }
    }
    if (this.isSettled) this.#isSkipping = true;
  }

  #finishUnrun(entry: Pending<S, X>, outcome: Outcome): void {
    switch (entry.type) {
      case "Execute":
        this.#onFinished(entry.execution, outcome);
        return;
      case "Query":
      case "FunctionCall":
        if (entry.execution !== undefined) this.#onFinished(entry.execution, outcome);
        return;
      case "Parse":
      case "Bind":
      case "Close":
      case "Refused":
      case "Sync":
      case "CopyEnd":
        return;
    }
  }

  #readyEnded({ type, execution, tag, sqlstate }: ReadyPending<X>): void {
    if (type === "Query") {
      this.#statements.delete("");
      this.#portals.delete("");
    }
    if (execution === undefined) return;
    if (sqlstate !== undefined) {
      this.#forgetDoubtful(execution);
      this.#onFinished(execution, { kind: "failed", sqlstate });
      return;
    }
    this.#remember(execution);
    this.#onFinished(execution, { kind: "completed", tag: tag ?? "" });
  }

  #shiftExpected(type: Pending<S, X>["type"]): Pending<S, X> | undefined {
    return this.#peek()?.type === type ? this.#shift() : undefined;
  }

  #peek(): Pending<S, X> | undefined {
    while (this.#pending[this.#head]?.type === "CopyEnd") this.#shift();
    return this.#pending[this.#head];
  }

  #shift(): Pending<S, X> {
    const entry = this.#pending[this.#head] as Pending<S, X>;
    this.#head += 1;
    if (this.#head === this.#pending.length) {
      this.#pending.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#pending.splice(0, this.#head);
      this.#head = 0;
    }
    return entry;
  }
}

const SYNC = { type: "Sync" } as const;
const COPY_END = { type: "CopyEnd" } as const;
const UNSETTLED = { kind: "unsettled" } as const;
const UNKNOWN = { kind: "unknown" } as const;

function toLookup<T>(value: T | undefined): Lookup<T> {
  return value === undefined ? UNKNOWN : { kind: "found", value };
}
