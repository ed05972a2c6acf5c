import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";
import { URL } from "node:url";

export const url = process.env.DATABASE_URL;
export const ca = readFileSync(process.env.PGSSLROOTCERT, "utf8");
export const connection = {
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT),
  user: process.env.PGUSER,
  password: process.env.PGPASSWORD,
  database: process.env.PGDATABASE,
  application_name: process.env.PGAPPNAME,
  ssl: { ca },
};

export const WHO =
  "SELECT current_user::text AS me, current_database()::text AS here, current_setting('application_name') AS app, " +
  "current_setting('client_encoding') AS encoding, " +
  "(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls";
export const TEXT = "a 'quoted' \\ name 日本 😀";
export const BIG = "x".repeat(5_000_000);
export const ROWS = "SELECT g, repeat(md5(g::text), 300) AS t FROM generate_series(1, 1000) g";

export const digest = (value) =>
  createHash("sha256").update(JSON.stringify(value, stable)).digest("hex");

export function say(feature, result) {
  process.stdout.write(`${JSON.stringify({ feature, result }, stable)}\n`);
}

function stable(_, value) {
  if (typeof value === "bigint") return `${value}n`;
  return value;
}

/** What a driver says of an error, from wherever it keeps the server's fields. */
export async function failure(doing) {
  try {
    await (typeof doing === "function" ? doing() : doing);
    return "did not fail";
  } catch (error) {
    const cause = error.driverError ?? error.parent ?? error.cause ?? error;
    const { code, detail, hint, constraint, constraint_name, position } = cause;
    return { code, message: cause.message, detail, hint, constraint, constraint_name, position };
  }
}

/** Runs the part that was asked for. */
export async function tell({ version, session, refusal }) {
  if (process.argv[2] === "session") {
    say("version", version);
    await session();
    return;
  }
  const { fails, count } = refusal;
  const outcome = await failure(fails);
  say("refusal", {
    sqlstate: outcome.code ?? null,
    message: outcome.message ?? null,
    afterwards: Number(await count()),
  });
}

export async function versionOf(name) {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")).version;
}

/** Waits until the backend sleeps, as `sql` tells that runs on another connection. */
export async function untilAsleep(ask, pid) {
  for (;;) {
    const asleep = await ask(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE pid = ${pid} AND wait_event = 'PgSleep'`,
    );
    if (Number(asleep) === 1) return;
  }
}
