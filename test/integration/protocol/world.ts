import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { RawClient, type Login } from "../../support/raw-client.ts";
import { startPostgres, type TestPostgres } from "../../support/postgres.ts";
import { startTestTwokey, type TestTwokey, type TestTwokeyOptions } from "../../support/twokey.ts";

/** A real server, a Twokey in front of it, and ways to both. */
export interface World {
  readonly postgres: TestPostgres;
  readonly twokey: TestTwokey;
  /** A superuser's connection to the server itself: what really happened. */
  readonly witness: pg.Client;
  /** A raw frontend through Twokey; closed by `stop`. */
  readonly through: (login?: Partial<Login>) => Promise<RawClient>;
  /** One at the server itself, for comparison. */
  readonly direct: (login?: Partial<Login>) => Promise<RawClient>;
  readonly loginThrough: Login;
  readonly loginDirect: Login;
  /** Closes what `through` and `direct` have opened. */
  readonly hangUp: () => void;
  readonly stop: () => Promise<void>;
}

/** What destroys is refused, whoever asks; the rest may. */
export const REFUSE_DESTRUCTION: readonly Record<string, unknown>[] = [
  { name: "nothing-is-lost", destructive: true, action: "block", hint: "ask somebody" },
  { name: "everything-else", action: "allow" },
];

export interface WorldOptions extends Partial<TestTwokeyOptions> {
  readonly settings?: Readonly<Record<string, string>>;
}

export async function startWorld({
  settings = {},
  rules = REFUSE_DESTRUCTION,
  ...options
}: WorldOptions = {}): Promise<World> {
  const postgres = await startPostgres({ settings });
  const { host, port, superuser: user, password } = postgres;
  const admin = new pg.Client({ host, port, user, password, database: "postgres" });
  await admin.connect();
  await admin.query("CREATE DATABASE shop");
  await admin.end();
  const witness = new pg.Client({ host, port, user, password, database: "shop" });
  await witness.connect();
  const twokey = await startTestTwokey({ postgres, rules, ...options });

  const clients: RawClient[] = [];
  const keep = async (login: Login): Promise<RawClient> => {
    const client = await RawClient.logIn(login);
    clients.push(client);
    return client;
  };
  const hangUp = (): void => {
    for (const client of clients.splice(0)) client.close();
  };
  const { alice } = twokey.people;
  const loginThrough = {
    host: twokey.host,
    port: twokey.port,
    user: alice.name,
    password: alice.password,
    database: "shop",
  };
  const loginDirect = { host, port, user, password, database: "shop" };
  return {
    postgres,
    twokey,
    witness,
    loginThrough,
    loginDirect,
    through: (login = {}) => keep({ ...loginThrough, ...login }),
    direct: (login = {}) => keep({ ...loginDirect, ...login }),
    hangUp,
    stop: async () => {
      hangUp();
      await twokey.stop();
      await witness.end();
      await postgres.stop();
    },
  };
}

export type AuditRecord = Readonly<Record<string, unknown>>;

/** Everything on record so far. */
export function auditOf({ twokey }: World): AuditRecord[] {
  const { auditDirectory } = twokey;
  return readdirSync(auditDirectory)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .flatMap((name) => readFileSync(path.join(auditDirectory, name), "utf8").split("\n"))
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as AuditRecord);
}

/** The only value of the only row. */
export async function valueOf(witness: pg.Client, sql: string): Promise<unknown> {
  const { rows } = await witness.query<Record<string, unknown>>(sql);
  return Object.values(rows[0] ?? {})[0];
}

/** Asks again until it is so: for what another process does in its own time. */
export async function eventually(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never came true: ${what}`);
}
