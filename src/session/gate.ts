import { bindParameters } from "../approvals/bound-parameters.ts";
import { assertNever } from "../base/assert-never.ts";
import type { BackupTerms, Decision } from "../policy/decision.ts";
import type { Breach, SessionHabits } from "../habits/session-habits.ts";
import { decodeBoundParameters } from "../wire/decode-frontend.ts";
import type { Outcome } from "../wire/protocol-state.ts";
import type { ApprovalDesk, TakenUse } from "./approval-desk.ts";
import type { BackupDuty } from "./backup-duty.ts";
import { needsClearance, type Clearance } from "./clearance.ts";
import { judge, type Judged, type Subject } from "./judged.ts";
import { Judging, type JudgingOptions } from "./judging.ts";
import {
  blockedRefusal,
  byNameRefusal,
  boundTooEarly,
  functionCallRefusal,
  type Refusal,
} from "./refusal.ts";
import type { RecentStatements } from "./recent-statements.ts";
import type { NeedsApproval, SecondPerson } from "./second-person.ts";
import type { Execution, SessionRecorder, Traffic } from "./session-recorder.ts";
import {
  FORWARD,
  refuse,
  refuseUndecided,
  withoutRun,
  type BindVerdict,
  type Refused,
  type RunVerdict,
  type Verdict,
} from "./verdict.ts";

export interface GateOptions extends JudgingOptions {
  readonly desk: Pick<ApprovalDesk, "settle">;
  readonly secondPerson: SecondPerson;
  readonly backupDuty: BackupDuty;
  readonly recorder: SessionRecorder;
  /** `undefined` where nothing is configured about whom it is. */
  readonly habits: SessionHabits | undefined;
  readonly recent: RecentStatements;
}

/**
 * The way of a statement: what is it, may it, has someone signed, on record, done or refused. Answers at once where
 * nothing has to be waited for.
 */
export class Gate {
  readonly #options: GateOptions;
  readonly #judging: Judging;
  /** By their portals: runs that were approved with a `Bind` and have not begun. */
  readonly #approved = new WeakMap<object, Execution>();
  #clearance: Clearance | undefined;
  readonly #cleared = new Map<Execution, () => void>();

  constructor(options: GateOptions) {
    this.#options = options;
    this.#judging = new Judging(options);
  }

  /** What is it, and may it? */
  read(bytes: Buffer): Judged | Refusal | Promise<Judged> {
    return this.#judging.read(bytes);
  }

  /** A `Parse` runs nothing, but what nobody could ever run is refused here, where the message makes sense. */
  permitParse(subject: Subject): Verdict | Promise<Verdict> {
    const { decision, hasParameters } = subject.judged;
    switch (decision.action) {
      case "allow": {
        const breach = this.#breach(subject);
        return breach === undefined ? FORWARD : this.#refuseUnusual(subject, breach);
      }
      case "block":
        return this.#refuseBlocked(subject, decision);
      case "require_approval":
        // Which values are to be signed for is only known at Bind.
        return hasParameters ? FORWARD : this.#forwardIfSigned(subject, decision);
      default:
        return assertNever(decision);
    }
  }

