import { once } from "node:events";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startWorld, type World } from "../protocol/world.ts";
import { note } from "../../support/facts.ts";

let world: World;

beforeAll(async () => {
  world = await startWorld();
});

afterAll(async () => {
  await world.stop();
});

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS items (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2), tags text[], at timestamptz, data jsonb, raw bytea);
  TRUNCATE items`;

/** What a driver gives back, and each error as its SQLSTATE and message: the same whichever way it went. */
type Story = (url: string) => Promise<unknown>;

async function told(story: Story): Promise<void> {
  const results: unknown[] = [];
  for (const { host, port, user, password, database } of [world.loginDirect, world.loginThrough]) {
    await world.witness.query(SCHEMA);
    const result = await story(`postgresql://${user}:${password}@${host}:${port}/${database}`);
    const { rows } = await world.witness.query("SELECT * FROM items ORDER BY id");
    results.push({ result, rows });
  }
  const [direct, through] = results;
  expect(through).toEqual(direct);
}

const failure = async (doing: Promise<unknown>): Promise<unknown> => {
  try {
    await doing;
    return "did not fail";
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { code, message };
  }
};

async function withPg<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

const VALUES = [
  1,
  "a 'quoted' \\ name 日本",
  "12.50",
  ["x", "y,z"],
  "2026-01-02T03:04:05Z",
  '{"a":[1,null]}',
  Buffer.from([0, 255, 92]),
];
const INSERT = "INSERT INTO items VALUES ($1, $2, $3, $4, $5, $6, $7)";

const pgStories: Readonly<Record<string, (client: pg.Client, url: string) => Promise<unknown>>> = {
  "reads and writes": async (client) => {
    await client.query(INSERT, VALUES);
    const read = await client.query("SELECT * FROM items; SELECT 1 AS one, NULL AS nothing");
    const update = await client.query(
      "UPDATE items SET price = price * 2 WHERE id = $1 RETURNING price",
      [1],
    );
    return [read, update.rows, update.rowCount, update.command].map((part) => JSON.stringify(part));
  },
  "prepared statements": async (client) => {
    const results = [];
    for (let i = 0; i < 5; i += 1) {
      results.push(
        (
          await client.query({
            name: "by-id",
            text: "SELECT $1::int + $2::int AS sum",
            values: [i, i],
          })
        ).rows,
      );
    }
    results.push(
      (
        await client.query({
          text: "SELECT $1::bytea AS b",
          values: [Buffer.from("é")],
          binary: true,
        } as pg.QueryConfig)
      ).rows,
    );
    return results;
  },
  "errors inside a transaction": async (client) => {
    await client.query("BEGIN");
    await client.query(INSERT, VALUES);
    const results = [
      await failure(client.query(INSERT, VALUES)),
      await failure(client.query("SELECT 1")),
    ];
    results.push((await client.query("COMMIT")).command);
    results.push(await failure(client.query("SELEC")));
    results.push(await failure(client.query("SELECT no_such($1)", [1])));
    return results;
  },
  cancel: async (client, url) => {
    const pid = (await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0]
      ?.pid;
    const sleeping = failure(client.query("SELECT pg_sleep(30)"));
    await withPg(url, async (other) => {
      for (;;) {
        const { rowCount } = await world.witness.query(
          "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'",
          [pid],
        );
        if (rowCount === 1) break;
      }
      const { processID, secretKey } = client as unknown as {
        processID: number;
        secretKey: number;
      };
      const connection = new (
        pg as unknown as { Connection: new (options: object) => Connection }
      ).Connection({});
      connection.on("connect", () => {
        connection.cancel(processID, secretKey);
      });
      const { host, port } = other;
      connection.connect(port, host);
      await new Promise<void>((resolve) => {
        connection.once("end", resolve);
      });
    });
    return sleeping;
  },
  LISTEN: async (client, url) => {
    await client.query("LISTEN news");
    const heard = once(client, "notification");
    await withPg(url, (other) => other.query("SELECT pg_notify('news', 'flash ü')"));
    const [{ channel, payload }] = (await heard) as [pg.Notification];
    return { channel, payload };
  },
};

