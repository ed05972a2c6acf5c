import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import type { ParsedClassification } from "../../src/sql/classification.ts";
import { NEW_SESSION, ranAlone } from "../../src/sql/session.ts";
import type { SqlSession } from "../../src/sql/session.ts";
import { CORPUS_FILES, casesIn } from "../support/corpus.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

// Each statement is run on a scratch database, and what changed is compared with what was said of it. The tables are
// those that the head of test/corpus/statements.yaml names, each with rows.
const SCHEMA = `
  CREATE ROLE app_user; CREATE ROLE admin; CREATE ROLE reporting; CREATE ROLE bob;
`;
const TABLES = `
  CREATE TABLE users (id int PRIMARY KEY, email text, name text, active bool, role text, tenant_id int,
    balance numeric, deleted_at timestamptz, created_at timestamptz, manager_id int, expires_at timestamptz, total int);
  INSERT INTO users SELECT n, 'u' || n, 'n' || n, n % 2 = 0, 'user', n % 3, n, now(), now(), n, now(), n
    FROM generate_series(1, 20) n;
  CREATE SEQUENCE orders_id_seq;
  CREATE SEQUENCE s;
  CREATE TABLE orders (id int PRIMARY KEY DEFAULT nextval('orders_id_seq'), user_id int, customer_id int,
    status text, total numeric, created_at timestamptz, note text);
  INSERT INTO orders SELECT n, n, n, 'new', n * 1.5, now(), 'x' FROM generate_series(1, 20) n;
  CREATE TABLE customers (id int, email text, name text, country text);
  INSERT INTO customers SELECT n, 'c' || n, 'n', 'PT' FROM generate_series(1, 5) n;
  CREATE TABLE sessions (id int, expires_at timestamptz);
  INSERT INTO sessions SELECT n, now() - n * interval '20 days' FROM generate_series(1, 5) n;
  CREATE TABLE audit_log (id serial, action text, detail text, at timestamptz DEFAULT now());
  INSERT INTO audit_log (action) SELECT 'a' FROM generate_series(1, 5);
  CREATE TABLE products (sku text, price numeric);
  INSERT INTO products SELECT 'A' || n, n FROM generate_series(1, 5) n;
  CREATE TABLE flags ("drop" int, "true" bool, "where" int);
  INSERT INTO flags VALUES (1, true, 2), (2, false, 3);
  CREATE TABLE banned (user_id int); INSERT INTO banned VALUES (1), (2), (7);
  CREATE TABLE staging_orders (LIKE orders); INSERT INTO staging_orders SELECT * FROM orders WHERE id < 5;
  CREATE TABLE orders_archive (LIKE orders);
  CREATE TABLE staging (id int, x int); INSERT INTO staging VALUES (1, 1), (2, 1);
  CREATE TABLE t (id int, a int, b text); INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y');
  CREATE VIEW active_users AS SELECT * FROM users WHERE active;
  CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;
  CREATE TYPE mood AS ENUM ('a', 'b');
  CREATE FUNCTION total_for(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION purge() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
  CREATE PROCEDURE purge_everything() LANGUAGE sql AS 'DELETE FROM users';
  CREATE INDEX idx_orders_status ON orders (status);
  SELECT lo_from_bytea(16385, '\\x00'), lo_from_bytea(16400, '\\x0011223344');
`;

