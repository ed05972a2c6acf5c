import type { Mode } from "../config/habits.ts";
import type { Shape } from "./shapes.ts";
import { UsualRows, type UsualCounts } from "./usual-rows.ts";

export interface KnownShape {
  readonly sample: string;
  readonly database: string;
  /** When it was taken in, or first met. */
  readonly since: string;
}

export interface UnknownShape extends KnownShape {
  readonly times: number;
}

/** A profile as it is kept. */
export interface ProfileText {
  readonly name: string;
  readonly since: string;
  readonly promoted?: Exclude<Mode, "learn"> | undefined;
  readonly known: Readonly<Record<string, KnownShape>>;
  readonly unknown: Readonly<Record<string, UnknownShape>>;
  readonly usual: UsualCounts;
}

/** Somebody who tries everything shall not fill the memory with it: the oldest go. */
const MAX_UNKNOWN = 500;

const STRICTNESS: Readonly<Record<Mode, number>> = { learn: 0, warn: 1, enforce: 2 };

/** What one person or workload usually does. */
export class Profile {
  readonly name: string;
  readonly usual: UsualRows;
  /** Becomes another one when something that was known may be known no longer. */
  generation = {};
  isChanged = false;
  #since: string;
  #promoted: ProfileText["promoted"];
  readonly #known: Map<string, KnownShape>;
  readonly #unknown: Map<string, UnknownShape>;

  constructor({ name, since, promoted, known, unknown, usual }: ProfileText) {
    this.name = name;
    this.#since = since;
    this.#promoted = promoted;
    this.#known = new Map(Object.entries(known));
    this.#unknown = new Map(Object.entries(unknown));
    this.usual = new UsualRows(usual);
  }

  static begin(name: string, now: Date): Profile {
    const since = now.toISOString();
    return new Profile({ name, since, known: {}, unknown: {}, usual: {} });
  }

  /** The stricter of what the configuration says and what it was promoted to. */
  mode(configured: Mode): Mode {
    const promoted = this.#promoted ?? "learn";
    return STRICTNESS[promoted] > STRICTNESS[configured] ? promoted : configured;
  }

  knows(shape: string): boolean {
    return this.#known.has(shape);
  }

  get size(): number {
    return this.#known.size;
  }

  learn({ id, sample }: Shape, at: { readonly database: string; readonly now: Date }): void {
    this.#known.set(id, { sample, database: at.database, since: at.now.toISOString() });
    this.#unknown.delete(id);
    this.isChanged = true;
  }

  /** @returns whether it was met for the first time */
  meet({ id, sample }: Shape, at: { readonly database: string; readonly now: Date }): boolean {
    const before = this.#unknown.get(id);
    const since = before?.since ?? at.now.toISOString();
    this.#unknown.set(id, {
      sample,
      database: at.database,
      since,
      times: (before?.times ?? 0) + 1,
    });
    if (this.#unknown.size > MAX_UNKNOWN) this.#forgetOldest();
    this.isChanged = true;
    return before === undefined;
  }

  /** Takes in what was met, as an operator says. @returns whether there was such a shape */
  accept(shape: string, now: Date): boolean {
    const met = this.#unknown.get(shape);
    if (met === undefined) return this.#known.has(shape);
    const { sample, database } = met;
    this.learn({ id: shape, sample }, { database, now });
    return true;
  }

  acceptAll(now: Date): number {
    const shapes = [...this.#unknown.keys()];
    for (const shape of shapes) this.accept(shape, now);
    return shapes.length;
  }

  promote(to: Exclude<Mode, "learn">): void {
    this.#promoted = to;
    this.generation = {};
    this.isChanged = true;
  }

  /** As if they had never been here; the mode is the configuration's again. */
  reset(now: Date): void {
    this.#since = now.toISOString();
    this.#promoted = undefined;
    this.#known.clear();
    this.#unknown.clear();
    this.usual.clear();
    this.generation = {};
    this.isChanged = true;
  }

  toText(): ProfileText {
    return {
      name: this.name,
      since: this.#since,
      ...(this.#promoted !== undefined && { promoted: this.#promoted }),
      known: Object.fromEntries(this.#known),
      unknown: Object.fromEntries(this.#unknown),
      usual: this.usual.toText(),
    };
  }

  #forgetOldest(): void {
    const [oldest] = this.#unknown.keys();
    if (oldest !== undefined) this.#unknown.delete(oldest);
  }
}
