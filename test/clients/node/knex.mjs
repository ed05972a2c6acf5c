import knexOf from "knex";
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

const knex = knexOf({ client: "pg", connection, pool: { min: 0, max: 2 } });

async function session() {
  say("connect", (await knex.raw(WHO)).rows);
  const written = await knex("notes")
    .insert([
      { item: 1, body: TEXT },
      { item: 2, body: null },
    ])
    .returning("*");
  const changed = await knex("items").where({ id: 3 }).update({ name: "three" });
  say("queries", [
    written,
    changed,
    await knex("items").where("price", "<", 5).orderBy("id"),
    await knex("items").join("notes", "items.id", "notes.item").count(),
    await knex("items").where("id", 99).del(),
  ]);
  say("types", await knex("everything").orderBy("id"));
  say("large", [
    digest((await knex.raw(ROWS)).rows),
    (await knex.raw("SELECT length(?) AS n", [BIG])).rows,
  ]);
  say("errors", [
    await failure(knex.raw("SELEC")),
    await failure(knex("missing")),
    await failure(knex("items").insert({ id: 1, name: "x" })),
    await failure(knex("items").insert({ id: 1000 })),
  ]);
  const inside = await knex.transaction(async (t) => {
    await t("items").insert({ id: 200, name: "a" });
    const inner = await failure(t.transaction((s) => s("items").insert({ id: 1, name: "b" })));
    await t("items").insert({ id: 201, name: "c" });
    return inner;
  });
  const out = await failure(
    knex.transaction(async (t) => {
      await t("items").where({ id: 200 }).del();
      throw new Error("no");
    }),
  );
  say("transactions", [
    inside,
    out,
    await knex("items").where("id", ">=", 200).orderBy("id").select("id"),
  ]);
  let streamed = 0;
  for await (const row of knex("items").orderBy("id").stream()) streamed += row.id;
  say("cursor", streamed);
  const sleepy = await failure(knex.raw("SELECT pg_sleep(60)").timeout(300, { cancel: true }));
  say("cancel", [sleepy.message, (await knex.raw("SELECT 1 AS still")).rows]);
}

await tell({
  version: await versionOf("knex"),
  session,
  refusal: {
    fails: () => knex("items").del(),
    count: async () => (await knex("items").count())[0].count,
  },
});
await knex.destroy();
