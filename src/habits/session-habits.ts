import type { Notice, RowsOf, Where, Who } from "../alerts/event.ts";
import type {
  BudgetHabit,
  HoneypotHabit,
  HoursHabit,
  RowsHabit,
  StatementsHabit,
} from "../config/habits.ts";
import { isWithin } from "../policy/schedule.ts";
import type { Classification, ParsedClassification } from "../sql/classification.ts";
import { summaryOf } from "../sql/summary-of.ts";
import type { Budget } from "./budget.ts";
import { touched } from "./honeypots.ts";
import type { Profile } from "./profile.ts";
import { mayReach, rowsCounted } from "./rows-done.ts";
import type { Shapes } from "./shapes.ts";

/** A habit that is enforced was broken: the statement doesn't run. */
export interface Breach {
  readonly rule: string;
  readonly message: string;
  readonly hint: string;
}

export type SessionIdentity = Who & Where & { readonly session: string };

export interface SessionHabitsOptions {
  readonly identity: SessionIdentity;
  readonly statements: StatementsHabit | undefined;
  readonly budgets: readonly { readonly habit: BudgetHabit; readonly budget: Budget }[];
  readonly rows: readonly RowsHabit[];
  readonly hours: readonly HoursHabit[];
  readonly honeypots: readonly HoneypotHabit[];
  readonly profile: Profile;
  readonly shapes: Shapes;
  readonly notice: (notice: Notice) => void;
  /** Does it off the statement's way. */
  readonly later: (work: () => void) => void;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

const MINUTE_MS = 60_000;
/** Of fewer rows nobody is told, however unusual they are. */
const FEW_ROWS = 100;

/** One session's statements beside what is usual. What was found in order once costs a look-up the next time. */
export class SessionHabits {
  readonly #options: SessionHabitsOptions;
  readonly #enforcedBudgets: SessionHabitsOptions["budgets"];
  readonly #countsRows: boolean;
  readonly #learnsRows: boolean;
  /** Statements of which there is nothing to say, by what the texts of one shape share. */
  #inOrder = new WeakSet();
  #generation: object;
  #isOutOfHours: HoursHabit | undefined;
  #hoursHoldUntilMs = 0;

  constructor(options: SessionHabitsOptions) {
    this.#options = options;
    const { budgets, rows, profile } = options;
    this.#enforcedBudgets = budgets.filter(({ habit }) => habit.isEnforced);
    this.#countsRows = budgets.length > 0 || rows.length > 0;
    this.#learnsRows = rows.some(({ timesUsual }) => timesUsual !== undefined);
    this.#generation = profile.generation;
  }

  /** What policy allows, before it runs. */
  breach(classification: Classification): Breach | undefined {
    return this.#overBudget(classification) ?? this.#unknownShape(classification);
  }

