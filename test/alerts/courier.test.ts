import { afterEach, describe, expect, test } from "vitest";
import { Courier, type CourierOptions, type Outcome } from "../../src/alerts/courier.ts";
import type { Entry } from "../../src/alerts/outbox.ts";
import { postJson } from "../../src/alerts/post.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { startHttpReceiver, type Behaviour, type HttpReceiver } from "./receivers.ts";
import { ALERT } from "./samples.ts";

const receivers: HttpReceiver[] = [];
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

interface Stage {
  readonly courier: Courier;
  readonly receiver: HttpReceiver;
  readonly outcomes: string[];
  readonly boxed: Set<string>;
  /** Once so many alerts have come to an end. */
  readonly ended: (wanted: number) => Promise<void>;
}

async function setUp(
  behaviours: readonly Behaviour[],
  changes: Partial<CourierOptions> = {},
): Promise<Stage> {
  const receiver = await startHttpReceiver(behaviours);
  receivers.push(receiver);
  const outcomes: string[] = [];
  const boxed = new Set<string>();
  let changed: () => void = () => undefined;
  const courier = new Courier({
    sink: "hook",
    send: (alert, signal) => postJson(receiver.url, { body: alert.id, signal }),
    outbox: {
      put: ({ alert }) => void boxed.add(alert.id),
      remove: ({ alert }) => void boxed.delete(alert.id),
    },
    giveUpMs: 60_000,
    onOutcome: ({ alert }: Entry, outcome: Outcome) => {
      outcomes.push(`${alert.id} ${outcome}`);
      changed();
    },
    log: openLog({ level: "silent" }),
    now: () => new Date(),
    random: () => 0,
    backoff: { firstMs: 20, attemptMs: 300 },
    ...changes,
  });
  const ended = async (wanted: number): Promise<void> => {
    while (outcomes.length < wanted) await new Promise<void>((resolve) => (changed = resolve));
  };
  return { courier, receiver, outcomes, boxed, ended };
}

function entry(id: string, severity: Entry["alert"]["severity"] = "critical"): Entry {
  return { sink: "hook", alert: { ...ALERT, id, severity }, queuedAt: new Date().toISOString() };
}

const NEW = { isStored: false };

describe("a receiver that", () => {
  test("takes alerts gets each once, in order", async () => {
    const { courier, receiver, outcomes, boxed, ended } = await setUp([]);
    for (const id of ["A-1", "A-2", "A-3"]) courier.add(entry(id), NEW);
    expect([...boxed]).toEqual(["A-1", "A-2", "A-3"]);
    await ended(3);
    expect(receiver.received.map(({ body }) => body)).toEqual(["A-1", "A-2", "A-3"]);
    expect(outcomes).toEqual(["A-1 sent", "A-2 sent", "A-3 sent"]);
    expect(boxed.size).toBe(0);
  });

  test("fails is tried again, after longer and longer", async () => {
    const { courier, receiver, outcomes, ended } = await setUp([
      { status: 500 },
      { status: 503 },
      { status: 403 },
    ]);
    courier.add(entry("A-1"), NEW);
    await ended(1);
    expect(outcomes).toEqual(["A-1 sent"]);
    const at = receiver.received.map(({ atMs }) => atMs);
    const pauses = at.slice(1).map((ms, index) => ms - (at[index] ?? 0));
    expect(pauses).toHaveLength(3);
    // Half of 20, 40 and 80 ms, as there is no chance in this test; timers may be a millisecond early.
    for (const [index, least] of [9, 19, 39].entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(least);
    }
  });

  test("hangs is left after the deadline, and tried again", async () => {
    const { courier, receiver, outcomes, ended } = await setUp(["hang"]);
    courier.add(entry("A-1"), NEW);
    await ended(1);
    expect(outcomes).toEqual(["A-1 sent"]);
    const [first, second] = receiver.received;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(250);
  });

  test("asks for time gets it", async () => {
    const { courier, receiver, ended } = await setUp([
      { status: 429, headers: { "retry-after": "1" } },
    ]);
    courier.add(entry("A-1"), NEW);
    await ended(1);
    const [first, second] = receiver.received;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test("will never take one alert does not hold up the others", async () => {
    const { courier, outcomes, boxed, ended } = await setUp([{ status: 400 }]);
    courier.add(entry("A-1"), NEW);
    courier.add(entry("A-2"), NEW);
    await ended(2);
    expect(outcomes).toEqual(["A-1 failed", "A-2 sent"]);
    expect(boxed.size).toBe(0);
  });

  test("redirects is not followed", async () => {
    const elsewhere = await startHttpReceiver();
    receivers.push(elsewhere);
    const { courier, ended } = await setUp([{ status: 307, headers: { location: elsewhere.url } }]);
    courier.add(entry("A-1"), NEW);
    await ended(1);
    expect(elsewhere.received).toEqual([]);
  });

  test("is never there is given up when the alert is too old", async () => {
    const send = (): Promise<never> => Promise.reject(new Error("nobody there"));
    const { courier, outcomes, ended } = await setUp([], { send, giveUpMs: 50 });
    courier.add(entry("A-1"), NEW);
    await ended(1);
    expect(outcomes).toEqual(["A-1 failed"]);
  });
});

test("what is not delivered at the end stays in the outbox", async () => {
  const { courier, outcomes, boxed } = await setUp([{ status: 500 }], {
    backoff: { firstMs: 60_000, attemptMs: 300 },
  });
  courier.add(entry("A-1"), NEW);
  courier.add(entry("A-2"), NEW);
  await courier.close({ graceMs: 50 });
  courier.add(entry("A-3"), NEW);
  expect(outcomes).toEqual([]);
  expect([...boxed]).toEqual(["A-1", "A-2", "A-3"]);
});

test("what was going to be delivered at the end is", async () => {
  const { courier, outcomes } = await setUp([]);
  courier.add(entry("A-1"), NEW);
  await courier.close({ graceMs: 2000 });
  expect(outcomes).toEqual(["A-1 sent"]);
});

test("of too many that wait, the least grave go, and what is on its way stays", async () => {
  const { courier, outcomes, boxed } = await setUp(["hang"]);
  courier.add(entry("first", "info"), NEW);
  for (let n = 0; n < 998; n++) courier.add(entry(`critical ${n}`), NEW);
  courier.add(entry("warning", "warning"), NEW);
  courier.add(entry("info", "info"), NEW);
  expect(outcomes).toEqual(["info dropped"]);
  courier.add(entry("grave"), NEW);
  courier.add(entry("graver"), NEW);
  expect(outcomes).toEqual(["info dropped", "warning dropped", "critical 0 dropped"]);
  expect(boxed.size).toBe(1000);
  await courier.close({ graceMs: 0 });
});
