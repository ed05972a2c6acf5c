import type { Notice } from "../../src/alerts/event.ts";
import type { HabitsConfig, Scope } from "../../src/config/habits.ts";
import { Habits } from "../../src/habits/habits.ts";
import type { Breach, SessionHabits } from "../../src/habits/session-habits.ts";
import { classify } from "../../src/sql/classify.ts";
import type { Classification } from "../../src/sql/classification.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { openLog } from "../../src/telemetry/log.ts";

export const EVERYBODY: Omit<Scope, "name"> = {
  environments: undefined,
  databases: undefined,
  roles: undefined,
  principals: undefined,
};

export const NOTHING: Omit<HabitsConfig, "directory"> = {
  statements: [],
  budgets: [],
  rows: [],
  hours: [],
  honeypots: [],
};

const ALICE = {
  session: "5a17e0c4b2d94f11",
  person: "alice",
  roles: ["senior"],
  address: "10.0.0.7",
  applicationName: "psql",
  environment: "production",
  database: "shop",
};

/** As the gate does it: the statement is compared, runs unless it breaks a habit, and is done. */
export class Bench {
  readonly habits: Habits;
  readonly told: readonly Notice[];
  readonly clock: { nowMs: number };
  readonly #cache = new Map<string, Classification>();

  private constructor(habits: Habits, told: readonly Notice[], clock: { nowMs: number }) {
    this.habits = habits;
    this.told = told;
    this.clock = clock;
  }

  static async open(config: HabitsConfig): Promise<Bench> {
    const told: Notice[] = [];
    const clock = { nowMs: Date.parse("2027-03-14T09:26:53Z") };
    const habits = await Habits.open({
      config,
      notice: (notice) => told.push(notice),
      log: openLog({ level: "silent" }),
      nowMs: () => clock.nowMs,
    });
    return new Bench(habits, told, clock);
  }

  session(changes: Partial<typeof ALICE> = {}): SessionHabits | undefined {
    return this.habits.session({ ...ALICE, ...changes });
  }

  classified(sql: string): Classification {
    let known = this.#cache.get(sql);
    if (known === undefined) {
      known = classify(sql, { dialect: "postgresql", session: NEW_SESSION });
      this.#cache.set(sql, known);
    }
    return known;
  }

  /** @returns the breach, if it doesn't run; what is told is told when it returns */
  async run(
    sql: string,
    {
      tags = [],
      session = this.session(),
    }: { tags?: string[]; session?: SessionHabits | undefined } = {},
  ): Promise<Breach | undefined> {
    const classification = this.classified(sql);
    const breach = session?.breach(classification);
    session?.decided(sql, classification, breach === undefined);
    if (breach === undefined) {
      for (const tag of tags) session?.completed(sql, classification, tag);
    }
    await new Promise((resolve) => setImmediate(resolve));
    return breach;
  }

  kinds(): string[] {
    return this.told.map(({ kind }) => kind);
  }
}
