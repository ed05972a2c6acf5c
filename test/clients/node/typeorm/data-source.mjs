import "reflect-metadata";
import { DataSource, EntitySchema } from "typeorm";
import { ca, connection } from "../story.mjs";

const { host, port, user, password, database } = connection;
const Order = new EntitySchema({
  name: "Order",
  tableName: "orders",
  columns: {
    id: { type: "int", primary: true, generated: true },
    customer: { type: "text" },
    total: { type: "numeric", default: 0 },
  },
  indices: [{ columns: ["customer"] }],
});

export default new DataSource({
  type: "postgres",
  host,
  port,
  username: user,
  password,
  database,
  ssl: { ca },
  entities: [Order],
});
