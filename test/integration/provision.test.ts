import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Home, type Ran } from "../cli/harness.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { ALLOW_ALL, startTestTwokey, type TestPerson, type TestTwokey } from "../support/twokey.ts";

const SHOP = `
  CREATE TABLE orders (id serial PRIMARY KEY, total int);
  INSERT INTO orders (total) VALUES (1), (2), (3);
  GRANT ALL ON orders TO PUBLIC;
  CREATE SCHEMA app;
  CREATE TABLE app.stock (item text);
  CREATE FUNCTION app.drop_orders() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DROP TABLE public.orders'; END $$;
  CREATE FUNCTION app.add_order() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'INSERT INTO public.orders (total) VALUES (9)'; END $$;
  CREATE FUNCTION app.as_owner() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE 'DELETE FROM public.orders'; END $$`;

describe("twokey provision", () => {
  let postgres: TestPostgres;
  let twokey: TestTwokey;
  const home = new Home();

  beforeAll(async () => {
    postgres = await startPostgres();
    await onServer("CREATE DATABASE shop", "postgres");
    await onServer(SHOP);
    // The policy lets everything pass here: what is refused, the server refuses.
    for (const role of ["junior", "senior", "lead"]) {
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
              login("junior", "read_only"),
              login("senior", "read_write"),
              login("lead", "ddl"),
            ],
          },
          shop_of_leads: {
            upstream: "main",
            environment: "production",
            database: "shop",
            logins: [login("lead", "ddl")],
          },
        },
      },
    });
    rmSync(passwordFile("junior"));
  });

  afterAll(async () => {
    home.remove();
    await twokey.stop();
    await postgres.stop();
  });

  it("prints SQL and changes nothing", async () => {
    const { status, stdout, stderr } = await run();
    expect(status).toBe(0);
    expect(stdout).toContain("-- shop_junior: read_only, for junior");
    expect(stdout).toContain("REVOKE ALL ON DATABASE");
    expect(stderr).toContain("shop_junior: its password file does not exist; --apply makes it");
    expect(existsSync(passwordFile("junior"))).toBe(false);
    expect(await onServer("SELECT FROM pg_roles WHERE rolname LIKE 'shop%'")).toEqual([]);
  });

  it("makes roles and passwords, as often as one likes", async () => {
    await onServer(
      "CREATE ROLE shop_junior SUPERUSER CREATEDB; GRANT pg_write_all_data TO shop_junior",
    );
    await onServer("ALTER ROLE shop_junior SET standard_conforming_strings = off");
    for (let i = 0; i < 2; i += 1) expect(await run("--apply")).toMatchObject({ status: 0 });
    const file = passwordFile("junior");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toMatch(/^[\w-]{43}\n$/);
  });

  it.each<[who: "alice" | "bob" | "carol", sql: string, outcome: string]>([
    ["carol", "SELECT count(*) FROM orders", "ok"],
    ["carol", "SELECT count(*) FROM app.stock", "ok"],
    ["carol", "INSERT INTO orders (total) VALUES (4)", "permission denied for table orders"],
    ["carol", "UPDATE orders SET total = 0", "permission denied for table orders"],
    ["carol", "SELECT nextval('orders_id_seq')", "permission denied for sequence orders_id_seq"],
    ["carol", "SELECT app.add_order()", "permission denied for table orders"],
    ["carol", "SELECT app.drop_orders()", "must be owner of table orders"],
    ["carol", "SELECT app.as_owner()", "permission denied for function as_owner"],
    ["carol", "DO $$ BEGIN DELETE FROM orders; END $$", "permission denied for table orders"],
    ["carol", "CREATE TABLE mine ()", "permission denied for schema public"],
    [
      "carol",
      "CREATE TEMPORARY TABLE mine ()",
      'permission denied to create temporary tables in database "shop"',
    ],
    ["carol", "SET ROLE postgres", 'permission denied to set role "postgres"'],
    ["carol", "ALTER ROLE shop_junior SUPERUSER", "SUPERUSER"],
    ["carol", "COPY orders TO PROGRAM 'cat'", "to COPY to or from an external program"],
    ["carol", "SELECT pg_read_file('/etc/passwd')", "permission denied for function pg_read_file"],
    ["alice", "INSERT INTO orders (total) VALUES (4)", "ok"],
    ["alice", "SELECT app.add_order()", "ok"],
    ["alice", "SELECT app.drop_orders()", "must be owner of table orders"],
    ["alice", "TRUNCATE orders", "permission denied for table orders"],
    ["alice", "DROP DATABASE shop", "must be owner of database shop"],
    ["alice", "CREATE TABLE mine ()", "permission denied for schema public"],
    ["alice", "CREATE TEMPORARY TABLE mine ()", "ok"],
    ["bob", "CREATE TABLE returns (id serial, order_id int)", "ok"],
    ["bob", "SELECT app.drop_orders()", "must be owner of table orders"],
    ["carol", "SELECT count(*) FROM returns", "ok"],
    ["carol", "DELETE FROM returns", "permission denied for table returns"],
    ["alice", "INSERT INTO returns (order_id) VALUES (1)", "ok"],
    ["alice", "DROP TABLE returns", "must be owner of table returns"],
    ["bob", "ALTER TABLE returns ADD reason text", "ok"],
    ["bob", "DROP TABLE returns", "ok"],
  ])("%s: %s → %s", async (who, sql, outcome) => {
    // PostgreSQL 15 and 18 differ in capitals.
    expect((await through(twokey.people[who], sql)).toLowerCase()).toContain(outcome.toLowerCase());
  });

  it("gives tables of the future to whom they belong, whoever makes them", async () => {
    await onServer(
      "CREATE TABLE later (id int); CREATE SCHEMA annex; CREATE TABLE annex.more (id int)",
    );
    expect(await through(twokey.people.carol, "SELECT FROM later, annex.more")).toBe("ok");
    expect(await through(twokey.people.carol, "DELETE FROM later")).toContain("permission denied");
    expect(await through(twokey.people.alice, "DELETE FROM annex.more")).toBe("ok");
  });

  it("gives the server no password but as a verifier", async () => {
    const rows = await onServer(
      "SELECT rolname FROM pg_authid WHERE rolname LIKE 'shop%' AND rolpassword LIKE 'SCRAM-SHA-256$4096:%' ORDER BY 1",
    );
    expect(rows).toHaveLength(3);
  });

  it("turns away who has no login", async () => {
    const carol = new pg.Client(twokey.url(twokey.people.carol, "shop_of_leads"));
    await expect(carol.connect()).rejects.toMatchObject({
      code: "42501",
      message: 'twokey: no login of database "shop_of_leads" is for any role of "carol"',
    });
    const bob = new pg.Client(twokey.url(twokey.people.bob, "shop_of_leads"));
    await bob.connect();
    expect((await bob.query("SELECT current_user")).rows).toEqual([{ current_user: "shop_lead" }]);
    await bob.end();
  });

  it("stops at a read-only role that owns what it could drop, with nothing changed", async () => {
    await onServer(
      "CREATE TABLE hers (); ALTER TABLE hers OWNER TO shop_junior; GRANT ALL ON orders TO shop_junior",
    );
    const { status, stderr } = await run("--apply");
    expect(status).toBe(2);
    expect(stderr).toContain("role shop_junior owns objects, so it may drop them");
    expect(await through(twokey.people.carol, "UPDATE orders SET total = 1")).toBe("ok");
    await onServer("ALTER TABLE hers OWNER TO postgres");
    expect((await run("--apply")).status).toBe(0);
    expect(await through(twokey.people.carol, "UPDATE orders SET total = 1")).toContain("denied");
  });

  it("takes an administrator's URL from a file, and tells none of it", async () => {
    const place = join(twokey.directory, "admin.url");
    writeFileSync(place, `postgresql://postgres:wr%6Fng@${postgres.host}:${postgres.port}\n`);
    const failed = await run("--apply", "--as-admin", `file:${place}`);
    expect(failed).toMatchObject({ status: 2 });
    expect(failed.stderr).toContain('password authentication failed for user "postgres"');
    writeFileSync(place, `postgresql://postgres:${postgres.password}@-\n`);
    expect(await run("--apply", "--as-admin", `file:${place}`)).toMatchObject({ status: 0 });
    writeFileSync(place, "nonsense:secret");
    const { stderr } = await run("--apply", "--as-admin", `file:${place}`);
    expect(stderr).toContain("does not hold postgresql://");
    expect(stderr).not.toContain("secret");
    expect((await run("--as-admin", "postgresql://a:b@c")).stderr).toContain(
      "env:NAME or file:PATH",
    );
  });

  function passwordFile(role: string): string {
    return join(home.directory, `shop_${role}.password`);
  }

  function login(role: string, may: string): Record<string, unknown> {
    return { roles: [role], user: `shop_${role}`, password: { file: passwordFile(role) }, may };
  }

  function run(...more: readonly string[]): Promise<Ran> {
    return home.run(["provision", "--config", twokey.configFile, "--database", "shop", ...more]);
  }

  async function onServer(sql: string, database = "shop"): Promise<unknown[]> {
    const { host, port, superuser: user, password } = postgres;
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async function through(person: TestPerson, sql: string): Promise<string> {
    const client = new pg.Client(twokey.url(person, "shop"));
    await client.connect();
    try {
      await client.query(sql);
      return "ok";
    } catch (error) {
      if (error instanceof pg.DatabaseError) return `${error.message} ${error.detail ?? ""}`;
      throw error;
    } finally {
      await client.end();
    }
  }
});
