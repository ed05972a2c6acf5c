const { readFileSync } = require("node:fs");
const { env } = require("node:process");

module.exports = {
  development: {
    dialect: "postgres",
    host: env.PGHOST,
    port: env.PGPORT,
    username: env.PGUSER,
    password: env.PGPASSWORD,
    database: env.PGDATABASE,
    dialectOptions: { ssl: { ca: readFileSync(env.PGSSLROOTCERT, "utf8") } },
  },
};
