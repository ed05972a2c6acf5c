import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clearanceKey } from "../../src/server/second-lock.ts";
import { Home } from "../cli/harness.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { ALLOW_ALL, startTestTwokey, type TestTwokey } from "../support/twokey.ts";

describe("the second lock", () => {
  let postgres: TestPostgres;
  let twokey: TestTwokey;
  let bob: pg.Client;
  const home = new Home();

  beforeAll(async () => {
    postgres = await startPostgres();
    await onServer("CREATE DATABASE shop", { database: "postgres" });
    for (const role of ["lead", "lock"]) {
      writeFileSync(passwordFile(role), `${role}'s own`, { mode: 0o600 });
    }
    twokey = await startTestTwokey({
      postgres,
      rules: ALLOW_ALL,
      config: {
        databases: {
          shop: {
            upstream: "main",
            environment: "production",
            logins: [
              {
                roles: ["lead", "senior", "junior"],
                user: "shop_lead",
                password: { file: passwordFile("lead") },
                may: "ddl",
              },
            ],
            second_lock: { user: "shop_lock", password: { file: passwordFile("lock") } },
          },
        },
      },
    });
    for (let i = 0; i < 2; i += 1) {
      const argv = ["provision", "--config", twokey.configFile, "--database", "shop", "--apply"];
      expect(await home.run(argv)).toMatchObject({ status: 0 });
    }
    bob = new pg.Client(twokey.url(twokey.people.bob, "shop"));
    await bob.connect();
    await bob.query(
      `CREATE FUNCTION drop_it(its_name text) RETURNS void LANGUAGE plpgsql
       AS $$ BEGIN EXECUTE 'DROP TABLE ' || its_name; END $$`,
    );
  });

  afterAll(async () => {
    await bob.end();
    home.remove();
    await twokey.stop();
    await postgres.stop();
  });

  it.each([
    ["a drop that Twokey saw", "DROP TABLE doomed", undefined],
    ["one that a function hides", "SELECT drop_it('doomed')", "was not cleared"],
    ["one in a DO block", "DO $$ BEGIN DROP TABLE doomed; END $$", "was not cleared"],
    ["one under cover of another", "DROP TABLE cover; SELECT drop_it('doomed')", "was not cleared"],
    ["a column's", "ALTER TABLE doomed DROP COLUMN a", undefined],
    ["a hidden temporary table's", "SELECT drop_it('passing')", undefined],
    ["what drops nothing", "SELECT count(*) FROM doomed", undefined],
  ])("%s", async (_, sql, refusal) => {
    await bob.query("CREATE TABLE IF NOT EXISTS doomed (a int, b int)");
    await bob.query("CREATE TABLE IF NOT EXISTS cover (a int)");
    await bob.query("CREATE TEMPORARY TABLE IF NOT EXISTS passing (a int)");
    if (refusal === undefined) await bob.query(sql);
    else await expect(bob.query(sql)).rejects.toThrow(refusal);
    // Each clearance ends with its statement.
    expect(await held()).toBe(0);
  });

  it("clears the extended protocol, and transactions that see an old snapshot", async () => {
    await bob.query("CREATE TABLE prepared (a int)");
    await bob.query({ name: "drop", text: "DROP TABLE prepared" });
    await bob.query("CREATE TABLE serialized (ä int)");
    await bob.query("BEGIN ISOLATION LEVEL SERIALIZABLE");
    await bob.query("SELECT count(*) FROM serialized");
    await bob.query('ALTER TABLE serialized DROP COLUMN "ä"');
    await bob.query("COMMIT");
  });

  it("can't be opened by whoever goes around Twokey", async () => {
    await bob.query("CREATE TABLE IF NOT EXISTS doomed (a int, b int)");
    const client = new pg.Client({
      host: postgres.host,
      port: postgres.port,
      user: "shop_lead",
      password: readFileSync(passwordFile("lead"), "utf8"),
      database: "shop",
    });
    await client.connect();
    const drop = "DROP TABLE doomed";
    const pid = (await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0]
      ?.pid;
    // The key is no secret; only who holds the lock counts.
    const key = clearanceKey(pid ?? 0, drop);
    for (const attempt of [
      `SELECT pg_advisory_lock(${key})`,
      `SELECT pg_advisory_lock_shared(${key})`,
      "SET session_replication_role = replica",
      "SET event_triggers = off",
      "ALTER EVENT TRIGGER twokey_second_lock DISABLE",
      "DROP EVENT TRIGGER twokey_second_lock",
      "CREATE OR REPLACE FUNCTION twokey.refuse_uncleared() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
      "SET ROLE shop_lock",
      "CREATE TEMPORARY TABLE pg_locks AS SELECT * FROM pg_catalog.pg_locks",
    ]) {
      await client.query(attempt).catch(() => undefined);
      await expect(client.query(drop), attempt).rejects.toThrow("was not cleared");
    }
    // With that lock taken exclusively elsewhere, Twokey can't clear, and says so.
    await client.end();
  });

  it("lets a superuser through, who could take it away", async () => {
    await onServer("CREATE TABLE theirs (a int); DROP TABLE theirs");
  });

  it("stays shut when its role can't log in", async () => {
    await bob.query("CREATE TABLE IF NOT EXISTS doomed (a int, b int)");
    await onServer("ALTER ROLE shop_lock NOLOGIN");
    await onServer(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop_lock'",
    );
    await expect
      .poll(() =>
        bob.query("DROP TABLE doomed").then(
          () => "dropped",
          (error: unknown) => String(error),
        ),
      )
      .toContain("could not be cleared for the second lock");
    await onServer("ALTER ROLE shop_lock LOGIN");
    await bob.query("DROP TABLE doomed");
  });

  async function held(): Promise<number> {
    const sql = "SELECT count(*)::int AS held FROM pg_locks WHERE locktype = 'advisory'";
    const count = async (): Promise<unknown> => (await onServer(sql))[0]?.["held"];
    await expect.poll(count).toBe(0);
    return 0;
  }

  function passwordFile(role: string): string {
    return join(home.directory, `shop_${role}.password`);
  }

  async function onServer(
    sql: string,
    { database = "shop" }: { readonly database?: string } = {},
  ): Promise<Record<string, unknown>[]> {
    const { host, port, superuser: user, password } = postgres;
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }
});
