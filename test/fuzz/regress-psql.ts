/**
 * PostgreSQL's own regression scripts, run by psql directly and through Twokey (everything allowed), outputs compared.
 *
 *   npm run regress:psql                  all of them
 *   npm run regress:psql -- copy plpgsql  those named
 *
 * Each runs in a fresh database that `test_setup.sql` has filled, directly, directly again, and through Twokey. Where
 * already the two direct runs differ (OIDs, statistics, roles that an earlier run left), the script shows nothing and
 * is counted as `unsteady`.
 */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { startWorld, type World } from "../integration/protocol/world.ts";
import { hasPsql, masked, runPsql } from "../support/psql.ts";
import type { Login } from "../support/raw-client.ts";
import { ALLOW_ALL } from "../support/twokey.ts";
import { fetchPostgresqlSource } from "./postgresql-source.ts";

const DATABASE = "regression";
const SETUP = "test_setup";

interface Report {
  readonly same: string[];
  readonly unsteady: string[];
  readonly different: { readonly script: string; readonly first: string }[];
}

async function main(): Promise<void> {
  if (!hasPsql())
    throw new Error("psql is not installed; on Debian: apt-get install postgresql-client");
  const source = resolve(fetchPostgresqlSource("regress", "*/src/test/regress/*"));
  const folder = join(source, "src/test/regress");
  const named = process.argv.slice(2);
  const scripts = readdirSync(join(folder, "sql"))
    .filter((name) => name.endsWith(".sql"))
    .map((name) => name.slice(0, -".sql".length))
    .filter((name) => name !== SETUP && (named.length === 0 || named.includes(name)))
    .toSorted();
  const unknown = named.filter((name) => !existsSync(join(folder, "sql", `${name}.sql`)));
  if (unknown.length > 0) throw new Error(`no such script: ${unknown.join(", ")}`);
  const world = await startWorld({
    rules: ALLOW_ALL,
    databases: { shop: "production", [DATABASE]: "production" },
  });
  try {
    const report = await compareAll(world, { folder, scripts });
    const { same, unsteady, different } = report;
    process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    process.stdout.write(
      `${same.length} the same, ${different.length} different, ${unsteady.length} unsteady\n`,
    );
    process.exitCode = different.length === 0 ? 0 : 1;
  } finally {
    await world.stop();
  }
}

async function compareAll(
  world: World,
  { folder, scripts }: { readonly folder: string; readonly scripts: readonly string[] },
): Promise<Report> {
  const report: Report = { same: [], unsteady: [], different: [] };
  const environment = {
    PG_ABS_SRCDIR: folder,
    PG_ABS_BUILDDIR: folder,
    PG_LIBDIR: folder,
    PG_DLSUFFIX: ".so",
    PGTZ: "PST8PDT",
    PGDATESTYLE: "Postgres, MDY",
  };
  const run = async (script: string, login: Login): Promise<string> => {
    await world.witness.query(`DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
    await world.witness.query(`CREATE DATABASE ${DATABASE} TEMPLATE template0`);
    const fileOf = (name: string): string => join(folder, "sql", `${name}.sql`);
    const direct = { ...world.loginDirect, database: DATABASE };
    await runPsql({ login: direct, file: fileOf(SETUP), environment });
    const ran = await runPsql({
      login: { ...login, database: DATABASE },
      file: fileOf(script),
      environment,
      args: ["-q"],
    });
    return masked(`${ran.out}\n${ran.err}\nexit status ${ran.status}\n`);
  };
  for (const script of scripts) {
    const direct = await run(script, world.loginDirect);
    const again = await run(script, world.loginDirect);
    const through = await run(script, world.loginThrough);
    if (through === again) report.same.push(script);
    else if (direct !== again) report.unsteady.push(script);
    else report.different.push({ script, first: firstDifference(again, through) });
    process.stderr.write(".");
  }
  process.stderr.write("\n");
  return report;
}

function firstDifference(direct: string, through: string): string {
  const [its, ours] = [direct.split("\n"), through.split("\n")];
  const at = its.findIndex((line, i) => line !== ours[i]);
  return `line ${at + 1}: direct ${JSON.stringify(its[at])}, through ${JSON.stringify(ours[at])}`;
}

await main();