interface Connection {
  on: (event: string, listener: () => void) => void;
  once: (event: string, listener: () => void) => void;
  connect: (port: number, host: string) => void;
  cancel: (processId: number, secret: number) => void;
}

it.each(Object.keys(pgStories))("node-postgres: %s", async (feature) => {
  await told((url) => withPg(url, async (client) => pgStories[feature]?.(client, url)));
  note({ kind: "everyday", client: "node-postgres", feature });
});

type Sql = ReturnType<typeof postgres>;

const postgresStories: Readonly<Record<string, (sql: Sql) => Promise<unknown>>> = {
  "reads and writes": async (sql) => {
    const [id, name, price, tags, at, , raw] = VALUES as [
      number,
      string,
      string,
      string[],
      string,
      string,
      Buffer,
    ];
    await sql`INSERT INTO items VALUES (${id}, ${name}, ${price}, ${tags}, ${at}, ${sql.json({ a: [1, null] })}, ${raw})`;
    const read = await sql`SELECT * FROM items`;
    const update = await sql`UPDATE items SET ${sql({ price: 3 })} WHERE id = ${1} RETURNING price`;
    return [...read, ...update, update.count, update.command];
  },
  "prepared statements": async (sql) => {
    const rows = [];
    for (let i = 0; i < 5; i += 1) rows.push(...(await sql`SELECT ${i}::int + 1 AS next`));
    const unsafe = await sql.unsafe("SELECT 1 AS a; SELECT 2 AS b");
    const cursor = [];
    for await (const part of sql`SELECT g FROM generate_series(1, 10) g`.cursor(3))
      cursor.push(...part);
    return [rows, JSON.stringify(unsafe), cursor];
  },
  "COPY both ways": async (sql) => {
    const writable = await sql`COPY items (id, name) FROM STDIN`.writable();
    for (let i = 0; i < 500; i += 1) writable.write(`${i}\tname ${i}\n`);
    writable.end();
    await once(writable, "finish");
    const readable = await sql`COPY (SELECT id, name FROM items ORDER BY id) TO STDOUT`.readable();
    const chunks: Buffer[] = [];
    for await (const chunk of readable) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  },
  "errors inside a transaction": async (sql) => [
    await failure(
      sql.begin(async (transaction) => {
        await transaction`INSERT INTO items (id, name) VALUES (1, 'one')`;
        await transaction`INSERT INTO items (id, name) VALUES (1, 'again')`;
      }),
    ),
    await sql.begin(async (transaction) => {
      await transaction`INSERT INTO items (id, name) VALUES (2, 'two')`;
      const inner = await failure(
        transaction.savepoint((savepoint) => savepoint`INSERT INTO items (id) VALUES (3)`),
      );
      return [inner];
    }),
    await failure(sql`SELECT no_such()`),
  ],
  cancel: async (sql) => {
    const sleeping = sql`SELECT pg_sleep(30)`.execute();
    const outcome = failure(sleeping);
    for (;;) {
      const { rowCount } = await world.witness.query(
        "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
      );
      if (rowCount === 1) break;
    }
    sleeping.cancel();
    return outcome;
  },
  LISTEN: async (sql) => {
    const heard = new Promise((resolve) => {
      void sql.listen("news", resolve).then(() => sql.notify("news", "flash ü"));
    });
    return heard;
  },
};

it.each(Object.keys(postgresStories))("postgres.js: %s", async (feature) => {
  await told(async (url) => {
    const sql = postgres(url, { max: 3, onnotice: () => undefined });
    try {
      return await postgresStories[feature]?.(sql);
    } finally {
      await sql.end({ timeout: 5 });
    }
  });
  note({ kind: "everyday", client: "postgres.js", feature });
});
