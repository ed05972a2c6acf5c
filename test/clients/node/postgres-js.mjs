import { Buffer } from "node:buffer";
import { once } from "node:events";
import postgres from "postgres";
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

const { application_name, ...login } = connection;
const sql = postgres({
  ...login,
  max: 2,
  connection: { application_name },
  onnotice: () => undefined,
});

async function session() {
  say("connect", await sql.unsafe(WHO));
  const written =
    await sql`INSERT INTO notes (item, body) VALUES (1, ${TEXT}), (2, ${null}) RETURNING *`;
  say("queries", [
    await sql.unsafe("SELECT id, name FROM items ORDER BY id LIMIT 3; SELECT 1 AS one"),
    await sql`SELECT ${41}::int + 1 AS next, ${TEXT} AS t`,
    written,
    written.command,
    written.count,
    written.columns,
  ]);
  say("types", [
    await sql`SELECT * FROM everything ORDER BY id`,
    await sql`SELECT ${sql.json({ a: [1] })} AS j, ${sql.array([1, 2])}::int[] AS i, ${Buffer.from([0, 255])}::bytea AS b, ${new Date(0)}::timestamptz AS t`,
  ]);
  say("large", [
    digest(await sql.unsafe(ROWS)),
    await sql`SELECT length(${BIG}) AS n, md5(${BIG}) AS m`,
  ]);

  const failures = [];
  for (const text of [
    "SELEC",
    "SELECT * FROM missing",
    "SELECT 1/0",
    "INSERT INTO items VALUES (1, 'one')",
    "INSERT INTO items VALUES (1000, NULL)",
  ]) {
    failures.push(
      await failure(sql.unsafe(text)),
      await failure(sql.unsafe(text, [], { prepare: true })),
    );
  }
  say("errors", failures);

  const outcome = await sql.begin(async (t) => {
    await t`INSERT INTO items (id, name) VALUES (200, 'a')`;
    const inner = await failure(
      t.savepoint((s) => s`INSERT INTO items (id, name) VALUES (1, 'b')`),
    );
    await t`INSERT INTO items (id, name) VALUES (201, 'c')`;
    return inner;
  });
  const rolledBack = await failure(
    sql.begin(async (t) => {
      await t`DELETE FROM items WHERE id = 200`;
      throw new Error("no");
    }),
  );
  say("transactions", [
    outcome,
    rolledBack,
    await sql`SELECT id FROM items WHERE id >= 200 ORDER BY id`,
  ]);

  const prepared = [];
  for (let i = 0; i < 10; i += 1) prepared.push(await sql`SELECT name FROM items WHERE id = ${i}`);
  say("prepared", prepared);

  const reserved = await sql.reserve();
  const many = Array.from({ length: 50 }, (_, i) =>
    i % 10 === 7 ? reserved`SELECT 1/${0}::int` : reserved`SELECT ${i}::int AS i`,
  );
  say(
    "pipeline",
    (await Promise.allSettled(many)).map(({ value, reason }) => value?.[0] ?? reason.code),
  );
  reserved.release();

  const into = await sql`COPY items (id, name) FROM STDIN`.writable();
  for (let i = 0; i < 2000; i += 1) into.write(`${1000 + i}\titem ${i}\n`);
  into.end();
  await once(into, "finish");
  const chunks = [];
  for await (const chunk of await sql`COPY (SELECT * FROM items ORDER BY id) TO STDOUT`.readable())
    chunks.push(chunk);
  say("copy", digest(Buffer.concat(chunks).toString("hex")));

  const heard = new Promise((resolve) => {
    sql.listen("news of today", resolve).then(() => sql.notify("news of today", TEXT));
  });
  say("listen", await heard);

  const parts = [];
  for await (const rows of sql`SELECT id FROM items ORDER BY id`.cursor(7)) {
    parts.push(rows.length);
    if (parts.length === 20) break;
  }
  say("cursor", [parts, await sql`SELECT 1 AS still`]);

  const one = await sql.reserve();
  const [{ pid }] = await one`SELECT pg_backend_pid() AS pid`;
  const sleeping = one`SELECT pg_sleep(60)`.execute();
  const cancelled = failure(sleeping);
  await untilAsleep(async (text) => (await sql.unsafe(text))[0].n, pid);
  sleeping.cancel();
  say("cancel", [await cancelled, await one`SELECT 1 AS still`]);
  one.release();
}

await tell({
  version: await versionOf("postgres"),
  session,
  refusal: {
    fails: () => sql`DELETE FROM items`,
    count: async () => (await sql`SELECT count(*)::int AS n FROM items`)[0].n,
  },
});
await sql.end();
