import { boundParameter, type BindValue } from "../approvals/bound-parameters.ts";
import { encodeFragment, type Fragment, type Seq, type SessionFields } from "../audit/record.ts";
import { sha256 } from "../base/digest.ts";
import { parseSqlstate, type Sqlstate } from "../base/errors.ts";
import type { Decision } from "../policy/decision.ts";
import type { AuditFile } from "../store/audit-file.ts";
import type { Outcome } from "../wire/protocol-state.ts";
import type { TakenUse } from "./approval-desk.ts";
import { statementFragment, type Judged, type Subject } from "./judged.ts";

/** One run of a statement, from its record to its end. */
export interface Execution {
  readonly subject: Subject;
  /** Its `statement.decided`. */
  readonly decided: Seq;
  readonly startedAtMs: number;
}

const NOTHING = encodeFragment({});

const SUCCEEDED = parseSqlstate("00000");

/** One session's records. What all of them share is encoded once, and so is what a statement's text gives. */
export class SessionRecorder {
  readonly #audit: AuditFile;
  readonly #fields: SessionFields;
  readonly #whole: Fragment;
  readonly #short: Fragment;
  readonly #texts = new WeakMap<Judged, Partial<Record<Decision["action"], Fragment>>>();

  readonly #parameters: "none" | "hash" | "full";

  constructor(
    audit: AuditFile,
    fields: SessionFields,
    { parameters }: { readonly parameters: "none" | "hash" | "full" },
  ) {
    this.#audit = audit;
    this.#parameters = parameters;
    this.#fields = fields;
    this.#whole = encodeFragment(fields);
    const { session, person, environment, database } = fields;
    this.#short = encodeFragment({ session, person, environment, database });
  }

  /** Whether values that are bound are wanted in the log. */
  get wantsParameters(): boolean {
    return this.#parameters !== "none";
  }

  parameters(values: readonly BindValue[]): Fragment {
    const parameters =
      this.#parameters === "full"
        ? values.map((value) => boundParameter(value))
        : values.map(({ value }) => (value === null ? null : sha256(value)));
    return encodeFragment({ parameters });
  }

  started(how: { readonly authentication: string; readonly tls: string | undefined }): void {
    this.#audit.appendEncoded(
      "session.start",
      this.#whole,
      encodeFragment({
        authentication: how.authentication,
        ...(how.tls !== undefined && { tls: how.tls }),
      }),
    );
  }

  ended(reason: string, durationMs: number): void {
    this.#audit.note(
      "session.end",
      this.#short,
      encodeFragment({ reason, duration_ms: rounded(durationMs) }),
    );
  }

  /** @throws AuditUnavailable */
  decided(subject: Subject): Execution {
    const { judged, recorded } = subject;
    const text = this.#textOf(judged, judged.decision.action);
    const decided =
      recorded === undefined
        ? this.#audit.appendEncoded("statement.decided", this.#whole, text)
        : this.#audit.appendEncoded("statement.decided", this.#whole, text, recorded);
    return { subject, decided, startedAtMs: performance.now() };
  }

  /** The next rows of a portal whose execution was approved before. */
  continued(subject: Subject): Execution {
    const text = this.#textOf(subject.judged, "allow");
    const decided = this.#audit.appendEncoded("statement.decided", this.#whole, text);
    return { subject, decided, startedAtMs: performance.now() };
  }

  /** @returns `undefined` when the statement may go on without waiting for its record */
  beforeEffect({ subject, decided }: Execution): Promise<void> | undefined {
    if (subject.judged.isDestructive) return this.#audit.synced(decided);
    if (subject.judged.canChange || this.#audit.durability === "strict") {
      return this.#audit.written(decided);
    }
    return undefined;
  }

  /** @throws AuditUnavailable; when it returns, all of it is on disk */
  async approved(subject: Subject, { request, usesLeft }: TakenUse): Promise<Execution> {
    const { session, person, environment, database } = this.#fields;
    const approval = request.approvals.map((_, index) => `${request.id}/${index + 1}`).join(" ");
    this.#audit.append({
      event: "approval.used",
      session,
      person,
      environment,
      database,
      request: request.id,
      approval,
      uses_left: usesLeft,
    });
    const decided = this.#audit.appendEncoded(
      "statement.decided",
      this.#whole,
      this.#textOf(subject.judged, "allow"),
      encodeFragment({ request: request.id, approval }),
      subject.recorded ?? NOTHING,
    );
    await this.#audit.synced(decided);
    return { subject, decided, startedAtMs: performance.now() };
  }

  /** @throws AuditUnavailable */
  refused({ judged }: Subject, request?: string): void {
    const text = this.#textOf(judged, judged.decision.action);
    if (request === undefined) this.#audit.appendEncoded("statement.decided", this.#whole, text);
    else {
      this.#audit.appendEncoded(
        "statement.decided",
        this.#whole,
        text,
        encodeFragment({ request }),
      );
    }
  }

  /** @throws AuditUnavailable */
  requested({ judged }: Subject, request: string): void {
    const { session, person, roles, environment, database } = this.#fields;
    this.#audit.appendEncoded(
      "request.created",
      encodeFragment({ session, person, roles, environment, database }),
      this.#textOf(judged, judged.decision.action),
      encodeFragment({ request }),
    );
  }

  finished({ decided, startedAtMs }: Execution, outcome: Outcome): void {
    this.#audit.note(
      "statement.finished",
      this.#short,
      encodeFragment({
        statement: decided,
        rows: rowsOf(outcome),
        duration_ms: rounded(performance.now() - startedAtMs),
        sqlstate: sqlstateOf(outcome),
      }),
    );
  }

  #textOf(judged: Judged, action: Decision["action"]): Fragment {
    let fragments = this.#texts.get(judged);
    if (fragments === undefined) this.#texts.set(judged, (fragments = {}));
    return (fragments[action] ??= statementFragment(
      judged,
      this.#audit.statementText(judged.text),
      action,
    ));
  }
}

/** Of a command tag such as `INSERT 0 3`, `SELECT 12` or `CREATE TABLE`. */
function rowsOf(outcome: Outcome): number {
  if (outcome.kind !== "completed") return 0;
  const digits = /(\d+)$/.exec(outcome.tag)?.[1];
  return digits === undefined ? 0 : Number(digits);
}

function sqlstateOf(outcome: Outcome): Sqlstate {
  switch (outcome.kind) {
    case "completed":
    case "suspended":
      return SUCCEEDED;
    case "failed":
      return outcome.sqlstate as Sqlstate;
    case "skipped":
      return NOT_RUN;
  }
}

// The backend ignored it after an earlier error of the same pipeline: class 25, in_failed_sql_transaction.
const NOT_RUN = parseSqlstate("25P02");

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
