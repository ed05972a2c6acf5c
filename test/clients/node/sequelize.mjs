import { DataTypes, QueryTypes, Sequelize } from "sequelize";
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
const sequelize = new Sequelize(database, user, password, {
  host,
  port,
  dialect: "postgres",
  logging: false,
  dialectOptions: { ssl: { ca }, application_name },
  pool: { max: 2 },
});
const Item = sequelize.define(
  "Item",
  {
    id: { type: DataTypes.INTEGER, primaryKey: true },
    name: { type: DataTypes.TEXT, allowNull: false },
    price: DataTypes.DECIMAL,
    tags: DataTypes.ARRAY(DataTypes.TEXT),
  },
  { tableName: "items", timestamps: false },
);
const Note = sequelize.define(
  "Note",
  {
    id: {
      type: DataTypes.INTEGER,
      primaryKey: true,
      autoIncrement: true,
      autoIncrementIdentity: true,
    },
    item: DataTypes.INTEGER,
    body: DataTypes.TEXT,
  },
  { tableName: "notes", timestamps: false },
);
const select = (sql, options) => sequelize.query(sql, { type: QueryTypes.SELECT, ...options });

async function session() {
  say("connect", await select(WHO));
  const note = await Note.create({ item: 1, body: TEXT });
  say("queries", [
    note.toJSON(),
    await Item.update({ name: "three" }, { where: { id: 3 } }),
    await Item.findAll({ where: { id: [1, 2] }, order: ["id"], raw: true }),
    await Item.destroy({ where: { id: 99 } }),
    await Note.bulkCreate([{ item: 1 }, { item: 2 }]),
    await select("SELECT $1::int + 1 AS next, $2::text AS t", { bind: [41, TEXT] }),
    await select("SELECT :t AS t", { replacements: { t: TEXT } }),
    await Item.upsert({ id: 4, name: "four" }),
  ]);
  say("types", await select("SELECT * FROM everything ORDER BY id"));
  say("large", [
    digest(await select(ROWS)),
    await select("SELECT length($1) AS n", { bind: [BIG] }),
  ]);
  say("errors", [
    await failure(select("SELEC")),
    await failure(select("SELECT * FROM missing")),
    await failure(Item.create({ id: 1, name: "x" })),
    await failure(Note.create({ item: 12345 })),
  ]);
  const inner = await sequelize.transaction(async (transaction) => {
    await Item.create({ id: 200, name: "a" }, { transaction });
    const failed = await failure(
      sequelize.transaction({ transaction }, (nested) =>
        Item.create({ id: 1, name: "b" }, { transaction: nested }),
      ),
    );
    await Item.create({ id: 201, name: "c" }, { transaction });
    return failed;
  });
  const out = await failure(
    sequelize.transaction({ isolationLevel: "SERIALIZABLE" }, async (transaction) => {
      await Item.destroy({ where: { id: 200 }, transaction });
      throw new Error("no");
    }),
  );
  say("transactions", [
    inner,
    out,
    await Item.findAll({ attributes: ["id"], raw: true, order: ["id"], offset: 99 }),
  ]);
}

await tell({
  version: await versionOf("sequelize"),
  session,
  refusal: { fails: () => Item.destroy({ where: {} }), count: () => Item.count() },
});
await sequelize.close();
