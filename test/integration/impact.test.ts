import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { parseApprovalDocument } from "../../src/approvals/document.ts";
import { impactSchema, type Impact } from "../../src/impact/impact.ts";
import { ApiPerson } from "../support/api-person.ts";
import { shell } from "../support/processes.ts";
import { startWorld, valueOf, type World } from "./protocol/world.ts";

let world: World;
let alice: ApiPerson;
let bob: ApiPerson;
let client: pg.Client;

beforeAll(async () => {
  world = await startWorld({
    rules: [
      {
        name: "sign",
        effects: { any: ["delete", "destructive_ddl", "ddl", "opaque"] },
        action: "require_approval",
      },
      { name: "everyday-work", action: "allow" },
    ],
    config: {
      approvals: { allowed_signers: "allowed_signers", defaults: { approvers: ["lead"] } },
    },
  });
  alice = new ApiPerson(world.twokey, world.twokey.people.alice);
  bob = new ApiPerson(world.twokey, world.twokey.people.bob);
  const { host, port, people } = world.twokey;
  const { password } = people.alice;
  client = new pg.Client({ host, port, user: "alice", password, database: "shop" });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await world.stop();
});
beforeEach(async () => {
  await world.witness.query(`
    CREATE SCHEMA sales;
    CREATE TABLE sales.orders (id serial PRIMARY KEY, note text);
    CREATE TABLE lines (order_id int REFERENCES sales.orders);
    CREATE VIEW sales.recent AS SELECT * FROM sales.orders WHERE id > 900;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM sales.recent;
    INSERT INTO sales.orders SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i;
    ANALYZE`);
});
afterEach(async () => {
  await world.witness.query("ROLLBACK; DROP SCHEMA sales CASCADE; DROP TABLE lines");
});

/** What bob is given to sign for what alice ran. */
async function impactOf(
  sql: string,
  run: () => Promise<unknown> = () => client.query(sql),
): Promise<Impact> {
  const refused = await run().then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(refused instanceof pg.DatabaseError)) throw new Error("it was not refused");
  const id = /R-\w{6}/.exec(refused.detail ?? "")?.[0] ?? "";
  const document = parseApprovalDocument(await bob.draft(id));
  await alice.call("POST", `/requests/${id}/cancel`);
  return impactSchema.parse(document.impact);
}

it("tells sizes, rows, what depends on it, and whose locks are in the way", async () => {
  await world.witness.query("BEGIN; SELECT count(*) FROM sales.orders");
  const impact = await impactOf("DROP TABLE sales.orders CASCADE");
  expect(impact).toMatchObject({
    statements: [
      {
        statement: 0,
        objects: [
          {
            ...{ kind: "table", name: "sales.orders", exists: true, rows: 1000 },
            dependents: {
              count: 4,
              first: [
                "materialized view public.counted",
                "sequence sales.orders_id_seq",
                "table constraint lines_order_id_fkey on public.lines",
                "view sales.recent",
              ],
            },
          },
        ],
        estimated_rows: null,
        locks: [
          {
            relation: "sales.orders",
            mode: "AccessExclusiveLock",
            held_by: [{ user: "postgres", mode: "AccessShareLock" }],
          },
        ],
        warnings: [{ name: "cascade" }],
      },
    ],
    clients: [{ database: "shop" }],
    replicas: [],
    backup: { state: "unknown", because: "no backups are configured" },
    unknown: [],
  });
  expect(impact.statements[0]?.objects[0]?.bytes).toBeGreaterThan(100_000);
  expect(impact.clients[0]?.connections).toBeGreaterThanOrEqual(2);
});

it.each([
  ["DELETE FROM sales.orders WHERE id > 900", 100],
  ["DELETE FROM sales.orders", 1000],
  ["WITH gone AS (DELETE FROM sales.orders RETURNING id) SELECT id FROM gone", 1000],
])("has the planner say how many rows are reached: %s", async (sql, rows) => {
  const { statements } = await impactOf(sql);
  expect(statements[0]?.estimated_rows).toBeGreaterThan(rows * 0.9);
  expect(statements[0]?.estimated_rows).toBeLessThan(rows * 1.1);
  expect(statements[0]?.locks[0]).toMatchObject({ mode: "RowExclusiveLock", held_by: [] });
  expect(await valueOf(world.witness, "SELECT count(*)::int FROM sales.orders")).toBe(1000);
});

