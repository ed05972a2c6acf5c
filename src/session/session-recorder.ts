import { boundParameter, type BindValue } from "../approvals/bound-parameters.ts";
import {
  encodeFinished,
  encodeFragment,
  type Fragment,
  type Seq,
  type SessionFields,
} from "../audit/record.ts";
import { sha256 } from "../base/digest.ts";
import { parseSqlstate, type Sqlstate } from "../base/errors.ts";
import type { Decision } from "../policy/decision.ts";
import type { AuditFile } from "../store/audit-file.ts";
import type { Outcome } from "../wire/protocol-state.ts";
import type { TakenUse } from "./approval-desk.ts";
import { recordedText } from "./recorded-text.ts";
import { judgementFragment, sharedBy, type Judged, type Subject } from "./judged.ts";
import {
  approvedNotice,
  failedNotice,
  isGuess,
  loginNotice,
  observedNotice,
  refusedNotice,
  type TellNotice,
} from "./notices.ts";

/** One run of a statement, from its record to its end. */
export interface Execution {
  readonly subject: Subject;
  /** Its `statement.decided`. */
  readonly decided: Seq;
  readonly startedAtMs: number;
  /** Of an `Execute` that asks for no more; the portal may go on afterwards. */
  readonly maxRows?: number;
}

/** How much of what people write into their statements is wanted on record. */
export interface RecordedValues {
  readonly parameters: "none" | "hash" | "full";
  readonly literals: "keep" | "mask";
}

/** What one statement moved. */
export interface Traffic {
  /** Of the server's answer, its messages' headers included. */
  readonly bytes: number;
  /** Of COPY data that the frontend sent. */
  readonly copiedBytes: number;
}

const NOTHING = encodeFragment({});

const SUCCEEDED = parseSqlstate("00000");

/** One session's records. What all of them share is encoded once, and so is what a statement's text gives. */
export class SessionRecorder {
  readonly #audit: AuditFile;
  readonly #fields: SessionFields;
  readonly #whole: Fragment;
  readonly #short: Fragment;
  readonly #texts = new WeakMap<Judged, Fragment>();
  readonly #judgements = new WeakMap<
    object,
    {
      readonly decision: Decision;
      readonly fragments: Partial<Record<Decision["action"], Fragment>>;
    }
  >();

  readonly #parameters: RecordedValues["parameters"];
  readonly #literals: RecordedValues["literals"];
  readonly #notice: TellNotice;

  constructor(
    audit: AuditFile,
    fields: SessionFields,
    { recorded, notice }: { readonly recorded: RecordedValues; readonly notice: TellNotice },
  ) {
    this.#audit = audit;
    this.#parameters = recorded.parameters;
    this.#literals = recorded.literals;
    this.#notice = notice;
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

  started(how: {
    readonly authentication: string;
    /** Of the server's process for it, as the server's own log has it. */
    readonly backendPid: number | undefined;
    readonly tls: string | undefined;
    readonly isPerson: boolean;
  }): void {
    this.#audit.appendEncoded(
      "session.start",
      this.#whole,
      encodeFragment({
        authentication: how.authentication,
        ...(how.backendPid !== undefined && { backend_pid: how.backendPid }),
        ...(how.tls !== undefined && { tls: how.tls }),
      }),
    );
    this.#notice(loginNotice(this.#fields, how));
  }

