import { readFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { Secret } from "../../src/base/secret.ts";
import { startEmbeddedPostgres } from "../../src/upstream/embedded-postgres.ts";
import type { Login } from "../support/raw-client.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";

const CERTIFICATES = path.resolve(import.meta.dirname, "../support/certificates");
const CA_FILE = path.join(CERTIFICATES, "ca.crt");
const CERTIFICATE = path.join(CERTIFICATES, "server.crt");
const KEY = path.join(CERTIFICATES, "server.key");
const TEMPLATE = readFileSync(path.join(import.meta.dirname, "template.sql"), "utf8");

/** Everyday work is done alone; what loses data needs a second person. */
const RULES: readonly Record<string, unknown>[] = [
  {
    // Knex sets its one row without a filter, and Liquibase empties its table before first use.
    name: "migration-tools-take-their-locks",
    objects: {
      only: [
        { kind: "table", name: "knex_migrations_lock" },
        { kind: "table", name: "databasechangeloglock" },
      ],
    },
    effects: { only: ["write", "delete"] },
    action: "allow",
  },
  {
    name: "two-people-for-what-is-lost-for-good",
    environments: ["production"],
    destructive: true,
    action: "require_approval",
    approval: { approvers: ["lead"] },
  },
  { name: "everyday-work", action: "allow" },
];

/** A real server with TLS, a Twokey in front of it that labels all its databases, and the same login both ways. */
export interface Place {
  readonly twokey: TestTwokey;
  readonly direct: Login;
  readonly through: Login;
  /** The superuser's connection to the server itself, in database `postgres`. */
  readonly witness: pg.Client;
  /** Makes `shop` anew, as `template.sql` has it, and ends who is still connected to it. */
  readonly renew: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export async function startPlace(environment: "production" | "development"): Promise<Place> {
  const password = "clients";
  const postgres = await startEmbeddedPostgres({
    superuser: "postgres",
    password: new Secret(password),
    tls: {
      certificate: readFileSync(CERTIFICATE, "utf8"),
      key: new Secret(readFileSync(KEY, "utf8")),
    },
    settings: { timezone: "UTC" },
  });
  const server = { host: postgres.host, port: postgres.port };
  const witness = new pg.Client({ ...server, user: "postgres", password, database: "postgres" });
  await witness.connect();
  // Twokey logs in as her, so that both ways show the same current_user; only the passwords differ.
  await witness.query(`CREATE ROLE alice LOGIN CREATEDB PASSWORD '${password}'`);
  await witness.query("CREATE DATABASE shop_template OWNER alice");
  const template = new pg.Client({ ...server, user: "alice", password, database: "shop_template" });
  await template.connect();
  await template.query(TEMPLATE);
  await template.end();

  const twokey = await startTestTwokey({
    postgres: {
      ...server,
      superuser: "alice",
      password,
      socketDir: undefined,
      stop: () => postgres.stop(),
    },
    rules: RULES,
    config: {
      listen: { port: 0, tls: { mode: "require", cert: CERTIFICATE, key: KEY } },
      upstreams: {
        main: {
          ...server,
          user: "alice",
          password: { file: "upstream.password" },
          tls: { mode: "verify-full", ca: CA_FILE },
        },
      },
      databases: {
        shop: { upstream: "main", environment },
        postgres: { upstream: "main", environment },
      },
    },
  });
  const { alice } = twokey.people;
  return {
    twokey,
    direct: { host: "localhost", port: postgres.port, user: "alice", password, database: "shop" },
    through: {
      host: "localhost",
      port: twokey.port,
      user: "alice",
      password: alice.password,
      database: "shop",
    },
    witness,
    renew: async () => {
      await witness.query("DROP DATABASE IF EXISTS shop WITH (FORCE)");
      await witness.query("CREATE DATABASE shop TEMPLATE shop_template OWNER alice");
    },
    stop: async () => {
      await twokey.stop();
      await witness.end();
      await postgres.stop();
    },
  };
}

/** What libpq and those that follow it read; with it a client needs nothing else to log in. */
export function environmentOf({ host, port, user, password, database }: Login): NodeJS.ProcessEnv {
  return {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
    PGSSLMODE: "verify-full",
    PGSSLROOTCERT: CA_FILE,
    PGAPPNAME: "clients",
    DATABASE_URL: `postgresql://${user}:${password}@${host}:${port}/${database}`,
  };
}
