import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { bind, execute, parse, query, sync, trace } from "../support/raw-client.ts";
import { startWorld, type World } from "./protocol/world.ts";

let world: World;
let carol: pg.Client;
let alice: pg.Client;
let bob: pg.Client;

const DEFINITIONS = `
  DROP SCHEMA IF EXISTS shop, other CASCADE;
  CREATE SCHEMA shop;
  CREATE SCHEMA other;
  CREATE DOMAIN shop.checked AS int;
  CREATE OR REPLACE FUNCTION public.total(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1 + 1';
  CREATE FUNCTION shop.total(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
  CREATE OR REPLACE FUNCTION public.volatile(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE OR REPLACE FUNCTION public.overloaded(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
  CREATE OR REPLACE FUNCTION public.overloaded(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION shop.elsewhere(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION other.elsewhere(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE OR REPLACE FUNCTION public.unlink(oid) RETURNS int STABLE STRICT LANGUAGE internal AS 'be_lo_unlink';
  CREATE OR REPLACE FUNCTION public.defaulted(a int DEFAULT public.volatile(1)) RETURNS int STABLE LANGUAGE sql AS 'SELECT a';
  CREATE OR REPLACE FUNCTION public.of_domain(shop.checked) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
  CREATE OR REPLACE FUNCTION public.mood(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
  CREATE TYPE shop.mood AS ENUM ('well');
  CREATE OR REPLACE AGGREGATE public.gather(int) (SFUNC = int4pl, STYPE = int);
`;

beforeAll(async () => {
  world = await startWorld({
    databases: { shop: "production", postgres: "development" },
    rules: [
      {
        name: "juniors-look",
        roles: ["junior", "lead"],
        effects: { only: ["read", "session", "transaction"] },
        action: "allow",
      },
      {
        name: "seniors-call-nothing-opaque",
        roles: ["senior"],
        effects: { all: ["read", "opaque"] },
        action: "block",
      },
      { name: "seniors-work", roles: ["senior"], action: "allow" },
    ],
    config: {
      environments: {
        production: { unknown_functions: "trust_volatility", read_only: ["lead"] },
        development: {},
      },
    },
  });
  const { host, port, people } = world.twokey;
  const connect = async ({
    name: user,
    password,
  }: {
    name: string;
    password: string;
  }): Promise<pg.Client> => {
    const client = new pg.Client({ host, port, user, password, database: "shop" });
    await client.connect();
    return client;
  };
  carol = await connect(people.carol);
  alice = await connect(people.alice);
  bob = await connect(people.bob);
});
afterAll(async () => {
  await carol.end();
  await alice.end();
  await bob.end();
  await world.stop();
});
beforeEach(async () => {
  // Through Twokey, which so hears of the change.
  await alice.query(DEFINITIONS);
  await trusted("SELECT total(1)");
});

async function trusted(sql: string): Promise<void> {
  await vi.waitFor(() => carol.query(sql), { timeout: 10_000, interval: 50 });
}

async function refused(sql: string): Promise<void> {
  await expect(carol.query(sql)).rejects.toMatchObject({ code: "42501" });
}

it.each([
  ["a stable function", "SELECT total(1)"],
  ["an immutable one by its schema", "SELECT shop.total(1)"],
  ["one whose name is another's elsewhere, by its schema", "SELECT shop.elsewhere(1)"],
])("lets who may read call %s", async (_, sql) => {
  await carol.query(sql);
  await carol.query({ name: sql, text: `${sql} WHERE $1 > 0`, values: [1] });
});

it.each([
  ["a volatile function", "SELECT volatile(1)"],
  ["a stable function of whose name there is a volatile one", "SELECT overloaded(1)"],
  ["a name that another schema has as volatile", "SELECT elsewhere(1)"],
  ["a function of a language that nothing holds to reading", "SELECT unlink(1)"],
  ["a function with defaults", "SELECT defaulted()"],
  ["a function whose arguments are checked", "SELECT of_domain(1)"],
  ["a function that has a type's name", "SELECT mood(1)"],
  ["an aggregate", "SELECT gather(1)"],
  ["a function that isn't there", "SELECT nobody(1)"],
])("keeps opaque %s", async (_, sql) => {
  await refused(sql);
  await world.witness.query(sql).catch((error: unknown) => {
    expect(String(error)).toMatch(
      /does not exist|could not|not a large object|unsafe|large object/,
    );
  });
});

it("knows nothing of a function from the change that is on its way until it has ended", async () => {
  const prepared = { name: "prepared", text: "SELECT total($1)", values: [1] };
  await carol.query(prepared);
  await alice.query("BEGIN");
  await alice.query("ALTER FUNCTION total(int) VOLATILE");
  await refused("SELECT total(1)");
  await expect(carol.query(prepared)).rejects.toMatchObject({ code: "42501" });
  await alice.query("ROLLBACK");
  await trusted("SELECT total(1)");
  await carol.query(prepared);
});

const CHANGE = "ALTER FUNCTION total(int) VOLATILE";
const CALL = "SELECT total(1)";

it.each([
  ["as queries", [query(CALL), query(CHANGE), query(CALL)], 3],
  ["between the Bind and the Execute of the call", [query(CALL), ...aroundTheChange()], 2],
])("does not let a session change what it calls in one go: %s", async (_, messages, ready) => {
  const through = await world.through();
  through.send(...messages);
  const answers = trace(await through.untilReady(ready));
  expect(answers).toContain("C SELECT 1");
  expect(answers).toContain("C ALTER FUNCTION");
  expect(answers.slice(answers.indexOf("C ALTER FUNCTION"))).toEqual(
    expect.arrayContaining(["E 42501"]),
  );
  expect(answers.filter((answer) => answer === "C SELECT 1")).toHaveLength(1);
  through.close();
});

function aroundTheChange(): Buffer[] {
  const call = [parse("call", CALL), bind({ portal: "call", statement: "call" })];
  return [...call, parse("", CHANGE), bind(), execute(), execute("call"), sync()];
}

it("goes by a volatile replacement made through it", async () => {
  await alice.query(
    "CREATE OR REPLACE FUNCTION total(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 0'",
  );
  await refused("SELECT total(1)");
  // What is beside it is trusted again, so the catalogue has been read since.
  await trusted("SELECT shop.total(1)");
  await refused("SELECT total(1)");
});

it("goes by a replacement made at the server itself once it has read the catalogue again", async () => {
  await world.witness.query("ALTER FUNCTION total(int) VOLATILE");
  // Any change has the catalogue read; without one it is read every minute.
  await alice.query("CREATE TABLE IF NOT EXISTS shop.t ()");
  await trusted("SELECT shop.total(1)");
  await refused("SELECT total(1)");
});

it("trusts none in a session that the server, too, keeps to reading", async () => {
  await bob.query("SELECT 1");
  await expect(bob.query("SELECT total(1)")).rejects.toMatchObject({ code: "42501" });
});

it("trusts none in an environment that doesn't say so", async () => {
  const { host, port, people } = world.twokey;
  const { password } = people.carol;
  const other = new pg.Client({ host, port, user: "carol", password, database: "postgres" });
  await other.connect();
  const { host: server, port: at, superuser: user } = world.postgres;
  const direct = new pg.Client({
    host: server,
    port: at,
    user,
    password: world.postgres.password,
    database: "postgres",
  });
  await direct.connect();
  await direct.query("CREATE FUNCTION total(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'");
  await direct.end();
  await expect(other.query("SELECT total(1)")).rejects.toMatchObject({ code: "42501" });
  await other.end();
});