  ended(reason: string, durationMs: number): void {
    this.#audit.note(
      "session.end",
      this.#short,
      encodeFragment({ reason, duration_ms: rounded(durationMs) }),
    );
  }

  /** @throws AuditUnavailable */
  decided(subject: Subject, backups?: readonly string[]): Execution {
    const { decision } = subject.judged;
    if (decision.action === "allow" && decision.observed !== undefined) {
      this.#notice(observedNotice(this.#fields, subject.judged, decision.observed));
    }
    const how = backups === undefined ? NOTHING : encodeFragment({ backups });
    return this.#started(subject, this.#decided(subject, decision.action, how));
  }

  /** The next rows of a portal whose execution was approved before. */
  continued(subject: Subject): Execution {
    return this.#started(subject, this.#decided(subject, "allow"));
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
  async approved(
    subject: Subject,
    taken: TakenUse,
    backups?: readonly string[],
  ): Promise<Execution> {
    const { request, usesLeft } = taken;
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
    const how = encodeFragment({
      request: request.id,
      approval,
      ...(backups !== undefined && { backups }),
    });
    const decided = this.#decided(subject, "allow", how);
    await this.#audit.synced(decided);
    this.#notice(approvedNotice(this.#fields, subject.judged, taken));
    return this.#started(subject, decided);
  }

  /** Whoever has to know is told even when it can't be recorded. @throws AuditUnavailable */
  refused(subject: Subject, request?: string): void {
    this.#notice(refusedNotice(this.#fields, subject.judged, request));
    const how = request === undefined ? NOTHING : encodeFragment({ request });
    this.#decided(subject, subject.judged.decision.action, how);
  }

  /** @throws AuditUnavailable */
  requested({ judged }: Subject, request: string): void {
    const { session, person, roles, environment, database } = this.#fields;
    this.#audit.appendEncoded(
      "request.created",
      encodeFragment({ session, person, roles, environment, database }),
      this.#textOf(judged),
      this.#judgementOf(judged, judged.decision.action),
      encodeFragment({ request }),
    );
  }

  finished(
    { subject, decided, startedAtMs, maxRows }: Execution,
    outcome: Outcome,
    { bytes, copiedBytes }: Traffic,
  ): void {
    const ended = {
      rows: outcome.kind === "suspended" ? (maxRows ?? 0) : rowsOf(outcome),
      bytes,
      copiedBytes,
      durationUs: (performance.now() - startedAtMs) * 1000,
      sqlstate: sqlstateOf(outcome),
    };
    this.#audit.note("statement.finished", this.#short, encodeFinished(decided, ended));
    if (outcome.kind === "failed" && isGuess(outcome.sqlstate)) {
      this.#notice(failedNotice(this.#fields, subject.judged, outcome.sqlstate));
    }
  }

  #decided({ judged, recorded }: Subject, action: Decision["action"], how = NOTHING): Seq {
    return this.#audit.appendEncoded(
      "statement.decided",
      this.#whole,
      this.#textOf(judged),
      this.#judgementOf(judged, action),
      recorded ?? NOTHING,
      how,
    );
  }

  #started(subject: Subject, decided: Seq): Execution {
    return { subject, decided, startedAtMs: performance.now() };
  }

  #textOf(judged: Judged): Fragment {
    let text = this.#texts.get(judged);
    if (text === undefined) {
      const recorded = recordedText(this.#audit, judged.text, this.#literals);
      text = recorded.fragment;
      // A file of its own may have been removed with the records that named it: it is looked for each time.
      if (!recorded.isSpilled) this.#texts.set(judged, text);
    }
    return text;
  }

  #judgementOf(judged: Judged, action: Decision["action"]): Fragment {
    const shared = sharedBy(judged.classification);
    let known = this.#judgements.get(shared);
    if (known?.decision !== judged.decision) {
      known = { decision: judged.decision, fragments: {} };
      this.#judgements.set(shared, known);
    }
    return (known.fragments[action] ??= judgementFragment(judged, action));
  }
}

/** Of a command tag such as `INSERT 0 3`, `SELECT 12` or `CREATE TABLE`. */
function rowsOf(outcome: Outcome): number {
  if (outcome.kind !== "completed") return 0;
  const { tag } = outcome;
  let rows = 0;
  let unit = 1;
  for (let i = tag.length - 1; i >= 0 && unit < 1e15; i -= 1) {
    const digit = tag.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) break;
    rows += digit * unit;
    unit *= 10;
  }
  return rows;
}

function sqlstateOf(outcome: Outcome): Sqlstate {
  switch (outcome.kind) {
    case "completed":
    case "suspended":
      return SUCCEEDED;
    case "failed":
      return /^[0-9A-Z]{5}$/.test(outcome.sqlstate) ? parseSqlstate(outcome.sqlstate) : UNKNOWN;
    case "skipped":
      return NOT_RUN;
  }
}

// What a broken server sends is not put into the log as it is.
const UNKNOWN = parseSqlstate("XX000");

// The backend ignored it after an earlier error of the same pipeline: class 25, in_failed_sql_transaction.
const NOT_RUN = parseSqlstate("25P02");

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
