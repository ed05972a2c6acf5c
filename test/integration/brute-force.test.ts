import { readdirSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import path from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startHttpReceiver, type HttpReceiver } from "../alerts/receivers.ts";
import { guess } from "../support/guesser.ts";
import { eventually } from "./protocol/world.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";

const GUESSES = 10_000;
const AT_ONCE = 100;
const HOOK_KEY = "TWOKEY_TEST_HOOK_KEY";

let postgres: TestPostgres;
let twokey: TestTwokey;
let hook: HttpReceiver;

beforeAll(async () => {
  process.env[HOOK_KEY] = "a key for tests only";
  [postgres, hook] = await Promise.all([startPostgres(), startHttpReceiver()]);
  twokey = await startTestTwokey({
    postgres,
    config: {
      limits: { logins: { per_person: 10, per_address: 100, delay: "20ms" } },
      alerts: { sinks: { hook: { kind: "webhook", url: hook.url, secret: { env: HOOK_KEY } } } },
    },
  });
});

afterAll(async () => {
  await twokey.stop();
  await hook.close();
  await postgres.stop();
});

/** A frontend of Alice's, with the right password. */
async function alice(from: string): Promise<pg.Client> {
  const { name: user, password } = twokey.people.alice;
  const client = new pg.Client({
    host: twokey.host,
    port: twokey.port,
    user,
    password,
    database: "postgres",
    stream: () => new SocketFrom(from),
  });
  await client.connect();
  return client;
}

class SocketFrom extends Socket {
  readonly #address: string;

  constructor(address: string) {
    super();
    this.#address = address;
  }

  override connect(...target: unknown[]): this {
    const [port, host] = target as [number, string];
    return super.connect({ port, host, localAddress: this.#address });
  }
}

const REFUSED = /password authentication failed for user "alice"/;

/** @returns milliseconds of the slowest of twenty, all but one of each */
async function latency(client: pg.Client): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    const startedAt = performance.now();
    await client.query("SELECT 1");
    times.push(performance.now() - startedAt);
  }
  return times.sort((a, b) => a - b)[18] ?? Infinity;
}

async function flood(user: (index: number) => string, from: (index: number) => string) {
  let next = 0;
  const answers = new Set<string>();
  const work = async (): Promise<void> => {
    for (let index = next++; index < GUESSES; index = next++) {
      const name = user(index);
      const told = await guess({ port: twokey.port, user: name, from: from(index) });
      answers.add(told.replace(`"${name}"`, "NAME"));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return [...answers];
}

async function metric(reason: string): Promise<number> {
  const text = await (await fetch(`${twokey.adminUrl}/metrics`)).text();
  return Number(
    new RegExp(`auth_failures_total\\{reason="${reason}"\\} (\\d+)`).exec(text)?.[1] ?? 0,
  );
}

test(
  "10,000 wrong passwords for one person lock strangers out, not the person",
  { timeout: 300_000 },
  async () => {
    const client = await alice("127.0.0.1");
    const before = await latency(client);
    const cpu = process.cpuUsage();
    const flooding = flood(
      () => "alice",
      () => "127.0.0.2",
    );
    const during = await latency(client);
    expect(await flooding).toEqual(["password authentication failed for user NAME"]);
    const { user, system } = process.cpuUsage(cpu);
    const cpuMs = (user + system) / 1000 / GUESSES;
    process.stderr.write(
      `SELECT 1, nineteenth of twenty: ${before.toFixed(1)} ms, during the flood ${during.toFixed(1)} ms; ` +
        `${cpuMs.toFixed(2)} ms of CPU a guess, guesser included\n`,
    );
    expect(await metric("wrong_password")).toBe(10);
    expect(await metric("locked")).toBe(GUESSES - 10);
    // One alert for the address, one for the name: not ten thousand, and not none.
    const alerts = (): string[] =>
      hook.received
        .map(({ body }) => (JSON.parse(body) as { alert: string }).alert)
        .filter((name) => name.startsWith("failed-logins"))
        .sort();
    await expect
      .poll(alerts)
      .toEqual(["failed-logins-from-an-address", "failed-logins-of-a-person"]);
    await expect(alice("127.0.0.2")).rejects.toThrow(REFUSED);
    await expect(alice("127.0.0.3")).rejects.toThrow(REFUSED);
    await (await alice("127.0.0.1")).end();
    await client.end();
  },
);

test("10,000 over many names lock the addresses they come from", { timeout: 300_000 }, async () => {
  const client = await alice("127.0.0.1");
  const answers = await flood(
    (index) => `name${index}`,
    (index) => `127.0.1.${index % 10}`,
  );
  expect(answers).toEqual(["password authentication failed for user NAME"]);
  // Each address a hundred, and not one more.
  expect(await metric("unknown_user")).toBe(1000);
  expect((await client.query("SELECT 1")).rowCount).toBe(1);
  await client.end();
});

test("every failure is on record, with its reason", async () => {
  await eventually(
    () => Promise.resolve(failures().length === 2 * GUESSES + 2),
    "a record for each guess, and for the right password from two strange addresses",
  );
  expect(JSON.parse(failures()[0] ?? "")).toMatchObject({
    person: "alice",
    client: { address: "127.0.0.2" },
    reason: "wrong_password",
  });
});

function failures(): string[] {
  return readdirSync(twokey.auditDirectory)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .flatMap((name) => readFileSync(path.join(twokey.auditDirectory, name), "utf8").split("\n"))
    .filter((line) => line.includes('"event":"auth.failure"'));
}