it("plans for values that it does not know", async () => {
  const sql = "DELETE FROM sales.orders WHERE id = $1";
  const impact = await impactOf(sql, () => client.query(sql, [7]));
  expect(impact.statements[0]?.estimated_rows).toBe(1);
});

it("runs nothing: no batch is planned, nor what calls an unknown function", async () => {
  await world.witness.query(`
    CREATE SEQUENCE sales.called;
    CREATE FUNCTION sales.trap(int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT nextval('sales.called')::int $$`);
  const batch = await impactOf("DELETE FROM lines; DROP TABLE sales.orders CASCADE");
  expect(batch.statements[0]?.estimated_rows).toBeNull();
  const trap = await impactOf("DELETE FROM sales.orders WHERE id = sales.trap(1)");
  expect(trap.statements[0]?.estimated_rows).toBeNull();
  expect(await valueOf(world.witness, "SELECT is_called FROM sales.called")).toBe(false);
  expect(await valueOf(world.witness, "SELECT count(*)::int FROM sales.orders")).toBe(1000);
});

it("says what it could not find out in time", async () => {
  await world.witness.query("BEGIN; LOCK TABLE sales.orders IN ACCESS EXCLUSIVE MODE");
  const { statements, unknown } = await impactOf("DELETE FROM sales.orders");
  expect(statements[0]).toMatchObject({ objects: [{ bytes: null }], estimated_rows: null });
  expect(unknown).toEqual(
    expect.arrayContaining([
      {
        what: "size of table sales.orders",
        because: "canceling statement due to lock timeout",
      },
    ]),
  );
  expect(statements[0]?.locks[0]?.held_by[0]).toMatchObject({ mode: "AccessExclusiveLock" });
});

it("measures schemas and databases, and says where there is none", async () => {
  const schema = (await impactOf("DROP SCHEMA sales CASCADE")).statements[0]?.objects[0];
  expect(schema).toMatchObject({ kind: "schema", name: "sales", rows: 1000 });
  expect(schema?.dependents.first).toContain("view sales.recent");
  const database = (await impactOf("DROP DATABASE postgres")).statements[0]?.objects[0];
  expect(database).toMatchObject({ kind: "database", name: "postgres", rows: null });
  expect(database?.bytes).toBeGreaterThan(1_000_000);
  const none = (await impactOf("DROP TABLE IF EXISTS sales.nothing")).statements[0]?.objects[0];
  expect(none).toMatchObject({ kind: "table", name: "sales.nothing", exists: false });
});

it("is shown with the statement and what ran before, at a terminal", async () => {
  await client.query("SELECT 'what ran before'");
  const sql = "DELETE FROM sales.orders WHERE note = 'x'";
  const refused = await client.query(sql).catch((error: unknown) => error as pg.DatabaseError);
  const id = /R-\w{6}/.exec("detail" in refused ? (refused.detail ?? "") : "")?.[0] ?? "";
  const { adminUrl, directory, people } = world.twokey;
  const as = `--url ${adminUrl} --as bob --key ${people.bob.keyFile}`;
  const env = { ...process.env, XDG_STATE_HOME: directory, NO_COLOR: undefined, FORCE_COLOR: "1" };
  const shown = await shell(`node src/main.ts request show ${id} ${as}`, env);
  expect(shown.stdout).toContain("\u001b[1mDELETE\u001b[22m \u001b[1mFROM\u001b[22m sales.orders");
  expect(shown.stdout).toContain("\u001b[32m'x'\u001b[39m");
  expect(shown.stdout).toContain("SELECT 'what ran before'");
  expect(shown.stdout).toMatch(/table sales\.orders: \d+ kB, about 1,000 rows/);
  expect(shown.stdout).toContain("takes RowExclusiveLock on sales.orders");
  expect(shown.stdout).toContain("newest verified backup: unknown (no backups are configured)");
  const approved = await shell(`node src/main.ts approve ${id} ${as} --yes`, env);
  expect(approved.stderr).toContain("takes RowExclusiveLock on sales.orders");
  const { document } = (await bob.show(id)).approvals[0] ?? { document: "" };
  expect(parseApprovalDocument(document)).toMatchObject({
    impact: { statements: [{ objects: [{ name: "sales.orders" }] }] },
    context: {
      recent: expect.arrayContaining([
        expect.objectContaining({ sql: "SELECT 'what ran before'" }),
      ]) as unknown,
    },
  });
  await alice.call("POST", `/requests/${id}/cancel`);
});
