import type { NameKind } from "./unanswered.ts";

/** What an execution does to names by SQL: PREPARE, DEALLOCATE, DECLARE, CLOSE, DISCARD. */
export interface NameChange<S> {
  readonly kind: NameKind;
  /** `undefined` for all there are. */
  readonly name: string | undefined;
  /** `undefined` where the name is given up. */
  readonly value: S | undefined;
  /** A cursor WITH HOLD. */
  readonly outlivesTransaction: boolean;
}

export interface NameChanges<S> {
  /** In the order in which they happen. */
  readonly changes: readonly NameChange<S>[];
  /** One of several statements in a message: when that fails, nobody tells whether this was done before. */
  readonly isOneOfSeveral: boolean;
}

/** The prepared statements and portals that the backend has confirmed, by their names. */
export class NamedObjects<S> {
  readonly #statements = new Map<string, S>();
  readonly #portals = new Map<string, S>();
  readonly #heldPortals = new Set<string>();
  readonly #maxNames: number;

  /** @param maxNames - that a frontend may have; SQL can make more, which are then not known here */
  constructor(maxNames: number) {
    this.#maxNames = maxNames;
  }

  get(kind: NameKind, name: string): S | undefined {
    return this.#of(kind).get(name);
  }

  set(kind: NameKind, name: string, value: S): void {
    this.#of(kind).set(name, value);
  }

  /** Whether there may be one name more; the unnamed ones always have room. */
  hasRoomFor(kind: NameKind, name: string): boolean {
    return name === "" || this.#of(kind).has(name) || this.#hasRoom;
  }

  /** @param name - `undefined` for all */
  forget(kind: NameKind, name: string | undefined): void {
    if (name === undefined) this.#of(kind).clear();
    else this.#of(kind).delete(name);
    if (kind === "statement") return;
    if (name === undefined) this.#heldPortals.clear();
    else this.#heldPortals.delete(name);
  }

  change({ changes }: NameChanges<S>): void {
    for (const { kind, name, value, outlivesTransaction } of changes) {
      this.forget(kind, name);
      if (name === undefined || value === undefined || !this.#hasRoom) continue;
      this.set(kind, name, value);
      if (outlivesTransaction) this.#heldPortals.add(name);
    }
  }

  endTransaction(): void {
    // Most have the unnamed portal at most, and to clear a map costs more than to take one entry out.
    this.#portals.delete("");
    if (this.#portals.size === 0) return;
    for (const name of this.#portals.keys()) {
      if (!this.#heldPortals.has(name)) this.#portals.delete(name);
    }
  }

  get #hasRoom(): boolean {
    return this.#statements.size + this.#portals.size < this.#maxNames;
  }

  #of(kind: NameKind): Map<string, S> {
    return kind === "statement" ? this.#statements : this.#portals;
  }
}