  /**
   * A `Bind` plans, and planning may run what is declared immutable. And once there is a portal, FETCH or a function can
   * run it without an `Execute`: so a signature is used here.
   */
  permitBind(subject: Subject): BindVerdict | Promise<BindVerdict> {
    const current = this.#judging.current(subject);
    return current instanceof Promise
      ? current.then((late) => this.#permitCurrentBind(late))
      : this.#permitCurrentBind(current);
  }

  /** A `Query`, or one `Execute`: permission is looked up again, each signature is used once. */
  permitRun(subject: Subject): RunVerdict | Promise<RunVerdict> {
    const current = this.#judging.current(subject);
    const verdict =
      current instanceof Promise
        ? current.then((late) => this.#permitCurrent(subject, late))
        : this.#permitCurrent(subject, current);
    if (this.#clearance === undefined) return verdict;
    return verdict instanceof Promise
      ? verdict.then((late) => this.#clear(late))
      : this.#clear(verdict);
  }

  /** From now on, what drops something is cleared with the server first. */
  clearBy(clearance: Clearance): void {
    this.#clearance = clearance;
  }

  /** The session has ended, whatever was under way. */
  close(): void {
    for (const release of this.#cleared.values()) release();
    this.#cleared.clear();
  }

  #permitCurrentBind(subject: Subject): BindVerdict | Promise<BindVerdict> {
    const { decision, classification } = subject.judged;
    switch (decision.action) {
      case "allow":
        if (decision.backup !== undefined) return this.#bindIfBackedUp(subject, decision.backup);
        // What planning runs is on record, too: there need not be an Execute.
        return (classification.effects as readonly string[]).includes("opaque")
          ? this.#recordBind(subject)
          : FORWARD;
      case "block":
        return this.#refuseBlocked(subject, decision);
      case "require_approval":
        return isUnbound(subject)
          ? refuse(boundTooEarly(decision))
          : this.#bindIfSigned(subject, decision);
      default:
        return assertNever(decision);
    }
  }

  #permitCurrent(subject: Subject, current: Subject): RunVerdict | Promise<RunVerdict> {
    const { decision } = current.judged;
    switch (decision.action) {
      case "allow": {
        const breach = this.#breach(current);
        if (breach !== undefined) return this.#refuseUnusual(current, breach);
        if (decision.backup === undefined) return this.#record(current);
        if (subject.portal?.isApproved === true) return this.#continue(subject);
        return this.#runIfBackedUp(current, decision.backup);
      }
      case "block":
        return this.#refuseBlocked(current, decision);
      case "require_approval":
        if (subject.portal?.isApproved === true) return this.#continue(subject);
        this.#compare(current);
        return isUnbound(current)
          ? refuse(boundTooEarly(decision))
          : this.#runIfSigned(current, decision);
      default:
        return assertNever(decision);
    }
  }

  /** Runs a function without a text that could be judged. */
  refuseFunctionCall(functionOid: number): Refusal {
    return functionCallRefusal(functionOid, this.#options.situation.place.environment);
  }

  /** The subject of a prepared statement. */
  prepared(judged: Judged, parameterTypes: readonly number[]): Subject {
    return needsApproval(judged) ? { ...judged.subject, parameterTypes } : judged.subject;
  }

  /** The subject of a portal, with its values where an approval has to bind them or the log wants them. */
  bound(subject: Subject, bindBody: Buffer): Subject {
    const { judged, parameterTypes } = subject;
    const isRecorded = judged.hasParameters && this.#options.recorder.wantsParameters;
    // What is allowed now may need a signature by the time that it runs.
    const mayNeedApproval =
      judged.hasParameters && (!judged.isTimeless || this.#judging.isOutOfDate);
    if (!needsApproval(judged) && !isRecorded && !mayNeedApproval) return subject;
    const values = decodeBoundParameters(bindBody).map(({ format, value }, index) => ({
      oid: parameterTypes[index] ?? 0,
      format: format === 0 ? ("text" as const) : ("binary" as const),
      value: value ?? null,
    }));
    return {
      ...subject,
      parameters: bindParameters(values),
      recorded: isRecorded ? this.#options.recorder.parameters(values) : undefined,
      portal: { isApproved: false },
    };
  }

  /** The server says that one statement of it is done; of a batch, each. */
  completed({ subject: { judged } }: Execution, tag: string): void {
    this.#options.habits?.completed(judged.text, judged.classification, tag);
  }

  finished(execution: Execution, outcome: Outcome, traffic: Traffic): void {
    const { recorder, metrics } = this.#options;
    metrics.statementTook((performance.now() - execution.startedAtMs) / 1000);
    if (outcome.kind === "suspended" && execution.maxRows !== undefined) {
      this.completed(execution, `SELECT ${execution.maxRows}`);
    }
    recorder.finished(execution, outcome, traffic);
    this.#cleared.get(execution)?.();
    this.#cleared.delete(execution);
  }

  // --- is it usual -------------------------------------------------------------------------------------

  #breach({ judged }: Subject): Breach | undefined {
    return this.#options.habits?.breach(judged.classification);
  }

  /** Tells what is odd about it, off its way. */
  #compare({ judged }: Subject): void {
    const { text, classification, decision } = judged;
    this.#options.habits?.decided(text, classification, decision.action === "allow");
  }

  #refuseUnusual(subject: Subject, breach: Breach): Refused {
    const { text, classification, decision: allowed } = subject.judged;
    const { environment } = allowed;
    const decision = { action: "block", environment, statement: undefined, ...breach } as const;
    const judged = judge(text, classification, { decision, isTimeless: false });
    return this.#refuseBlocked({ ...subject, judged }, decision);
  }

  // --- has someone signed --------------------------------------------------------------------------------

  async #forwardIfSigned(subject: Subject, decision: NeedsApproval): Promise<Verdict> {
    const { secondPerson } = this.#options;
    try {
      if (runsByName(subject.judged)) return this.#refuseByName(subject, decision);
      if (await secondPerson.hasSigned(subject, decision)) return FORWARD;
      this.#count(subject.judged, "require_approval");
      const refusal = await secondPerson.ask(subject, decision);
      return refusal === undefined ? FORWARD : refuse(refusal);
    } catch (error) {
      return refuseUndecided(error);
    }
  }

  async #runIfSigned(subject: Subject, decision: NeedsApproval): Promise<RunVerdict> {
    const { secondPerson } = this.#options;
    try {
      if (runsByName(subject.judged)) return this.#refuseByName(subject, decision);
      let backups: readonly string[] | undefined;
      for (;;) {
        // A signature is not used up on a statement that then lacks its backup.
        if (decision.backup !== undefined && backups === undefined) {
          if (await secondPerson.hasSigned(subject, decision)) {
            const met = await this.#options.backupDuty.meet(subject, decision.backup);
            if (met.kind === "unmet") return this.#refuseWithoutBackup(subject, met.refusal);
            backups = met.backups;
          }
        }
        const isReady = decision.backup === undefined || backups !== undefined;
        const taken = isReady ? await secondPerson.take(subject, decision) : undefined;
        if (taken !== undefined)
          return { kind: "forward", execution: await this.#use(subject, taken, backups) };
        this.#count(subject.judged, "require_approval");
        const refusal = await secondPerson.ask(subject, decision);
        if (refusal !== undefined) return refuse(refusal);
        // Signed while it waited; somebody else may still be quicker to use it.
      }
    } catch (error) {
      return refuseUndecided(error);
    }
  }

  async #bindIfSigned(subject: Subject, decision: NeedsApproval): Promise<BindVerdict> {
    const verdict = await this.#runIfSigned(subject, decision);
    if (verdict.kind === "forward" && subject.portal !== undefined) {
      subject.portal.isApproved = true;
      this.#approved.set(subject.portal, verdict.execution);
    }
    return verdict;
  }

