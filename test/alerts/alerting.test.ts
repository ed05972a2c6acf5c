import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Alerting, type AlertingOptions } from "../../src/alerts/alerting.ts";
import type { Alert } from "../../src/alerts/alert.ts";
import type { Notice } from "../../src/alerts/event.ts";
import { DEFAULT_RULES } from "../../src/alerts/rules.ts";
import { ALERT_EVENTS } from "../../src/config/alerts-schema.ts";
import type { AlertRule } from "../../src/config/alerts.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { failedLogin, HELD, LOGIN, REFUSED, SAMPLES } from "./samples.ts";

const AT = new Date("2027-03-14T09:26:53.000Z");
beforeEach(() => {
  vi.useFakeTimers({ now: AT, toFake: ["Date", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function open(changes: Partial<AlertingOptions> = {}): { alerting: Alerting; sent: Alert[] } {
  const sent: Alert[] = [];
  let ids = 0;
  const courier = {
    add: ({ alert }: { readonly alert: Alert }) => void sent.push(alert),
    close: () => Promise.resolve(),
  };
  const alerting = new Alerting({
    rules: DEFAULT_RULES,
    couriers: new Map([["chat", courier]]),
    memory: { isNewAddress: () => false, isNewProgram: () => false },
    silences: { find: () => undefined },
    wording: { statements: "summary", requestUrl: undefined },
    groupMs: 300_000,
    maxPerMinute: 20,
    newId: () => `A-${++ids}`,
    log: openLog({ level: "silent" }),
    now: () => new Date(),
    ...changes,
  });
  return { alerting, sent };
}

/** The names of the alerts that come of these, told one after another. */
function alertsOf(notices: readonly Notice[], changes?: Partial<AlertingOptions>): string[] {
  const { alerting, sent } = open(changes);
  for (const notice of notices) alerting.notice(notice);
  return sent.map(({ alert }) => alert);
}

function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

const SELECT_FAILS = SAMPLES["statement.failed"];
const PRIVILEGE_LACKS = { ...SELECT_FAILS, sqlstate: "42501" };

test.each<[why: string, notices: readonly Notice[], expected: string[]]>([
  ["destruction is told at once", [HELD], ["destruction-attempted"]],
  ["so is a refusal", [{ ...REFUSED, isDestructive: false }], ["statement-refused"]],
  ["and that somebody is needed", [{ ...HELD, isDestructive: false }], ["second-person-needed"]],
  ["the same again is counted", times(9, () => REFUSED), ["destruction-attempted"]],
  [
    "many refusals are worse than each of them",
    times(10, () => REFUSED),
    ["destruction-attempted", "many-refusals"],
  ],
  ["a mistyped statement is no news", times(7, () => SELECT_FAILS), []],
  ["eight in one session look like probing", times(8, () => SELECT_FAILS), ["injection-probing"]],
  [
    "eight in as many sessions don't",
    times(8, (n) => ({ ...SELECT_FAILS, session: String(n) })),
    [],
  ],
  ["nor do errors that no injection makes", times(19, () => PRIVILEGE_LACKS), []],
  ["many of any kind are news", times(20, () => PRIVILEGE_LACKS), ["many-errors"]],
  ["a mistyped password is no news", times(4, () => failedLogin("alice")), []],
  [
    "five from one address are, whoever they say to be",
    times(5, (n) => failedLogin(`user${n}`)),
    ["failed-logins-from-an-address"],
  ],
  [
    "so are ten for one person, wherever they come from",
    times(10, (n) => failedLogin("alice", `192.0.2.${n}`)),
    ["failed-logins-of-a-person"],
  ],
  ["a login is no news", [LOGIN], []],
])("%s", (_, notices, expected) => {
  expect(alertsOf(notices)).toEqual(expected);
});

test("a person's new address and program are told, an application's are not", () => {
  const memory = { isNewAddress: () => true, isNewProgram: () => true };
  expect(alertsOf([LOGIN], { memory })).toEqual(["new-address", "new-program"]);
  expect(alertsOf([{ ...LOGIN, isPerson: false }], { memory })).toEqual([]);
});

test("there is a rule for everything that can happen", () => {
  const covered = new Set(DEFAULT_RULES.flatMap(({ on }) => on));
  expect([...covered].sort()).toEqual([...ALERT_EVENTS].sort());
});

test.each(ALERT_EVENTS)("%s is told by the rules that come with Twokey", (kind) => {
  const sample = SAMPLES[kind];
  const { alerting, sent } = open();
  for (let n = 0; n < 10; n++) alerting.notice(sample);
  expect(sent[0]).toMatchObject({
    event: kind,
    status: ["audit.available", "backup.fresh", "upstream.up"].includes(kind)
      ? "resolved"
      : "firing",
    title: expect.stringMatching(/^\P{C}{10,}$/u) as string,
    next: expect.stringMatching(/^\P{C}+$/u) as string,
    ...("person" in sample && { who: { person: "alice" } }),
    ...("rule" in sample && { rule: sample.rule }),
  });
});

const RULE: AlertRule = {
  name: "mine",
  on: ["statement.refused"],
  times: 1,
  withinMs: 60_000,
  countedBy: "person",
  severity: "info",
};

test.each<[why: string, rule: Partial<AlertRule>, isTold: boolean]>([
  ["an environment", { environments: ["production"] }, true],
  ["another environment", { environments: ["staging"] }, false],
  ["a person", { principals: ["alice"] }, true],
  ["another person", { principals: ["bob"] }, false],
  ["destruction", { isDestructive: true }, true],
  ["anything but destruction", { isDestructive: false }, false],
  ["another event", { on: ["statement.held"] }, false],
  ["a rule of the policy", { rules: ["audit-tables-stay"] }, true],
  ["another rule of the policy", { rules: ["two-people"] }, false],
  ["SQLSTATEs, which a refusal has none of", { sqlstates: ["42"] }, false],
])("a rule can be about %s", (_, rule, isTold) => {
  expect(alertsOf([REFUSED], { rules: [{ ...RULE, ...rule }] })).toEqual(isTold ? ["mine"] : []);
});

test.each<[sqlstates: string[], isTold: boolean]>([
  [["42703"], true],
  [["42"], true],
  [["22", "42P01"], false],
])("a rule about SQLSTATEs %j", (sqlstates, isTold) => {
  const rules = [{ ...RULE, on: ["statement.failed"] as const, sqlstates }];
  expect(alertsOf([SELECT_FAILS], { rules })).toEqual(isTold ? ["mine"] : []);
});

test("a rule about places says nothing of what has none", () => {
  const rules = [{ ...RULE, on: ["login.failed"] as const, environments: ["production"] }];
  expect(alertsOf([failedLogin("alice")], { rules })).toEqual([]);
});

test("a silenced rule speaks again when its time is over", () => {
  const silence = { until: new Date(AT.getTime() + 1000), reason: "maintenance" };
  const { alerting, sent } = open({ rules: [{ ...RULE, silence }] });
  alerting.notice(REFUSED);
  expect(sent).toEqual([]);
  vi.advanceTimersByTime(1000);
  alerting.notice(REFUSED);
  expect(sent).toHaveLength(1);
});

test("an operator's silence is asked for each alert", () => {
  const silence = {
    id: "S-1",
    rule: "mine",
    person: "alice",
    until: new Date(AT.getTime() + 1000).toISOString(),
    reason: "maintenance",
    by: "olga",
  };
  const silences: AlertingOptions["silences"] = {
    find: (rule, event, now) =>
      rule === "mine" && "person" in event && now < new Date(silence.until) ? silence : undefined,
  };
  const other = { ...RULE, name: "other" };
  expect(alertsOf([REFUSED], { rules: [RULE, other], silences })).toEqual(["other"]);
});

test("a rule tells its own sinks only", () => {
  const told: string[] = [];
  const courierTo = (sink: string): { add: () => void; close: () => Promise<void> } => ({
    add: () => void told.push(sink),
    close: () => Promise.resolve(),
  });
  const { alerting } = open({
    rules: [{ ...RULE, sinks: ["pager"] }],
    couriers: new Map(["chat", "pager"].map((sink) => [sink, courierTo(sink)])),
  });
  alerting.notice(REFUSED);
  expect(told).toEqual(["pager"]);
});

test("repeats are told when the time of their group is over, without anybody asking", () => {
  const { alerting, sent } = open({ rules: [RULE] });
  alerting.notice(REFUSED);
  alerting.notice(REFUSED);
  alerting.notice(REFUSED);
  vi.advanceTimersByTime(299_999);
  expect(sent).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(sent.map((alert) => alert.times)).toEqual([1, 2]);
  expect(new Set(sent.map(({ group }) => group)).size).toBe(1);
});

test("repeats are told before the end", async () => {
  const { alerting, sent } = open({ rules: [RULE] });
  alerting.notice(REFUSED);
  alerting.notice(REFUSED);
  await alerting.close();
  expect(sent.map((alert) => alert.times)).toEqual([1, 1]);
});

test("whoever gives notice does not fail by it", () => {
  const memory = {
    isNewProgram: () => false,
    isNewAddress: (): boolean => {
      throw new Error("no");
    },
  };
  expect(alertsOf([LOGIN, REFUSED], { memory })).toEqual(["destruction-attempted"]);
});
