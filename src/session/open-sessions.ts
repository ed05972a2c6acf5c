import type { Relay } from "./relay.ts";
import type { Situation } from "./situation.ts";

/** A session that has got as far as its relay. */
export interface OpenSession {
  readonly situation: Situation;
  readonly startedAt: Date;
  readonly relay: Relay;
}

/** The sessions of this process, by their ids. */
export class OpenSessions {
  readonly #sessions = new Map<string, OpenSession>();
  readonly #perPerson = new Map<string, number>();

  /**
   * Counts a person's session from its authentication to its end, so that many at once are as many as one by one.
   *
   * @returns what gives the place back; `undefined` when all are taken
   */
  enter(person: string, most: number): (() => void) | undefined {
    const others = this.#perPerson.get(person) ?? 0;
    if (others >= most) return undefined;
    this.#perPerson.set(person, others + 1);
    return () => {
      const left = (this.#perPerson.get(person) ?? 1) - 1;
      if (left === 0) this.#perPerson.delete(person);
      else this.#perPerson.set(person, left);
    };
  }

  add(session: OpenSession): void {
    this.#sessions.set(session.situation.session, session);
  }

  remove({ situation }: OpenSession): void {
    this.#sessions.delete(situation.session);
  }

  get(id: string): OpenSession | undefined {
    return this.#sessions.get(id);
  }

  list(): readonly OpenSession[] {
    return [...this.#sessions.values()];
  }
}
