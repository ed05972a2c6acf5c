import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { promisify } from "node:util";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import type { Alert } from "../../src/alerts/alert.ts";
import {
  startHttpReceiver,
  startSmtpReceiver,
  type HttpReceiver,
  type SmtpReceiver,
} from "../alerts/receivers.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";

let postgres: TestPostgres;
let hook: HttpReceiver;
let mail: SmtpReceiver;
let twokey: TestTwokey | undefined;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
afterEach(async () => {
  await twokey?.stop();
  twokey = undefined;
  await hook.close();
  await mail.close();
});

const KEY = "a key for tests only";

async function start(...behaviours: Parameters<typeof startHttpReceiver>): Promise<TestTwokey> {
  hook = await startHttpReceiver(...behaviours);
  mail = await startSmtpReceiver();
  process.env["TWOKEY_TEST_HOOK_KEY"] = KEY;
  twokey = await startTestTwokey({
    postgres,
    config: {
      alerts: {
        sinks: {
          hook: { kind: "webhook", url: hook.url, secret: { env: "TWOKEY_TEST_HOOK_KEY" } },
          mail: {
            kind: "email",
            host: "127.0.0.1",
            port: mail.port,
            tls: "off",
            from: "twokey@example.com",
            to: ["lead@example.com"],
          },
        },
      },
    },
  });
  return twokey;
}

function alerts(): Alert[] {
  return hook.received.map(({ body }) => JSON.parse(body) as Alert);
}

it("DROP DATABASE reaches the webhook within a second of being typed, with who, what, where and what to do", async () => {
  const at = await start();
  const client = new Client({ connectionString: at.url(at.people.alice, "postgres") });
  await client.connect();
  const typedAtMs = performance.now();
  const refusal = client.query("DROP DATABASE shop").catch((error: unknown) => error);
  const [received] = await hook.count(1);
  const refused = (await refusal) as { readonly detail?: string };
  await client.end();

  const seconds = ((received?.atMs ?? Infinity) - typedAtMs) / 1000;
  process.stdout.write(`DROP DATABASE typed to webhook received: ${seconds.toFixed(3)} s\n`);
  expect(seconds).toBeLessThan(5);

  const askedAtMs = performance.now();
  const search = ["audit", "search", "--config", at.configFile, "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...["--import", "tsx", "src/main.ts", ...search],
    ...["--sql", "drop database", "--event", "statement.decided"],
  ]);
  const answeredIn = (performance.now() - askedAtMs) / 1000;
  process.stdout.write(`From the webhook to who by the CLI: ${answeredIn.toFixed(3)} s\n`);
  expect(stdout).toContain('"person":"alice"');

  const [alert] = alerts();
  const request = /Request (R-\w+)/.exec(refused.detail ?? "")?.[1];
  expect(alert).toMatchObject({
    alert: "destruction-attempted",
    event: "statement.held",
    severity: "critical",
    title: 'alice: DROP DATABASE "shop" needs a second person in production',
    who: { person: "alice", roles: ["senior"], address: "127.0.0.1" },
    where: { environment: "production", database: "postgres" },
    what: { statement: 'DROP DATABASE "shop"', destructive: true },
    rule: "two-people-for-what-is-lost-for-good",
    request,
    next: `lead: \`twokey approve ${request ?? ""}\`, or \`twokey reject ${request ?? ""}\``,
  });
  const signed = [received?.headers["webhook-id"], received?.headers["webhook-timestamp"]];
  const content = [...signed, received?.body].map(String).join(".");
  expect(received?.headers["webhook-signature"]).toBe(
    `v1,${createHmac("sha256", KEY).update(content).digest("base64")}`,
  );
  await vi.waitFor(() => {
    expect(mail.mails).toHaveLength(1);
  }, 10_000);
  await vi.waitFor(async () => {
    const metrics = await (await fetch(`${at.adminUrl}/metrics`)).text();
    expect(metrics).toContain('twokey_alerts_total{sink="hook",outcome="sent"} 1');
    expect(metrics).toContain('twokey_alerts_total{sink="mail",outcome="sent"} 1');
  }, 10_000);
});

it("passwords that are tried reach the webhook, with the address they come from", async () => {
  const at = await start();
  for (let attempt = 1; attempt <= 5; attempt++) {
    const client = new Client({
      connectionString: at.url({ ...at.people.alice, password: "guess" }, "shop"),
    });
    await expect(client.connect()).rejects.toThrow(/authentication failed/);
  }
  await hook.count(1);
  expect(alerts()).toMatchObject([
    {
      alert: "failed-logins-from-an-address",
      who: { claimed: "alice", address: "127.0.0.1" },
      title: expect.stringContaining("5 times in 300 s") as string,
    },
  ]);
});
