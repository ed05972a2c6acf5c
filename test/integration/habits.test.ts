import { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Alert } from "../../src/alerts/alert.ts";
import { startHttpReceiver, type HttpReceiver } from "../alerts/receivers.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { ALLOW_ALL, startTestTwokey, type TestTwokey } from "../support/twokey.ts";

let postgres: TestPostgres;
let hook: HttpReceiver;
let twokey: TestTwokey;
let client: Client;
let owner: Client;

beforeAll(async () => {
  postgres = await startPostgres();
  const { host, port, superuser: user, password } = postgres;
  owner = new Client({ host, port, user, password, database: "postgres" });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await postgres.stop();
});
beforeEach(async () => {
  await owner.query("DROP TABLE IF EXISTS habits");
  await owner.query("CREATE TABLE habits AS SELECT generate_series(1, 100) AS id");
});
afterEach(async () => {
  await client.end();
  await twokey.stop();
  await hook.close();
});

async function start(habits: Readonly<Record<string, unknown>>): Promise<void> {
  hook = await startHttpReceiver();
  process.env["TWOKEY_TEST_HOOK_KEY"] = "a key for tests only";
  const sinks = {
    hook: { kind: "webhook", url: hook.url, secret: { env: "TWOKEY_TEST_HOOK_KEY" } },
  };
  twokey = await startTestTwokey({
    postgres,
    rules: ALLOW_ALL,
    config: { alerts: { sinks }, habits },
  });
  client = new Client({ connectionString: twokey.url(twokey.people.alice, "postgres") });
  await client.connect();
}

async function refused(run: Promise<unknown>): Promise<Record<string, unknown>> {
  return (await run.then(
    () => ({ code: "it ran" }),
    (error: unknown) => error,
  )) as Record<string, unknown>;
}

it("what is not in an enforced profile is refused, in the simple and the extended protocol, and nothing of it runs", async () => {
  await start({ statements: [{ name: "shop-app", mode: "enforce" }] });
  const simple = await refused(client.query("SELECT 1 AS a; DELETE FROM habits"));
  expect(simple).toMatchObject({
    code: "42501",
    message: expect.stringMatching(/^twokey: .* is refused in production$/) as string,
    detail: expect.stringMatching(
      /^Rule "shop-app": alice has never run a statement of this shape \([0-9a-f]{16}\)\.$/,
    ) as string,
    hint: expect.stringMatching(/twokey habits learn alice [0-9a-f]{16}/) as string,
  });
  const extended = await refused(client.query("SELECT $1::int AS b", [1]));
  expect(extended).toMatchObject({ code: "42501" });
  await client.query("BEGIN");
  await client.query("ROLLBACK");
  expect((await owner.query("SELECT FROM habits")).rowCount).toBe(100);
});

it("a budget counts each statement of a batch and each fetch of a portal, warns, and then refuses", async () => {
  await start({
    budgets: [
      { name: "deletes", of: "delete", rows: 10, mode: "enforce" },
      { name: "reads", of: "read", rows: 150, mode: "warn" },
    ],
  });
  await client.query(
    "DELETE FROM habits WHERE id <= 6; DELETE FROM habits WHERE id BETWEEN 7 AND 12; SELECT 1",
  );
  expect(await refused(client.query("DELETE FROM habits WHERE id = 13"))).toMatchObject({
    code: "42501",
    detail: expect.stringContaining(
      "has a budget of 10 rows to delete in 3600 s, and has spent 12",
    ) as string,
  });
  const { rows } = await client.query<{ n: string }>("SELECT count(*) AS n FROM habits");
  expect(rows).toEqual([{ n: "88" }]);
  // `rows` makes pg ask for ten at a time, and leave the portal there each time.
  const query = { text: "SELECT a.id FROM habits a, habits b", rows: 10, values: [] };
  await client.query(query);
  const alerts = (await hook.count(3)).map(({ body }) => JSON.parse(body) as Alert);
  expect(alerts.map(({ event, rule }) => `${event} ${rule ?? ""}`).sort()).toEqual([
    "statement.refused deletes",
    "unusual.budget deletes",
    "unusual.budget reads",
  ]);
});

it("a honeypot and a far too large answer reach the webhook", async () => {
  await start({
    rows: [{ name: "many", of: "read", more_than: 50 }],
    honeypots: [{ name: "bait", tables: ["habits"] }],
  });
  await client.query("SELECT * FROM habits");
  const alerts = (await hook.count(2)).map(({ body }) => JSON.parse(body) as Alert);
  expect(alerts.map(({ title }) => title)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^alice touched habits in production/),
      expect.stringMatching(/^alice read 100 rows at once in production, more than 50/),
    ]),
  );
});