  /** Its text does not say what would be signed for. */
  #refuseByName(subject: Subject, decision: NeedsApproval): Refused {
    this.#count(subject.judged, "require_approval");
    this.#options.recorder.refused(subject);
    return refuse(byNameRefusal(decision));
  }

  /** The use is on record and on disk before it is settled, and settled before the statement is sent. */
  async #use(
    subject: Subject,
    taken: TakenUse,
    backups: readonly string[] | undefined,
  ): Promise<Execution> {
    const { recorder, desk } = this.#options;
    const execution = await recorder.approved(subject, taken, backups);
    this.#options.recent.ran(subject.judged, Date.now());
    await desk.settle(taken.use);
    this.#count(subject.judged, "allow");
    return execution;
  }

  // --- is there a backup -----------------------------------------------------------------------------------

  async #runIfBackedUp(subject: Subject, terms: BackupTerms): Promise<RunVerdict> {
    const { backupDuty, recorder } = this.#options;
    try {
      const met = await backupDuty.meet(subject, terms);
      if (met.kind === "unmet") return this.#refuseWithoutBackup(subject, met.refusal);
      const execution = recorder.decided(subject, met.backups);
      this.#options.recent.ran(subject.judged, Date.now());
      this.#count(subject.judged, "allow");
      this.#compare(subject);
      await recorder.beforeEffect(execution);
      return { kind: "forward", execution };
    } catch (error) {
      return refuseUndecided(error);
    }
  }

  /** As with a signature: once there is a portal, it can be run without an `Execute`. */
  async #bindIfBackedUp(subject: Subject, terms: BackupTerms): Promise<BindVerdict> {
    const verdict = await this.#runIfBackedUp(subject, terms);
    if (verdict.kind === "forward" && subject.portal !== undefined) {
      subject.portal.isApproved = true;
      this.#approved.set(subject.portal, verdict.execution);
    }
    return verdict;
  }

  #refuseWithoutBackup(subject: Subject, refusal: Refusal): Refused {
    this.#count(subject.judged, "block");
    this.#options.recorder.refused(subject);
    return refuse(refusal);
  }

  // --- cleared with the server's second lock --------------------------------------------------------------

  #clear(verdict: RunVerdict): RunVerdict | Promise<RunVerdict> {
    const clearance = this.#clearance;
    if (verdict.kind === "refuse" || clearance === undefined) return verdict;
    const { execution } = verdict;
    const { judged } = execution.subject;
    const isSigned = judged.decision.action === "require_approval";
    if (!needsClearance(judged, isSigned)) return verdict;
    const { classification, text } = judged;
    const sent = classification.kind === "parsed" ? classification.text : text;
    return clearance.clear(sent).then((release) => {
      this.#cleared.set(execution, release);
      return verdict;
    }, refuseUndecided);
  }

  // --- on record, done or refused ---------------------------------------------------------------------------

  #recordBind(subject: Subject): BindVerdict | Promise<BindVerdict> {
    const recorded = this.#record(subject);
    return recorded instanceof Promise ? recorded.then(withoutRun) : withoutRun(recorded);
  }

  #record(subject: Subject): RunVerdict | Promise<RunVerdict> {
    const { recorder } = this.#options;
    try {
      const execution = recorder.decided(subject);
      this.#options.recent.ran(subject.judged, Date.now());
      this.#count(subject.judged, isObserved(subject.judged) ? "observe" : "allow");
      this.#compare(subject);
      const onRecord = recorder.beforeEffect(execution);
      return onRecord === undefined
        ? { kind: "forward", execution }
        : onRecord.then(() => ({ kind: "forward" as const, execution }), refuseUndecided);
    } catch (error) {
      return refuseUndecided(error);
    }
  }

  /** A portal whose signature was used at its `Bind`: its run, and then its next rows. */
  #continue(subject: Subject): RunVerdict {
    const { portal } = subject;
    const first = portal && this.#approved.get(portal);
    if (portal !== undefined && first !== undefined) {
      this.#approved.delete(portal);
      return { kind: "forward", execution: first };
    }
    try {
      return { kind: "forward", execution: this.#options.recorder.continued(subject) };
    } catch (error) {
      return refuseUndecided(error);
    }
  }

  #refuseBlocked(subject: Subject, decision: Extract<Decision, { action: "block" }>): Refused {
    const { judged } = subject;
    this.#count(judged, "block");
    this.#compare(subject);
    try {
      this.#options.recorder.refused(subject);
    } catch (error) {
      return refuseUndecided(error);
    }
    return refuse(blockedRefusal(decision, judged.classification));
  }

  #count({ countedAs }: Judged, action: Decision["action"] | "observe"): void {
    const { metrics, situation } = this.#options;
    metrics.statement(situation.place.environment, countedAs, action);
  }
}

function isObserved({ decision }: Judged): boolean {
  return decision.action === "allow" && decision.observed !== undefined;
}

/** A signature or a backup: what is used for a portal is remembered with it. */
function needsApproval({ decision }: Judged): boolean {
  return (
    decision.action === "require_approval" ||
    (decision.action === "allow" && decision.backup !== undefined)
  );
}

/** Its values were not kept at `Bind`, when no rule asked for a signature. */
function isUnbound({ judged, parameters }: Subject): boolean {
  return judged.hasParameters && parameters === "none";
}

/** EXECUTE, also under EXPLAIN or CREATE TABLE AS: the name may stand for something else in another session. */
function runsByName({ classification, text }: Judged): boolean {
  if (classification.kind === "unparsed") return false;
  return classification.statements.some(
    ({ node }) =>
      node === "ExecuteStmt" ||
      ((node === "ExplainStmt" || node === "CreateTableAsStmt") && /\bexecute\b/i.test(text)),
  );
}
