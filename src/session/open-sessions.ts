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

  countOf(person: string): number {
    let count = 0;
    for (const { situation } of this.#sessions.values()) {
      if (situation.principal.name === person) count += 1;
    }
    return count;
  }
}