/** What a harmless statement must leave as it is, as one query; catalogs by their rows, sequences by their state. */
const SNAPSHOT = `
  SELECT json_build_object(
    'catalog', (SELECT json_agg(x ORDER BY x) FROM (
      SELECT concat_ws(' ', 'class', oid, relname, relkind, relowner, relacl, relfilenode, relpersistence,
          relrowsecurity) FROM pg_class
        WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
      UNION ALL SELECT concat_ws(' ', 'column', attrelid, attname, atttypid, attisdropped, attnotnull)
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attrelid >= 16384 AND relpersistence <> 't'
      UNION ALL SELECT concat_ws(' ', 'function', oid, proname, md5(prosrc), prosecdef) FROM pg_proc WHERE oid >= 16384
      UNION ALL SELECT concat_ws(' ', 'constraint', oid, conname) FROM pg_constraint WHERE oid >= 16384
      UNION ALL SELECT concat_ws(' ', 'type', oid, typname) FROM pg_type WHERE oid >= 16384
          AND typnamespace::regnamespace::text !~ '^pg_'
      UNION ALL SELECT concat_ws(' ', 'trigger', oid) FROM pg_trigger
      UNION ALL SELECT concat_ws(' ', 'rule', r.oid) FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class
        WHERE r.oid >= 16384 AND relpersistence <> 't'
      UNION ALL SELECT concat_ws(' ', 'schema', oid, nspname) FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
      UNION ALL SELECT concat_ws(' ', 'role', oid, rolname, rolsuper) FROM pg_authid
      UNION ALL SELECT concat_ws(' ', 'setting', setdatabase, setrole, setconfig) FROM pg_db_role_setting
      UNION ALL SELECT concat_ws(' ', 'publication', oid) FROM pg_publication
      UNION ALL SELECT concat_ws(' ', 'extension', oid) FROM pg_extension
      UNION ALL SELECT concat_ws(' ', 'policy', oid) FROM pg_policy
      UNION ALL SELECT concat_ws(' ', 'slot', slot_name) FROM pg_replication_slots
      UNION ALL SELECT concat_ws(' ', 'comment', objoid, description) FROM pg_description WHERE objoid >= 16384
      UNION ALL SELECT concat_ws(' ', 'database', oid) FROM pg_database) all_rows(x)),
    'large objects', (SELECT json_agg(md5(l::text) ORDER BY loid, pageno) FROM pg_largeobject l),
    'sequences', (SELECT json_agg(q ORDER BY schemaname, sequencename) FROM pg_sequences q)
  )::text AS snapshot`;

// What acts on the server as a whole, or waits, is not for a shared scratch server.
const NOT_RUN =
  /pg_terminate_backend|ALTER SYSTEM|pg_reload|pg_sleep|CREATE SUBSCRIPTION|pg_promote|rolpassword|COPY .* PROGRAM|pg_switch_wal/i;

// Comparisons that happen to hold for every row of these tables: no text tells that, so they count as filters.
const UNDECIDABLE = [
  "WHERE id > 0",
  "total::int = total",
  "DISTINCT ON (email)",
  "JOIN orders o ON o.user_id = users.id",
  "CASE role WHEN 'admin' THEN false",
  "email LIKE '_%'",
  "id BETWEEN 1 AND 100",
  "manager_id <> 5",
  "id = 5 OR now() >",
  "id = 5 OR EXISTS (SELECT 1 FROM banned)",
  "manager_id = id",
  "email = lower(email)",
  "length(email) >= 0",
  "created_at <= now()",
  "created_at::date = current_date",
  "b.user_id <> users.id",
  "SELECT min(id) AS id FROM users GROUP BY email",
  "LIMIT 100",
  "manager_id = b.id",
  "u.id = s.manager_id",
  "SELECT o.id FROM users u LEFT JOIN",
  "SELECT u.id FROM orders o LEFT JOIN",
];

let server: TestPostgres;
let admin: pg.Client;
let databases = 0;

function connect(database: string): pg.Client {
  const { host, port, superuser: user, password } = server;
  const client = new pg.Client({ host, port, user, password, database });
  client.on("error", () => undefined); // a case may end its own connection
  return client;
}

