import type { Alert } from "./alert.ts";

/** An alert before it is known whether, and with how many others, it is sent. */
export type Draft = Omit<Alert, "id" | "times">;

export interface GroupsOptions {
  readonly groupMs: number;
  readonly maxPerMinute: number;
  readonly newId: () => string;
}

interface Group {
  /** When its repeats are told. */
  readonly until: number;
  /** Since it was last told of. */
  readonly repeats: number;
  readonly latest: Draft;
}

/** Strangers choose what groups there are. Further ones are told with the rest of their rule. */
const MAX_GROUPS = 10_000;
const MINUTE_MS = 60_000;

/**
 * Tells the first of a kind at once and counts the others, so that neither a loop nor a flood drowns what matters.
 * Time comes in as milliseconds; whoever owns this calls {@link due} when {@link nextDue} is reached.
 */
export class Groups {
  readonly #options: GroupsOptions;
  readonly #groups = new Map<string, Group>();
  /** By rule and person: how many were sent in a minute, and what did not fit. */
  readonly #minutes = new Map<string, { readonly until: number; sent: number }>();

  constructor(options: GroupsOptions) {
    this.#options = options;
  }

  /** @returns what is to be sent now */
  add(draft: Draft, at: number): Alert | undefined {
    const key = keyOf(draft);
    // The end of a state is news even if its begin is not an old story yet, and the other way round.
    this.#groups.delete(keyOf({ ...draft, status: other(draft.status) }));
    const known = this.#groups.get(key);
    if (known !== undefined) {
      this.#groups.set(key, { ...known, repeats: known.repeats + 1, latest: draft });
      return undefined;
    }
    if (!this.#mayBeSent(draft, at)) {
      this.#addToRest(draft, at);
      return undefined;
    }
    this.#groups.set(key, { until: at + this.#options.groupMs, repeats: 0, latest: draft });
    return this.#alert(draft, 1);
  }

  /** @returns the repeats whose time has come */
  due(at: number): Alert[] {
    for (const [key, { until }] of this.#minutes) if (until <= at) this.#minutes.delete(key);
    const alerts: Alert[] = [];
    for (const [key, { until, repeats, latest }] of this.#groups) {
      if (until > at) continue;
      this.#groups.delete(key);
      if (repeats === 0) continue;
      alerts.push(this.#alert(latest, repeats));
      if (isRest(key)) continue;
      // It may go on: what comes now is still not new.
      this.#groups.set(key, { until: at + this.#options.groupMs, repeats: 0, latest });
    }
    return alerts;
  }

  /** @returns `undefined` when there is nothing to wait for */
  nextDue(): number | undefined {
    const times = [...this.#groups.values()].map(({ until }) => until);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** @returns all repeats that nobody was told of yet */
  flush(): Alert[] {
    const alerts = [...this.#groups.values()]
      .filter(({ repeats }) => repeats > 0)
      .map(({ latest, repeats }) => this.#alert(latest, repeats));
    this.#groups.clear();
    return alerts;
  }

  #mayBeSent(draft: Draft, at: number): boolean {
    if (this.#groups.size >= MAX_GROUPS) return false;
    const key = senderOf(draft);
    let minute = this.#minutes.get(key);
    if (minute === undefined || minute.until <= at) {
      this.#minutes.set(key, (minute = { until: at + MINUTE_MS, sent: 0 }));
    }
    minute.sent += 1;
    return minute.sent <= this.#options.maxPerMinute;
  }

  #addToRest(draft: Draft, at: number): void {
    const key = `${REST}${senderOf(draft)}`;
    const { until, repeats } = this.#groups.get(key) ?? { until: at + MINUTE_MS, repeats: 0 };
    const count = repeats + 1;
    const title = `${count} more of ${draft.alert}; the last: ${draft.title}`;
    this.#groups.set(key, { until, repeats: count, latest: { ...draft, title } });
  }

  #alert(draft: Draft, times: number): Alert {
    return { ...draft, id: this.#options.newId(), times };
  }
}

const REST = "rest of ";

function isRest(key: string): boolean {
  return key.startsWith(REST);
}

function keyOf({ group, status }: Draft): string {
  return `${status} ${group}`;
}

function other(status: Draft["status"]): Draft["status"] {
  return status === "firing" ? "resolved" : "firing";
}

/** Who has logged in has a share of their own, which nobody else can use up. */
function senderOf({ alert, who }: Draft): string {
  return `${alert} ${who?.person ?? ""}`;
}
