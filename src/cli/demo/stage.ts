import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { Secret } from "../../base/secret.ts";
import { loadConfig } from "../../config/load.ts";
import { startTwokey } from "../../server/twokey.ts";
import { openLog } from "../../telemetry/log.ts";
import { unprivilegedAccount } from "../../upstream/embedded-binaries.ts";
import { startEmbeddedPostgres } from "../../upstream/embedded-postgres.ts";
import { CommandFailed } from "../command-failed.ts";
import { version } from "../version.ts";
import { configuration } from "./configuration.ts";
import { enroll, keptSecret, signerLine, type Person } from "./people.ts";
import { fillShop } from "./shop.ts";

export interface StageOptions {
  /** Holds the configuration, keys, passwords and audit log; those of an earlier start are used again. */
  readonly directory: string;
  /** Whether the databases are kept there, too; otherwise they go with the stage. */
  readonly keepsDatabases: boolean;
  readonly port: number;
  readonly adminPort: number;
  readonly signal?: AbortSignal | undefined;
}

/** A real PostgreSQL with a Twokey in front of it, all on this machine: what the demo shows and the drill attacks. */
export interface Stage {
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly configFile: string;
  readonly auditDirectory: string;
  readonly postgresVersion: string;
  /** Of PostgreSQL itself, for who wants to go past the proxy. */
  readonly postgresPort: number;
  readonly alice: Person;
  readonly bob: Person;
  /** Names of the databases that had to be made, as on a first start. */
  readonly made: readonly string[];
  /** Past the proxy, as the server's administrator. */
  readonly asAdministrator: <T>(
    database: string,
    use: (client: pg.Client) => Promise<T>,
  ) => Promise<T>;
  readonly stop: () => Promise<void>;
}

const HOST = "127.0.0.1";
const ADMINISTRATOR = "postgres";
const DRAIN_MS = 500;

export async function openStage(options: StageOptions): Promise<Stage> {
  const { directory, keepsDatabases, port, adminPort, signal } = options;
  const at = (...names: string[]): string => join(directory, ...names);
  mkdirSync(at("secrets"), { recursive: true, mode: 0o700 });
  if (keepsDatabases) await openTheWay(directory);
  const [alice, bob] = [await enroll("alice", directory), await enroll("bob", directory)];
  writeFileSync(at("allowed_signers"), signerLine(alice) + signerLine(bob));
  const password = keptSecret(at("secrets", "postgres.password"));
  const upstreamPassword = keptSecret(at("secrets", "twokey.password"));

  const postgres = await startEmbeddedPostgres({
    superuser: ADMINISTRATOR,
    password: new Secret(password),
    dataDir: keepsDatabases ? at("postgres") : undefined,
    signal,
  });
  const asAdministrator: Stage["asAdministrator"] = async (database, use) => {
    const client = new pg.Client({
      host: HOST,
      port: postgres.port,
      user: ADMINISTRATOR,
      password,
      database,
    });
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  };
  try {
    const made = await makeDatabases(asAdministrator, upstreamPassword);
    const configFile = at("twokey.yaml");
    const ports = { upstream: postgres.port, proxy: port, admin: adminPort };
    writeFileSync(configFile, configuration(ports));
    const config = loadConfig(configFile);
    const log = openLog({ level: config.log.level });
    const twokey = await startTwokey({ config, log, version: version() });
    return {
      directory,
      host: HOST,
      port: twokey.port,
      adminUrl: twokey.adminUrl,
      configFile,
      auditDirectory: config.audit.directory,
      postgresVersion: postgres.version,
      postgresPort: postgres.port,
      alice,
      bob,
      made,
      asAdministrator,
      stop: async () => {
        try {
          await twokey.stop({ drainMs: DRAIN_MS });
        } finally {
          await postgres.stop();
        }
      },
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** Started by root, the server runs as somebody else, who has to get through to its data. */
async function openTheWay(directory: string): Promise<void> {
  const account = await unprivilegedAccount();
  if (account === undefined) return;
  chmodSync(directory, 0o711);
  const reached = spawnSync("test", ["-x", directory], { cwd: "/", ...account });
  if (reached.status === 0) return;
  throw new CommandFailed(2, `PostgreSQL, which does not run as root, can't get to ${directory}`, {
    hint: "name a folder that others may pass through to, such as one under /var/tmp",
  });
}

/** A connection string through the proxy. */
export function urlThrough(
  { host, port }: Stage,
  { name, password }: Person,
  database: string,
): string {
  return `postgresql://${name}:${password}@${host}:${port}/${database}`;
}

/** Twokey's own role owns the databases, and is no superuser: what the server forbids stays forbidden. */
async function makeDatabases(
  asAdministrator: Stage["asAdministrator"],
  password: string,
): Promise<readonly string[]> {
  const made = await asAdministrator(ADMINISTRATOR, async (client) => {
    const { rowCount } = await client.query("SELECT FROM pg_roles WHERE rolname = 'twokey'");
    await client.query(
      `${rowCount === 0 ? "CREATE" : "ALTER"} ROLE twokey LOGIN CREATEDB PASSWORD '${password}'`,
    );
    const { rows } = await client.query<{ datname: string }>("SELECT datname FROM pg_database");
    const missing = ["shop", "shop_dev"].filter((name) =>
      rows.every(({ datname }) => datname !== name),
    );
    for (const name of missing) await client.query(`CREATE DATABASE ${name} OWNER twokey`);
    return missing;
  });
  for (const name of made) {
    await asAdministrator(name, async (client) => {
      await client.query("SET ROLE twokey");
      await fillShop(client, name === "shop" ? 1 : 0.05);
    });
  }
  return made;
}
