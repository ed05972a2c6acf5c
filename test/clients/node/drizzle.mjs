import { eq, gte, lt, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, numeric, pgTable, text } from "drizzle-orm/pg-core";
import pg from "pg";
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

const items = pgTable("items", {
  id: integer().primaryKey(),
  name: text().notNull(),
  price: numeric(),
  tags: text().array(),
});
const notes = pgTable("notes", {
  id: integer().generatedAlwaysAsIdentity(),
  item: integer(),
  body: text(),
});
const pool = new pg.Pool({ ...connection, max: 2 });
const db = drizzle(pool);

async function session() {
  say("connect", (await db.execute(WHO)).rows);
  const written = await db
    .insert(notes)
    .values([
      { item: 1, body: TEXT },
      { item: 2, body: null },
    ])
    .returning();
  const changed = await db.update(items).set({ name: "three" }).where(eq(items.id, 3));
  say("queries", [
    written,
    changed.rowCount,
    await db.select().from(items).where(lt(items.price, "5")).orderBy(items.id),
    (await db.delete(items).where(eq(items.id, 99))).rowCount,
  ]);
  say("types", (await db.execute("SELECT * FROM everything ORDER BY id")).rows);
  say("large", [
    digest((await db.execute(ROWS)).rows),
    (await db.execute(sql`SELECT length(${BIG}) AS n`)).rows,
  ]);
  say("errors", [
    await failure(db.execute("SELEC")),
    await failure(db.execute("SELECT * FROM missing")),
    await failure(db.insert(items).values({ id: 1, name: "x" })),
  ]);
  const inner = await db.transaction(async (t) => {
    await t.insert(items).values({ id: 200, name: "a" });
    const failed = await failure(
      t.transaction((s) => s.insert(items).values({ id: 1, name: "b" })),
    );
    await t.insert(items).values({ id: 201, name: "c" });
    return failed;
  });
  const out = await failure(
    db.transaction(async (t) => {
      await t.delete(items).where(eq(items.id, 200));
      t.rollback();
    }),
  );
  say("transactions", [
    inner,
    out,
    await db.select({ id: items.id }).from(items).where(gte(items.id, 200)).orderBy(items.id),
  ]);
  const byId = db
    .select()
    .from(items)
    .where(eq(items.id, sql.placeholder("id")))
    .prepare("by_id");
  const prepared = [];
  for (let id = 0; id < 10; id += 1) prepared.push(await byId.execute({ id }));
  say("prepared", prepared);
}

await tell({
  version: await versionOf("drizzle-orm"),
  session,
  refusal: { fails: () => db.delete(items), count: () => db.$count(items) },
});
await pool.end();
