import type { ToolchainName } from "./toolchains.ts";

/** Something that people have lost a database by, with the tool that they did it with. */
export interface Accident {
  readonly tool: string;
  /** As somebody would type it, for the table. */
  readonly command: string;
  readonly toolchain: ToolchainName;
  /** Everyday work with the same tool, which has to run on production, too. */
  readonly before: readonly (readonly [program: string, ...args: string[]])[];
  readonly run: readonly [program: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** What it says in place of the server's error, which it keeps to itself; and how it puts that. */
  readonly says?: { readonly text: RegExp; readonly meaning: string };
  /** Ends with status 0, whatever the server has answered. */
  readonly isAlwaysPleased?: boolean;
  /** Why it fails behind what it has destroyed, also without Twokey. */
  readonly failsAfterwards?: string;
}

const ENGINE = {
  PRISMA_QUERY_ENGINE_LIBRARY: "/bin/true",
  PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true",
  PRISMA_HIDE_UPDATE_MESSAGE: "1",
};
// The resets are done by then.
const ADAPTER = "its engine in WASM can't read the catalog's type name, which it asks for next";
const DJANGO = { DJANGO_SETTINGS_MODULE: "shop.settings", PYTHONPATH: "." };
const bin = (name: string): string => `node_modules/.bin/${name}`;
const prisma = (...args: string[]): readonly [string, ...string[]] => [
  bin("prisma"),
  ...args,
  "--config",
  "prisma/with-adapter.mjs",
];
const sequelize = (...args: string[]): readonly [string, ...string[]] => [
  bin("sequelize-cli"),
  ...args,
  "--config",
  "sequelize/config.cjs",
  "--migrations-path",
  "sequelize/migrations",
];
const java = (...args: string[]): readonly [string, ...string[]] => [
  "java",
  "-cp",
  "classes:jars/*",
  ...args,
];

export const ACCIDENTS: readonly Accident[] = [
  {
    tool: "dropdb",
    command: "dropdb shop",
    toolchain: "postgresql",
    before: [["psql", "-X", "-c", "SELECT count(*) FROM items"]],
    run: ["dropdb", "shop"],
  },
  {
    tool: "psql",
    command: "psql postgres -c 'DROP DATABASE shop WITH (FORCE)'",
    toolchain: "postgresql",
    before: [["psql", "-X", "-c", "\\d items"]],
    run: ["psql", "-X", "-d", "postgres", "-c", "DROP DATABASE shop WITH (FORCE)"],
  },
  {
    tool: "Prisma",
    command: "prisma migrate reset --force",
    toolchain: "node",
    before: [],
    run: prisma("migrate", "reset", "--force", "--skip-generate", "--skip-seed"),
    env: ENGINE,
    says: { text: /P3016/, meaning: "it says that it could not clean up the database" },
    failsAfterwards: ADAPTER,
  },
  {
    tool: "Prisma",
    command: "prisma db push --force-reset",
    toolchain: "node",
    before: [],
    run: prisma("db", "push", "--force-reset", "--skip-generate", "--accept-data-loss"),
    env: ENGINE,
    says: { text: /P3016/, meaning: "it says that it could not clean up the database" },
    failsAfterwards: ADAPTER,
  },
  {
    tool: "Sequelize",
    command: "sequelize-cli db:drop",
    toolchain: "node",
    before: [sequelize("db:migrate")],
    run: sequelize("db:drop"),
  },
  {
    tool: "TypeORM",
    command: "typeorm schema:drop",
    toolchain: "node",
    before: [[bin("typeorm"), "schema:sync", "-d", "typeorm/data-source.mjs"]],
    run: [bin("typeorm"), "schema:drop", "-d", "typeorm/data-source.mjs"],
  },
  {
    tool: "Knex",
    command: "knex migrate:rollback --all",
    toolchain: "node",
    before: [[bin("knex"), "migrate:latest", "--knexfile", "knexfile.mjs"]],
    run: [bin("knex"), "migrate:rollback", "--all", "--knexfile", "knexfile.mjs"],
  },
  {
    tool: "Drizzle",
    command: "drizzle-kit push --force",
    toolchain: "node",
    before: [],
    run: [bin("drizzle-kit"), "push", "--force", "--config", "drizzle-kit/config.mjs"],
    isAlwaysPleased: true,
  },
  {
    tool: "Django",
    command: "django-admin flush --no-input --traceback",
    toolchain: "python",
    before: [["venv/bin/django-admin", "migrate"]],
    run: ["venv/bin/django-admin", "flush", "--no-input", "--traceback"],
    env: DJANGO,
  },
  {
    tool: "Alembic",
    command: "alembic downgrade base",
    toolchain: "python",
    before: [["venv/bin/alembic", "upgrade", "head"]],
    run: ["venv/bin/alembic", "downgrade", "base"],
  },
  {
    tool: "Flyway",
    command: "flyway clean",
    toolchain: "java",
    before: [java("FlywayTool", "migrate")],
    run: java("FlywayTool", "clean"),
    says: {
      text: /Unable to drop schema/,
      meaning: "it says that it is unable to drop the schema",
    },
    isAlwaysPleased: true,
  },
  {
    tool: "Liquibase",
    command: "liquibase drop-all",
    toolchain: "java",
    before: [java("LiquibaseTool", "update")],
    run: java("LiquibaseTool", "drop-all"),
  },
  {
    tool: "ActiveRecord",
    command: "rails db:drop",
    toolchain: "rails",
    before: [["ruby", "active_record.rb", "db:migrate"]],
    run: ["ruby", "active_record.rb", "db:drop"],
  },
];