async function snapshotOf(client: pg.Client): Promise<ReadonlyMap<string, string>> {
  const tables = await client.query<{ name: string }>(
    `SELECT oid::regclass::text AS name FROM pg_class WHERE relkind IN ('r', 'm') AND relpersistence = 'p'
       AND relnamespace::regnamespace::text = 'public' AND relispopulated`,
  );
  const snapshot = new Map<string, string>();
  for (const { name } of tables.rows) {
    const rows = await client.query<{ sum: string }>(
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(x::text, ',' ORDER BY x::text)), '') AS sum FROM ${name} x`,
    );
    snapshot.set(name, rows.rows[0]?.sum ?? "");
  }
  const rest = await client.query<{ snapshot: string }>(SNAPSHOT);
  const parts = JSON.parse(rest.rows[0]?.snapshot ?? "{}") as Record<string, unknown>;
  for (const [part, value] of Object.entries(parts)) snapshot.set(part, JSON.stringify(value));
  return snapshot;
}

async function freshDatabase(): Promise<string> {
  const name = `scratch_${databases++}`;
  await admin.query(`CREATE DATABASE ${name} TEMPLATE scratch_template`);
  return name;
}

async function run(client: pg.Client, sql: string): Promise<boolean> {
  try {
    await client.query(sql);
    return true;
  } catch {
    return false; // not every case names things that are there
  }
}

function judge(sql: string, setup: readonly string[]): ParsedClassification {
  let session: SqlSession = NEW_SESSION;
  for (const before of setup) session = ranAlone(session, parsed(before, session).statements);
  return parsed(sql, session);
}

function parsed(sql: string, session: SqlSession): ParsedClassification {
  const classified = classify(sql, { dialect: "postgresql", session });
  if (classified.kind === "unparsed") throw new Error(`${classified.message}: ${sql}`);
  return classified;
}

const CHANGING = new Set([
  ...["write", "delete", "ddl", "destructive_ddl", "privilege", "admin", "opaque", "replication"],
]);

beforeAll(async () => {
  server = await startPostgres({
    settings: { wal_level: "logical", max_prepared_transactions: "5" },
  });
  admin = connect("postgres");
  await admin.connect();
  await admin.query(SCHEMA);
  await admin.query("CREATE DATABASE scratch_template");
  const template = connect("scratch_template");
  await template.connect();
  await template.query(TABLES);
  await template.end();
});

afterAll(async () => {
  await admin.end();
  await server.stop();
});

// A case takes three connections: all files are run by `TWOKEY_TEST_ALL=1`, in every run those that need a server most.
const FILES =
  process.env["TWOKEY_TEST_ALL"] === undefined
    ? ["corpus/statements.yaml", "corpus/filters.yaml", "sql/cases.yaml"]
    : CORPUS_FILES;

describe("what the server did, compared with what was said", () => {
  it.each(FILES)(
    "nothing that changed was called harmless in %s",
    async (path) => {
      let database = await freshDatabase();
      let executed = 0;
      const wrong: string[] = [];
      for (const { sql, setup = [], parses } of casesIn(path)) {
        if (parses === false || NOT_RUN.test(sql)) continue;
        const observer = connect(database);
        await observer.connect();
        const before = await snapshotOf(observer);
        const client = connect(database);
        await client.connect();
        await client.query("SET statement_timeout = '3s'; SET lock_timeout = '1s'");
        for (const earlier of setup) await run(client, earlier);
        if (await run(client, sql)) executed += 1;
        // What the case left open: its own transaction is what it did.
        await run(client, "COMMIT");
        await client.end().catch(() => undefined);
        const after = await snapshotOf(observer);
        await observer.end();
        const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
          (key) => before.get(key) !== after.get(key),
        );
        if (changed.length === 0) continue;
        const { effects, destructive } = judge(sql, setup);
        const isToldOf = effects.some((effect) => CHANGING.has(effect));
        if (!isToldOf && setup.length === 0) wrong.push(`${sql} changed ${changed.join(", ")}`);
        // A permanent table emptied by something that was not called destructive.
        const emptied = changed.filter(
          (key) => after.get(key)?.startsWith("0 ") === true && before.has(key),
        );
        const isUndecidable = UNDECIDABLE.some((condition) => sql.includes(condition));
        if (emptied.length > 0 && !destructive && !effects.includes("opaque") && !isUndecidable) {
          wrong.push(`${sql} emptied ${emptied.join(", ")}`);
        }
        database = await freshDatabase();
      }
      expect(wrong).toEqual([]);
      expect(executed).toBeGreaterThan(40);
    },
    300_000,
  );
});
