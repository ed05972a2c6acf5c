import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { fieldsOf, query, RawClient, rowsOf, settingsOf, trace } from "../support/raw-client.ts";
import { readAudit } from "../support/read-audit.ts";
import { startTestTwokey, type TestPerson, type TestTwokey } from "../support/twokey.ts";

let postgres: TestPostgres;
let strict: TestTwokey;
let watching: TestTwokey;

const JUNIORS_LOOK = [
  {
    name: "nobody-drops",
    environments: ["production"],
    effects: { any: ["destructive_ddl"] },
    action: "block",
  },
  { name: "anything", action: "allow" },
];

const DATABASES = { postgres: "production", template1: "development" };

beforeAll(async () => {
  postgres = await startPostgres();
  strict = await startTestTwokey({
    postgres,
    rules: JUNIORS_LOOK,
    databases: DATABASES,
    config: {
      environments: { production: { greeting: true, read_only: ["junior"] }, development: {} },
    },
    person: {
      bob: {
        only_from: [
          { environments: ["production"], clients: ["10.8.0.0/16"] },
          { environments: ["production"], application_names: ["release-*"] },
        ],
      },
    },
  });
  watching = await startTestTwokey({
    postgres,
    rules: JUNIORS_LOOK,
    databases: DATABASES,
    config: { environments: { production: { mode: "observe" }, development: {} } },
  });
});

afterAll(async () => {
  await strict.stop();
  await watching.stop();
  await postgres.stop();
});

async function open(
  { host, port }: TestTwokey,
  { name, password }: TestPerson,
  { database = "postgres", ...parameters }: Readonly<Record<string, string>> = {},
): Promise<RawClient> {
  return RawClient.logIn({ host, port, user: name, password, database, parameters });
}

async function directly(sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({
    host: postgres.host,
    port: postgres.port,
    user: postgres.superuser,
    password: postgres.password,
    database: "postgres",
  });
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

describe("an environment that greets", () => {
  test("says at log-in, and with every refusal, where one is and as whom", async () => {
    const client = await open(strict, strict.people.alice);
    const notice = client.greeting.find(({ type }) => type === "N");
    expect(notice && fieldsOf(notice).get("M")).toBe("twokey: you are on PRODUCTION as alice");
    client.send(query("DROP TABLE nothing"));
    const [error] = await client.untilReady();
    expect(error && fieldsOf(error).get("D")).toBe(
      'Rule "nobody-drops". Here you are on PRODUCTION as alice.',
    );
    client.close();
  });

  test("and another does not", async () => {
    const client = await open(strict, strict.people.alice, { database: "template1" });
    expect(client.greeting.some(({ type }) => type === "N")).toBe(false);
    client.close();
  });
});

describe("somebody who is tied to places", () => {
  test("is turned away elsewhere, with the reason, and on record", async () => {
    await expect(open(strict, strict.people.bob)).rejects.toThrow("E 28000");
    await expect
      .poll(() => readAudit(strict.auditDirectory).find(({ reason }) => reason === "place"))
      .toMatchObject({ event: "auth.failure", person: "bob", sqlstate: "28000" });
  });

  test("is let in at one of them, and where nothing is said", async () => {
    const { bob } = strict.people;
    (await open(strict, bob, { application_name: "release-7" })).close();
    (await open(strict, bob, { database: "template1" })).close();
  });
});

test("the server's process list shows the person, and the log joins the two", async () => {
  const client = await open(strict, strict.people.alice, { application_name: "psql" });
  expect(settingsOf(client).get("application_name")).toBe("psql");
  const shown = await directly(
    "SELECT pid, application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'alice twokey:%'",
  );
  const [row] = shown.rows as { pid: number; name: string }[];
  expect(row?.name).toMatch(/^alice twokey:[0-9a-f]{16} psql$/);
  const session = /:([0-9a-f]{16})/.exec(row?.name ?? "")?.[1];
  await expect
    .poll(() => readAudit(strict.auditDirectory).find((record) => record["session"] === session))
    .toMatchObject({ event: "session.start", person: "alice", backend_pid: row?.pid });
  client.close();
});

describe("a session that only reads", () => {
  const READ = "SELECT 1";

  test("reads, and sets what has nothing to do with it", async () => {
    const client = await open(strict, strict.people.carol);
    for (const sql of [READ, "SET work_mem = '8MB'", "BEGIN", READ, "COMMIT", "SHOW search_path"])
      expect(trace(await (client.send(query(sql)), client.untilReady())), sql).not.toContain(
        "E 42501",
      );
    client.send(query("SHOW transaction_read_only"));
    expect(rowsOf(await client.untilReady())).toEqual([["on"]]);
    client.close();
  });

  test.each([
    "CREATE TABLE t (a int)",
    "INSERT INTO pg_description VALUES (1)",
    "SET default_transaction_read_only = off",
    "SET LOCAL transaction_read_only TO false",
    'SET "transaction_read_only" = off',
    'SET U&"transaction_read_onl\\0079" = off',
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SET TRANSACTION READ /**/ WRITE",
    "BEGIN READ WRITE",
    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ\nWRITE",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    "SELECT set_config('default_transaction_read'\n'_only', 'off', false)",
    "EXPLAIN ANALYZE SELECT set_config('transaction_read_only', 'off', true)",
    "UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'",
    "DO $$ BEGIN SET default_transaction_read_only = off; END $$",
    "SET ROLE postgres",
    "SELECT no_such_function()",
    "SELEC 1",
  ])("refuses %s", async (sql) => {
    const client = await open(strict, strict.people.carol);
    const [answer] = trace(await (client.send(query(sql)), client.untilReady()));
    expect(answer).toMatch(/^E (42501|42601)$/);
    await client.ask(query("RESET ALL"));
    client.send(query("SHOW default_transaction_read_only"));
    expect(rowsOf(await client.untilReady())).toEqual([["on"]]);
    client.close();
  });

  test("can't be begun otherwise", async () => {
    for (const options of [
      "-c default_transaction_read_only=off",
      "--default-transaction-read-only=off",
    ])
      await expect(open(strict, strict.people.carol, { options })).rejects.toThrow("E 42501");
  });

  test("is only where the configuration says so", async () => {
    const client = await open(strict, strict.people.carol, { database: "template1" });
    client.send(query("SHOW transaction_read_only"));
    expect(rowsOf(await client.untilReady())).toEqual([["off"]]);
    client.close();
  });
});

describe("an environment whose rules are only watched", () => {
  test("lets pass, and tells in log and metrics what would have been", async () => {
    await directly("CREATE TABLE watched (a int)");
    const client = await open(watching, watching.people.alice);
    expect(await client.ask(query("DROP TABLE watched"))).toEqual(["C DROP TABLE", "Z I"]);
    const record = readAudit(watching.auditDirectory).find(({ rule }) => rule === "nobody-drops");
    expect(record).toMatchObject({
      event: "statement.decided",
      action: "allow",
      observed: "block",
      sql: "DROP TABLE watched",
    });
    const metrics = await (await fetch(`${watching.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(
      /twokey_statements_total\{environment="production",effect="destructive_ddl",action="observe"\} 1/,
    );
    client.close();
  });

  test("refuses what would blind it, and what it can't read", async () => {
    const client = await open(watching, watching.people.alice);
    expect(await client.ask(query("SET standard_conforming_strings = off"))).toEqual([
      "E 42501",
      "Z I",
    ]);
    expect(await client.ask(query("SELEC 1"))).toEqual(["E 42601", "Z I"]);
    client.close();
  });
});