  /** @param isAllowed - it runs; what is refused teaches nothing */
  decided(text: string, classification: Classification, isAllowed: boolean): void {
    if (classification.kind === "unparsed") return;
    const { hours, later } = this.#options;
    if (isAllowed && hours.length > 0) this.#checkHours(text, classification);
    this.#followGeneration();
    if (this.#inOrder.has(classification.statements)) return;
    later(() => {
      this.#look(text, classification, isAllowed);
    });
  }

  /** @param tag - as the server said it: one of each statement of a batch */
  completed(text: string, classification: Classification, tag: string): void {
    if (!this.#countsRows) return;
    const rows = Number(tag.slice(tag.lastIndexOf(" ") + 1));
    if (!(rows > 0)) return;
    for (const of of rowsCounted(tag, classification))
      this.#count({ of, rows }, text, classification);
  }

  // --- refused ---------------------------------------------------------------------------------------------

  #overBudget(classification: Classification): Breach | undefined {
    for (const { habit, budget } of this.#enforcedBudgets) {
      if (!mayReach(habit.of, classification)) continue;
      const spent = budget.sum(this.#options.nowMs());
      if (spent < habit.rows) continue;
      const { name: rule, of, rows, windowMs, per } = habit;
      const whose = per === "session" ? "this session" : this.#options.identity.person;
      return {
        rule,
        message: `${whose} has a budget of ${rows} rows to ${of} in ${windowMs / 1000} s, and has spent ${spent}`,
        hint: `Wait until some of that time has passed, or ask an operator to run: twokey habits reset ${this.#options.identity.person} --budgets`,
      };
    }
    return undefined;
  }

  #unknownShape(classification: Classification): Breach | undefined {
    const { statements, profile, shapes, identity } = this.#options;
    if (statements === undefined || profile.mode(statements.mode) !== "enforce") return undefined;
    if (classification.kind === "unparsed") return undefined;
    this.#followGeneration();
    if (this.#inOrder.has(classification.statements)) return undefined;
    const { database, person } = identity;
    const shape = shapes.of(classification, database);
    if (shape === undefined || profile.knows(shape.id)) return undefined;
    profile.meet(shape, { database, now: new Date(this.#options.nowMs()) });
    return {
      rule: statements.name,
      message: `${person} has never run a statement of this shape (${shape.id})`,
      hint: `If it is right, ask an operator to run: twokey habits learn ${person} ${shape.id}`,
    };
  }

  // --- told ------------------------------------------------------------------------------------------------

  #look(text: string, classification: ParsedClassification, isAllowed: boolean): void {
    const isBait = this.#checkHoneypots(text, classification);
    if (!isAllowed) return;
    if (this.#isKnownShape(text, classification) && !isBait) {
      this.#inOrder.add(classification.statements);
    }
  }

  #checkHoneypots(text: string, classification: ParsedClassification): boolean {
    const { honeypots, notice, identity } = this.#options;
    let isBait = false;
    for (const { name: rule, tables } of honeypots) {
      const table = touched(tables, classification);
      if (table === undefined) continue;
      isBait = true;
      const summary = summaryOf(classification, undefined);
      notice({ kind: "unusual.honeypot", ...identity, rule, table, summary, sql: text });
    }
    return isBait;
  }

  #isKnownShape(text: string, classification: ParsedClassification): boolean {
    const { statements, profile, shapes, identity, notice } = this.#options;
    if (statements === undefined) return true;
    const { database } = identity;
    const shape = shapes.of(classification, database);
    if (shape === undefined || profile.knows(shape.id)) return true;
    const now = new Date(this.#options.nowMs());
    const mode = profile.mode(statements.mode);
    if (mode === "learn" && profile.size < statements.maxShapes) {
      profile.learn(shape, { database, now });
      return true;
    }
    const isFirst = profile.meet(shape, { database, now });
    if (isFirst && mode === "warn") {
      const summary = summaryOf(classification, undefined);
      notice({
        kind: "unusual.statement",
        ...identity,
        rule: statements.name,
        shape: shape.id,
        summary,
        sql: text,
      });
    }
    return false;
  }

  #checkHours(text: string, classification: ParsedClassification): void {
    if (!mayReach("change", classification) && !changesStructure(classification)) return;
    const { hours, nowMs, notice, identity } = this.#options;
    const atMs = nowMs();
    if (atMs >= this.#hoursHoldUntilMs) {
      const at = new Date(atMs);
      this.#isOutOfHours = hours.find(({ outside }) => !isWithin(outside, at));
      // Hours begin and end with a minute.
      this.#hoursHoldUntilMs = atMs - (atMs % MINUTE_MS) + MINUTE_MS;
    }
    if (this.#isOutOfHours === undefined) return;
    const summary = summaryOf(classification, undefined);
    const rule = this.#isOutOfHours.name;
    notice({ kind: "unusual.hours", ...identity, rule, summary, sql: text });
  }

  #count(
    { of, rows }: { readonly of: RowsOf; readonly rows: number },
    text: string,
    classification: Classification,
  ): void {
    const { budgets, rows: habits, profile, notice, identity, nowMs } = this.#options;
    for (const { habit, budget } of budgets) {
      if (habit.of !== of) continue;
      const sum = budget.add(rows, nowMs());
      const isOver = sum > habit.rows;
      if (isOver && !budget.isTold) {
        const { name: rule, rows: limit, windowMs } = habit;
        notice({ kind: "unusual.budget", ...identity, rule, of, rows: sum, limit, windowMs });
      }
      budget.isTold = isOver;
    }
    for (const habit of habits) {
      if (habit.of !== of) continue;
      const over = exceeded(habit, rows, profile);
      if (over === undefined) continue;
      const summary = summaryOf(classification, undefined);
      const { name: rule } = habit;
      notice({ kind: "unusual.rows", ...identity, rule, of, rows, ...over, summary, sql: text });
    }
    if (this.#learnsRows) {
      profile.usual.add(of, rows);
      profile.isChanged = true;
    }
  }

  #followGeneration(): void {
    const { generation } = this.#options.profile;
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#inOrder = new WeakSet();
  }
}

function exceeded(
  { of, moreThan, timesUsual }: RowsHabit,
  rows: number,
  profile: Profile,
): { readonly limit: number; readonly by: "threshold" | "habit" } | undefined {
  if (moreThan !== undefined && rows > moreThan) return { limit: moreThan, by: "threshold" };
  if (timesUsual === undefined || rows < FEW_ROWS) return undefined;
  const usual = profile.usual.limit(of);
  return usual !== undefined && rows > usual * timesUsual
    ? { limit: usual, by: "habit" }
    : undefined;
}

const STRUCTURAL = new Set(["ddl", "destructive_ddl", "privilege", "admin"]);

function changesStructure({ effects }: ParsedClassification): boolean {
  return effects.some((effect) => STRUCTURAL.has(effect));
}
