import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
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
  versionOf,
  WHO,
} from "./story.mjs";

const db = new Kysely({
  dialect: new PostgresDialect({ pool: new pg.Pool({ ...connection, max: 2 }), cursor: Cursor }),
});

async function session() {
  say("connect", (await sql.raw(WHO).execute(db)).rows);
  const written = await db
    .insertInto("notes")
    .values([
      { item: 1, body: TEXT },
      { item: 2, body: null },
    ])
    .returningAll()
    .execute();
  const changed = await db
    .updateTable("items")
    .set({ name: "three" })
    .where("id", "=", 3)
    .execute();
  say("queries", [
    written,
    changed,
    await db.selectFrom("items").selectAll().where("price", "<", 5).orderBy("id").execute(),
    await db.deleteFrom("items").where("id", "=", 99).execute(),
  ]);
  say("types", await db.selectFrom("everything").selectAll().orderBy("id").execute());
  say("large", [
    digest((await sql.raw(ROWS).execute(db)).rows),
    (await sql`SELECT length(${BIG}) AS n`.execute(db)).rows,
  ]);
  say("errors", [
    await failure(sql`SELEC`.execute(db)),
    await failure(db.selectFrom("missing").selectAll().execute()),
    await failure(db.insertInto("items").values({ id: 1, name: "x" }).execute()),
  ]);
  const transaction = await db.startTransaction().execute();
  await transaction.insertInto("items").values({ id: 200, name: "a" }).execute();
  const point = await transaction.savepoint("s").execute();
  const inner = await failure(point.insertInto("items").values({ id: 1, name: "b" }).execute());
  await point.rollbackToSavepoint("s").execute();
  await transaction.insertInto("items").values({ id: 201, name: "c" }).execute();
  await transaction.commit().execute();
  const out = await failure(
    db.transaction().execute(async (t) => {
      await t.deleteFrom("items").where("id", "=", 200).execute();
      throw new Error("no");
    }),
  );
  say("transactions", [
    inner,
    out,
    await db.selectFrom("items").select("id").where("id", ">=", 200).orderBy("id").execute(),
  ]);
  let streamed = 0;
  for await (const row of db.selectFrom("items").select("id").stream(7)) streamed += row.id;
  say("cursor", streamed);
}

await tell({
  version: await versionOf("kysely"),
  session,
  refusal: {
    fails: () => db.deleteFrom("items").execute(),
    count: async () =>
      (
        await db
          .selectFrom("items")
          .select((e) => e.fn.countAll().as("n"))
          .execute()
      )[0].n,
  },
});
await db.destroy();
