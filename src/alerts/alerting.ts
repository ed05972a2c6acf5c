import { createHash } from "node:crypto";
import type { AlertRule } from "../config/alerts.ts";
import type { Log } from "../telemetry/log.ts";
import type { Alert } from "./alert.ts";
import { Counts } from "./counts.ts";
import type { Courier } from "./courier.ts";
import { describe, sameness } from "./describe.ts";
import type { AlertEvent, Notice } from "./event.ts";
import { Groups, type Draft } from "./groups.ts";
import type { Memory } from "./memory.ts";
import { countedAs, isSilenced, matches } from "./rules.ts";
import type { Silences } from "./silences.ts";
import type { Wording } from "./words.ts";

export interface AlertingOptions {
  readonly rules: readonly AlertRule[];
  readonly couriers: ReadonlyMap<string, Pick<Courier, "add" | "close">>;
  readonly memory: Pick<Memory, "isNewAddress" | "isNewProgram">;
  readonly silences: Pick<Silences, "find">;
  readonly wording: Wording;
  readonly groupMs: number;
  readonly maxPerMinute: number;
  readonly newId: () => string;
  readonly log: Log;
  readonly now: () => Date;
}

const GRACE_MS = 2000;

/** Hears what happens, and tells those who have to know. Whoever gives notice never waits for it, and never fails by it. */
export class Alerting {
  readonly #options: AlertingOptions;
  readonly #counts = new Counts();
  readonly #groups: Groups;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AlertingOptions) {
    this.#options = options;
    this.#groups = new Groups(options);
  }

  /** Never throws. */
  readonly notice = (notice: Notice): void => {
    try {
      for (const event of this.#newsIn(notice)) {
        for (const rule of this.#options.rules) if (matches(rule, event)) this.#apply(rule, event);
      }
      this.#wakeWhenDue();
    } catch (error) {
      this.#options.log.error({ err: error, notice: notice.kind }, "an alert could not be made");
    }
  };

  /** What was counted and not told yet is told; what can't be delivered soon waits in the outbox for the next start. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    for (const alert of this.#groups.flush()) this.#send(alert);
    const couriers = [...this.#options.couriers.values()];
    await Promise.all(couriers.map((courier) => courier.close({ graceMs: GRACE_MS })));
  }

  #newsIn(notice: Notice): readonly AlertEvent[] {
    if (notice.kind !== "login.succeeded") return [notice];
    const { isPerson, ...who } = notice;
    // Applications come from wherever they are scheduled.
    if (!isPerson) return [];
    const { memory } = this.#options;
    const news: AlertEvent[] = [];
    if (memory.isNewAddress(who.person, who.address)) {
      news.push({ ...who, kind: "login.new_address" });
    }
    if (memory.isNewProgram(who.person, who.applicationName)) {
      news.push({ ...who, kind: "login.new_program" });
    }
    return news;
  }

  #apply(rule: AlertRule, event: AlertEvent): void {
    const { now, log, silences } = this.#options;
    const at = now();
    const counted = countedAs(rule, event);
    const { name, times, withinMs } = rule;
    const key = `${name} ${counted}`;
    if (!this.#counts.add(key, { at: at.getTime(), times, withinMs })) return;
    const silence = isSilenced(rule, at) ? rule.silence : silences.find(name, event, at);
    if (silence !== undefined) {
      log.info({ alert: name, reason: silence.reason }, "an alert is silenced");
      return;
    }
    const same = times > 1 ? [counted] : sameness(event);
    const alert = this.#groups.add(this.#draft(rule, event, { at, same }), at.getTime());
    if (alert !== undefined) this.#send(alert);
  }

  #draft(
    { name, severity, times, withinMs }: AlertRule,
    event: AlertEvent,
    { at, same }: { readonly at: Date; readonly same: readonly string[] },
  ): Draft {
    const told = describe(event, this.#options.wording);
    return {
      ...told,
      title:
        times > 1 ? `${times} times in ${withinMs / 1000} s, the last: ${told.title}` : told.title,
      time: at.toISOString(),
      alert: name,
      event: event.kind,
      severity,
      group: groupOf(name, same),
    };
  }

  #send(alert: Alert): void {
    const { rules, couriers, now } = this.#options;
    const sinks = rules.find(({ name }) => name === alert.alert)?.sinks ?? [...couriers.keys()];
    for (const sink of sinks) {
      const entry = { sink, alert, queuedAt: now().toISOString() };
      couriers.get(sink)?.add(entry, { isStored: false });
    }
  }

  #wakeWhenDue(): void {
    clearTimeout(this.#timer);
    const due = this.#groups.nextDue();
    if (due === undefined) return;
    const inMs = Math.max(0, due - this.#options.now().getTime());
    this.#timer = setTimeout(() => {
      for (const alert of this.#groups.due(this.#options.now().getTime())) this.#send(alert);
      this.#wakeWhenDue();
    }, inMs).unref();
  }
}

const GROUP_DIGITS = 32;

/** Of a fixed length, as it becomes a key elsewhere. */
function groupOf(rule: string, same: readonly string[]): string {
  const digest = createHash("sha256").update(JSON.stringify([rule, ...same]));
  return digest.digest("hex").slice(0, GROUP_DIGITS);
}
