import { connection } from "./story.mjs";

export default {
  client: "pg",
  connection,
  migrations: { directory: "knex-migrations", loadExtensions: [".mjs"] },
};
