import type { Notice } from "../alerts/event.ts";
import type { HabitsConfig, Mode, Scope } from "../config/habits.ts";
import type { Log } from "../telemetry/log.ts";
import { Budget } from "./budget.ts";
import { Profile, type KnownShape, type UnknownShape } from "./profile.ts";
import { ProfileFiles } from "./profile-files.ts";
import { SessionHabits, type SessionIdentity } from "./session-habits.ts";
import { Shapes } from "./shapes.ts";

export interface HabitsOptions {
  readonly config: HabitsConfig;
  readonly notice: (notice: Notice) => void;
  readonly log: Log;
  readonly nowMs: () => number;
}

/** A profile as operators see it. */
export interface ProfileView {
  readonly name: string;
  /** By the habit it was last used under; `learn` until somebody was seen. */
  readonly mode: Mode;
  readonly habit: string | undefined;
  readonly since: string;
  readonly known: readonly (KnownShape & { readonly shape: string })[];
  readonly unknown: readonly (UnknownShape & { readonly shape: string })[];
}

const SAVE_EVERY_MS = 10_000;
/** What is looked at in one turn of the event loop; what is more waits for the next. */
const LOOKS_A_TURN = 50;
/** Beyond that something is amiss, and what is not looked at now may be the next time. */
const MAX_WAITING = 20_000;

/** What is usual, of everybody; survives restarts. */
export class Habits {
  readonly #options: HabitsOptions;
  readonly #files: ProfileFiles;
  readonly #profiles: Map<string, Profile>;
  readonly #budgets = new Map<string, Map<string, Budget>>();
  readonly #shapes = new Shapes();
  /** The habit whose mode a profile is under. */
  readonly #habitOf = new Map<string, HabitsConfig["statements"][number]>();
  #waiting: (() => void)[] = [];
  #isAwake = false;
  readonly #timer: NodeJS.Timeout;

  private constructor(options: HabitsOptions, files: ProfileFiles, profiles: readonly Profile[]) {
    this.#options = options;
    this.#files = files;
    this.#profiles = new Map(profiles.map((profile) => [profile.name, profile]));
    this.#timer = setInterval(() => {
      this.#save();
    }, SAVE_EVERY_MS).unref();
  }

  static async open(options: HabitsOptions): Promise<Habits> {
    const files = new ProfileFiles(options.config.directory, options.log);
    return new Habits(options, files, await files.load());
  }

  /** @returns `undefined` for whom nothing is configured: their statements cost nothing then */
  session(identity: SessionIdentity): SessionHabits | undefined {
    const { config, notice, nowMs } = this.#options;
    const isTheirs = (scope: Scope): boolean => applies(scope, identity);
    const statements = config.statements.find(isTheirs);
    const rows = config.rows.filter(isTheirs);
    const hours = config.hours.filter(isTheirs);
    const honeypots = config.honeypots.filter(isTheirs);
    const budgets = config.budgets.filter(isTheirs).map((habit) => ({
      habit,
      budget:
        habit.per === "session"
          ? new Budget(habit.windowMs)
          : this.#budgetOf(identity.person, habit),
    }));
    const count = rows.length + hours.length + honeypots.length + budgets.length;
    if (statements === undefined && count === 0) return undefined;
    const { person } = identity;
    if (statements !== undefined) this.#habitOf.set(person, statements);
    return new SessionHabits({
      identity,
      ...{ statements, budgets, rows, hours, honeypots, notice, nowMs },
      profile: this.#profileOf(person),
      shapes: this.#shapes,
      later: (work) => {
        this.#later(work);
      },
    });
  }

  list(): ProfileView[] {
    return [...this.#profiles.values()].map((profile) => this.#view(profile));
  }

  get(name: string): ProfileView | undefined {
    const profile = this.#profiles.get(name);
    return profile === undefined ? undefined : this.#view(profile);
  }

  /** @returns false where there is no such profile */
  promote(name: string, to: Exclude<Mode, "learn">): boolean {
    return this.#change(name, (profile) => {
      profile.promote(to);
      return true;
    });
  }

  /** @param shapes - of those that were met; `undefined` for all. @returns false where one of them was not */
  learn(name: string, shapes: readonly string[] | undefined): boolean {
    const now = new Date(this.#options.nowMs());
    return this.#change(name, (profile) => {
      if (shapes !== undefined) return shapes.every((shape) => profile.accept(shape, now));
      profile.acceptAll(now);
      return true;
    });
  }

  reset(name: string, what: "everything" | "budgets"): boolean {
    const now = new Date(this.#options.nowMs());
    return this.#change(name, (profile) => {
      for (const budget of this.#budgets.get(name)?.values() ?? []) budget.clear();
      if (what === "everything") profile.reset(now);
      return true;
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#waiting.length > 0) this.#work();
    this.#save();
    await this.#files.close();
  }

  #change(name: string, change: (profile: Profile) => boolean): boolean {
    const profile = this.#profiles.get(name);
    const isDone = profile !== undefined && change(profile);
    this.#save();
    return isDone;
  }

  #view(profile: Profile): ProfileView {
    const { name, since, known, unknown } = profile.toText();
    const habit = this.#habitOf.get(name);
    return {
      name,
      mode: profile.mode(habit?.mode ?? "learn"),
      habit: habit?.name,
      since,
      known: Object.entries(known).map(([shape, its]) => ({ shape, ...its })),
      unknown: Object.entries(unknown).map(([shape, its]) => ({ shape, ...its })),
    };
  }

  #profileOf(person: string): Profile {
    let profile = this.#profiles.get(person);
    if (profile === undefined) {
      profile = Profile.begin(person, new Date(this.#options.nowMs()));
      this.#profiles.set(person, profile);
    }
    return profile;
  }

  #budgetOf(
    person: string,
    { name, windowMs }: { readonly name: string; readonly windowMs: number },
  ): Budget {
    let theirs = this.#budgets.get(person);
    if (theirs === undefined) this.#budgets.set(person, (theirs = new Map<string, Budget>()));
    let budget = theirs.get(name);
    if (budget === undefined) theirs.set(name, (budget = new Budget(windowMs)));
    return budget;
  }

  #later(work: () => void): void {
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(work);
    this.#wake();
  }

  #wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    setImmediate(() => {
      this.#isAwake = false;
      this.#work();
      if (this.#waiting.length > 0) this.#wake();
    });
  }

  #work(): void {
    const { log } = this.#options;
    const now = this.#waiting.splice(0, LOOKS_A_TURN);
    for (const look of now) {
      try {
        look();
      } catch (error) {
        log.error({ err: error }, "a statement could not be compared with what is usual");
      }
    }
  }

  #save(): void {
    for (const profile of this.#profiles.values()) {
      if (!profile.isChanged) continue;
      profile.isChanged = false;
      this.#files.save(profile.toText());
    }
  }
}

function applies(
  { environments, databases, roles, principals }: Scope,
  identity: SessionIdentity,
): boolean {
  const has = (names: readonly string[] | undefined, name: string): boolean =>
    names?.includes(name) ?? true;
  return (
    has(environments, identity.environment) &&
    has(databases, identity.database) &&
    has(principals, identity.person) &&
    (roles?.some((role) => identity.roles.includes(role)) ?? true)
  );
}
