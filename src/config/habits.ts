import type { Schedule } from "../policy/schedule.ts";
import type { HabitsText } from "./habits-schema.ts";

/** Whose habit it is. Each that is given must hold; within a list, one is enough. */
export interface Scope {
  readonly name: string;
  readonly environments: readonly string[] | undefined;
  readonly databases: readonly string[] | undefined;
  readonly roles: readonly string[] | undefined;
  /** People and workloads. */
  readonly principals: readonly string[] | undefined;
}

export type Mode = "learn" | "warn" | "enforce";
type RowsOf = HabitsText["budgets"][number]["of"];

export interface StatementsHabit extends Scope {
  readonly mode: Mode;
  readonly maxShapes: number;
}

export interface BudgetHabit extends Scope {
  readonly of: RowsOf;
  readonly rows: number;
  readonly windowMs: number;
  readonly per: "person" | "session";
  readonly isEnforced: boolean;
}

export interface RowsHabit extends Scope {
  readonly of: RowsOf;
  readonly moreThan: number | undefined;
  readonly timesUsual: number | undefined;
}

export interface HoursHabit extends Scope {
  readonly outside: Schedule;
}

export interface HoneypotHabit extends Scope {
  /** Globs over `name` or `schema.name`. */
  readonly tables: readonly string[];
}

export interface HabitsConfig {
  readonly statements: readonly StatementsHabit[];
  readonly budgets: readonly BudgetHabit[];
  readonly rows: readonly RowsHabit[];
  readonly hours: readonly HoursHabit[];
  readonly honeypots: readonly HoneypotHabit[];
  readonly directory: string;
}

export function toHabits(text: HabitsText, absolute: (path: string) => string): HabitsConfig {
  return {
    statements: text.statements.map(({ mode, max_shapes: maxShapes, ...its }) => ({
      ...toScope(its),
      mode,
      maxShapes,
    })),
    budgets: text.budgets.map(({ of, rows, within, per, mode, ...its }) => ({
      ...toScope(its),
      of,
      rows,
      windowMs: within,
      per,
      isEnforced: mode === "enforce",
    })),
    rows: text.rows.map(({ of, more_than: moreThan, times_usual: timesUsual, ...its }) => ({
      ...toScope(its),
      of,
      moreThan,
      timesUsual,
    })),
    hours: text.hours.map(({ outside, ...its }) => ({ ...toScope(its), outside })),
    honeypots: text.honeypots.map(({ tables, ...its }) => ({ ...toScope(its), tables })),
    directory: absolute(text.directory),
  };
}

interface ScopeText extends Omit<Scope, "principals"> {
  readonly people?: readonly string[] | undefined;
  readonly workloads?: readonly string[] | undefined;
}

function toScope({
  people,
  workloads,
  name,
  environments,
  databases,
  roles,
}: Partial<ScopeText> & { readonly name: string }): Scope {
  const principals = people || workloads ? [...(people ?? []), ...(workloads ?? [])] : undefined;
  return { name, environments, databases, roles, principals };
}
