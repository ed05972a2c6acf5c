import { Buffer } from "node:buffer";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import pg from "pg";
import copy from "pg-copy-streams";
import Cursor from "pg-cursor";
import {
  BIG,
  connection,
  digest,
  failure,
  ROWS,
  say,
  tell,
  TEXT,
  untilAsleep,
  versionOf,
  WHO,
} from "./story.mjs";

const client = new pg.Client(connection);
await client.connect();

async function session() {
  say("connect", (await client.query(WHO)).rows);
  const several = await client.query(
    "SELECT id, name FROM items ORDER BY id LIMIT 3; SELECT 1 AS one",
  );
  const bound = await client.query("SELECT $1::int + 1 AS next, $2::text AS t, $3::text AS n", [
    41,
    TEXT,
    null,
  ]);
  const written = await client.query(
    "INSERT INTO notes (item, body) VALUES ($1, $2), (2, 'two') RETURNING *",
    [1, TEXT],
  );
  say(
    "queries",
    [several, bound, written]
      .flat()
      .map(({ command, rowCount, rows }) => ({ command, rowCount, rows })),
  );

  const types = await client.query("SELECT * FROM everything ORDER BY id");
  const binary = await client.query({
    text: "SELECT a_bool, an_int, a_bigint, a_double, a_text, a_bytea FROM everything ORDER BY id",
    binary: true,
  });
  const { rows } = await client.query(
    "SELECT $1::int[] AS i, $2::jsonb AS j, $3::bytea AS b, $4::timestamptz AS t",
    [[1, null], { a: [1] }, Buffer.from([0, 255]), new Date(0)],
  );
  say("types", [
    types.rows,
    types.fields.map(({ name, format }) => [name, format]),
    binary.rows,
    rows,
  ]);

  const large = await client.query(ROWS);
  const parameter = await client.query("SELECT length($1) AS n, md5($1) AS m", [BIG]);
  say("large", [large.rowCount, digest(large.rows), parameter.rows]);

  const errors = [
    "SELEC",
    "SELECT * FROM missing",
    "SELECT 1/0",
    "INSERT INTO items VALUES (1, 'one')",
    "INSERT INTO items VALUES (1000, NULL)",
    "INSERT INTO items VALUES (1001, 'x', -1)",
    "SELECT 'x'::int",
  ];
  const failures = [];
  for (const sql of errors)
    failures.push(await failure(client.query(sql)), await failure(client.query(sql, [])));
  failures.push(await failure(client.query("SELECT $1::int", ["x"])));
  say("errors", failures);

  const steps = [];
  const step = async (sql) =>
    steps.push(
      await client.query(sql).then(
        ({ command }) => command,
        ({ code }) => code,
      ),
    );
  for (const sql of [
    "BEGIN",
    "INSERT INTO items VALUES (200, 'a')",
    "SAVEPOINT s",
    "INSERT INTO items VALUES (1, 'b')",
    "SELECT 1",
    "ROLLBACK TO s",
    "INSERT INTO items VALUES (201, 'c')",
    "COMMIT",
    "BEGIN",
    "DELETE FROM items WHERE id = 200",
    "ROLLBACK",
    "BEGIN",
    "SELEC",
    "COMMIT",
  ])
    await step(sql);
  say("transactions", [
    steps,
    (await client.query("SELECT id FROM items WHERE id >= 200 ORDER BY id")).rows,
  ]);

  const prepared = [];
  for (let i = 0; i < 10; i += 1)
    prepared.push(
      (
        await client.query({
          name: "by-id",
          text: "SELECT name FROM items WHERE id = $1",
          values: [i],
        })
      ).rows,
    );
  say("prepared", prepared);

  const many = Array.from({ length: 50 }, (_, i) =>
    client.query(i % 10 === 7 ? "SELECT 1/0" : "SELECT $1::int AS i", i % 10 === 7 ? [] : [i]),
  );
  say(
    "pipeline",
    (await Promise.allSettled(many)).map(({ value, reason }) => value?.rows[0] ?? reason.code),
  );

  await pipeline(
    Readable.from(Array.from({ length: 2000 }, (_, i) => `${1000 + i}\titem ${i}\t\\N\n`)),
    client.query(copy.from("COPY items (id, name, price) FROM STDIN")),
  );
  const chunks = [];
  for await (const chunk of client.query(
    copy.to("COPY (SELECT * FROM items ORDER BY id) TO STDOUT (FORMAT binary)"),
  ))
    chunks.push(chunk);
  const bad = await failure(
    pipeline(
      Readable.from(["1\tx\n"]),
      client.query(copy.from("COPY items (id, name) FROM STDIN")),
    ),
  );
  say("copy", [digest(Buffer.concat(chunks).toString("hex")), bad]);

  await client.query('LISTEN "news of today"');
  const heard = once(client, "notification");
  const other = new pg.Client(connection);
  await other.connect();
  await other.query("SELECT pg_notify('news of today', $1)", [TEXT]);
  const [{ channel, payload }] = await heard;
  say("listen", { channel, payload });

  const cursor = client.query(new Cursor("SELECT id FROM items ORDER BY id"));
  const parts = [(await cursor.read(7)).length, (await cursor.read(100)).length];
  await cursor.close();
  say("cursor", [parts, (await client.query("SELECT 1 AS still")).rows]);

  const {
    rows: [{ pid }],
  } = await client.query("SELECT pg_backend_pid() AS pid");
  const sleeping = failure(client.query("SELECT pg_sleep(60)"));
  await untilAsleep(async (sql) => (await other.query(sql)).rows[0].n, pid);
  const killer = new pg.Connection({ ssl: connection.ssl });
  killer.on("connect", () => killer.requestSsl());
  killer.on("sslconnect", () => killer.cancel(client.processID, client.secretKey));
  killer.connect(connection.port, connection.host);
  await once(killer, "end");
  say("cancel", [await sleeping, (await client.query("SELECT 1 AS still")).rows]);
  await other.end();
}

await tell({
  version: await versionOf("pg"),
  session,
  refusal: {
    fails: () => client.query("DELETE FROM items"),
    count: async () => (await client.query("SELECT count(*) FROM items")).rows[0].count,
  },
});
await client.end();
