import { defineConfig } from "drizzle-kit";
import { readFileSync } from "node:fs";
import process from "node:process";

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLROOTCERT } = process.env;

export default defineConfig({
  dialect: "postgresql",
  schema: "./drizzle-kit/schema.mjs",
  dbCredentials: {
    host: PGHOST,
    port: Number(PGPORT),
    user: PGUSER,
    password: PGPASSWORD,
    database: PGDATABASE,
    ssl: { ca: readFileSync(PGSSLROOTCERT, "utf8") },
  },
});
