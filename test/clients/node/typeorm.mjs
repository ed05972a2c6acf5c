import "reflect-metadata";
import { DataSource, EntitySchema, LessThan, MoreThanOrEqual } from "typeorm";
import {
  BIG,
  ca,
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

const { host, port, user, password, database, application_name } = connection;
const Item = new EntitySchema({
  name: "Item",
  tableName: "items",
  columns: {
    id: { type: "int", primary: true },
    name: { type: "text" },
    price: { type: "numeric", nullable: true },
    tags: { type: "text", array: true, nullable: true },
  },
});
const Note = new EntitySchema({
  name: "Note",
  tableName: "notes",
  columns: {
    id: { type: "int", primary: true, generated: "identity" },
    body: { type: "text", nullable: true },
  },
  relations: { item: { type: "many-to-one", target: "Item", joinColumn: { name: "item" } } },
});
const source = new DataSource({
  type: "postgres",
  host,
  port,
  username: user,
  password,
  database,
  applicationName: application_name,
  ssl: { ca },
  entities: [Item, Note],
  poolSize: 2,
});
await source.initialize();
const items = source.getRepository("Item");
const notes = source.getRepository("Note");

async function session() {
  say("connect", await source.query(WHO));
  say("queries", [
    await notes.save({ item: { id: 1 }, body: TEXT }),
    await items.update({ id: 3 }, { name: "three" }),
    await items.find({ where: { price: LessThan(5) }, order: { id: "ASC" } }),
    await notes.find({ relations: { item: true } }),
    await items.delete({ id: 99 }),
    await source.query("SELECT $1::int + 1 AS next", [41]),
  ]);
  say("types", await source.query("SELECT * FROM everything ORDER BY id"));
  say("large", [
    digest(await source.query(ROWS)),
    await source.query("SELECT length($1) AS n", [BIG]),
  ]);
  say("errors", [
    await failure(source.query("SELEC")),
    await failure(source.query("SELECT * FROM missing")),
    await failure(items.insert({ id: 1, name: "x" })),
  ]);
  const inner = await source.transaction(async (t) => {
    await t.insert("Item", { id: 200, name: "a" });
    const failed = await failure(t.transaction((s) => s.insert("Item", { id: 1, name: "b" })));
    await t.insert("Item", { id: 201, name: "c" });
    return failed;
  });
  const out = await failure(
    source.transaction("SERIALIZABLE", async (t) => {
      await t.delete("Item", { id: 200 });
      throw new Error("no");
    }),
  );
  say("transactions", [
    inner,
    out,
    await items.find({
      select: { id: true },
      where: { id: MoreThanOrEqual(200) },
      order: { id: "ASC" },
    }),
  ]);
}

await tell({
  version: await versionOf("typeorm"),
  session,
  refusal: {
    fails: () => items.createQueryBuilder().delete().execute(),
    count: () => items.count(),
  },
});
await source.destroy();
