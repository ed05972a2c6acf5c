import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import path from "node:path";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import type { Alert } from "../../src/alerts/alert.ts";
import { startHttpReceiver, type HttpReceiver } from "../alerts/receivers.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { readAudit } from "../support/read-audit.ts";
import { ALLOW_ALL, startTestTwokey, type TestTwokey } from "../support/twokey.ts";

let postgres: TestPostgres;
let hook: HttpReceiver;
let twokey: TestTwokey;

beforeAll(async () => {
  postgres = await startPostgres();
  process.env["TWOKEY_TEST_HOOK_KEY"] = "a key for tests only";
});
afterAll(() => postgres.stop());
afterEach(async () => {
  await twokey.stop();
  await hook.close();
});

async function start(): Promise<Client> {
  hook = await startHttpReceiver();
  twokey = await startTestTwokey({
    postgres,
    rules: ALLOW_ALL,
    config: {
      audit: {
        checkpoint: { records: 32, after: "1s" },
        self_verify: { every: "1s", whole: "2s" },
      },
      alerts: {
        sinks: {
          hook: { kind: "webhook", url: hook.url, secret: { env: "TWOKEY_TEST_HOOK_KEY" } },
        },
        rules: [{ name: "tampered", on: ["audit.tampered"], severity: "critical" }],
      },
    },
  });
  const { alice } = twokey.people;
  const client = new Client({ connectionString: twokey.url(alice, "postgres") });
  await client.connect();
  return client;
}

function logFile(): string {
  const [name = ""] = readdirSync(twokey.auditDirectory).filter((each) => each.endsWith(".jsonl"));
  return path.join(twokey.auditDirectory, name);
}

it("tells of a byte that somebody changes in its log, once, and goes on", async () => {
  const client = await start();
  for (let n = 0; n < 100; n += 1) await client.query(`SELECT ${1000 + n}`);
  await vi.waitFor(() => {
    expect(readFileSync(logFile(), "latin1")).toContain("SELECT 1050");
  });

  const at = readFileSync(logFile()).indexOf("SELECT 1050");
  const fd = openSync(logFile(), "r+");
  writeSync(fd, "9", at + "SELECT ".length);
  closeSync(fd);
  const tampered = readFileSync(logFile(), "latin1").slice(0, at).split("\n").length;

  const [received] = await hook.count(1);
  const alert = JSON.parse(received?.body ?? "") as Alert;
  expect(alert).toMatchObject({ alert: "tampered", severity: "critical" });
  expect(alert.title).toContain(`record ${tampered}, edited`);
  const records = (): unknown[] =>
    readAudit(twokey.auditDirectory).filter(({ event }) => event === "chain.tampered");
  await vi.waitFor(() => {
    expect(records()).toMatchObject([{ finding: "edited", record: tampered, line: tampered }]);
  });
  expect((await fetch(`${twokey.adminUrl}/readyz`)).status).toBe(200);
  await client.query("SELECT 'still here'");
  await client.end();
});

it("says nothing of a log that nobody touches, however much is written meanwhile", async () => {
  const client = await start();
  const rounds = vi.fn();
  const endAtMs = performance.now() + 6000;
  while (performance.now() < endAtMs) {
    await client.query("CREATE TEMP TABLE IF NOT EXISTS t (n int)");
    rounds();
  }
  await client.end();
  expect(rounds.mock.calls.length).toBeGreaterThan(100);
  const found = readAudit(twokey.auditDirectory).filter(({ event }) => event === "chain.tampered");
  expect(found).toEqual([]);
  expect(hook.received).toEqual([]);
});
