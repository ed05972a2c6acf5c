import type { ToolchainName } from "./toolchains.ts";

/** A driver or an ORM, and how its script is run in the folder of its language. */
export interface Client {
  readonly name: string;
  readonly toolchain: ToolchainName;
  readonly command: readonly [program: string, ...args: string[]];
}

const node = (name: string, script: string): Client => ({
  name,
  toolchain: "node",
  command: ["node", script],
});
const python = (name: string, script: string): Client => ({
  name,
  toolchain: "python",
  command: ["venv/bin/python", script],
});

export const CLIENTS: readonly Client[] = [
  node("node-postgres", "node-postgres.mjs"),
  node("postgres.js", "postgres-js.mjs"),
  node("Prisma", "prisma.mjs"),
  node("TypeORM", "typeorm.mjs"),
  node("Sequelize", "sequelize.mjs"),
  node("Knex", "knex.mjs"),
  node("Drizzle", "drizzle.mjs"),
  node("Kysely", "kysely.mjs"),
  python("psycopg 3", "psycopg_3.py"),
  python("psycopg2", "psycopg_2.py"),
  python("asyncpg", "async_pg.py"),
  python("SQLAlchemy", "sql_alchemy.py"),
  python("Django", "django_orm.py"),
  {
    name: "pgjdbc (behind HikariCP)",
    toolchain: "java",
    command: ["java", "-cp", "classes:jars/*", "Pgjdbc"],
  },
  { name: "pgx", toolchain: "go", command: ["bin/pgx"] },
  { name: "lib/pq", toolchain: "go", command: ["bin/pq"] },
  { name: "tokio-postgres", toolchain: "rust", command: ["target/debug/clients"] },
  { name: "DBD::Pg", toolchain: "perl", command: ["perl", "dbd_pg.pl"] },
  { name: "ruby-pg", toolchain: "ruby", command: ["ruby", "ruby_pg.rb"] },
  { name: "PDO", toolchain: "php", command: ["php", "pdo.php"] },
];
