import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import pg from "pg";
import { stringify } from "yaml";
import { formatKeyFiles } from "../../src/approvals/ssh-private-key.ts";
import { formatVerifier, makeVerifier } from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import { ApiPerson } from "../support/api-person.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { Replica } from "./replica.ts";

export interface RaceOptions {
  readonly rounds: number;
  /** Over both replicas. */
  readonly sessions: number;
  /** In which rounds the second replica is killed in the middle of it. */
  readonly kills: (round: number) => boolean;
  readonly onRound?: (round: number, successes: number) => void;
}

export interface RaceOutcome {
  readonly rounds: number;
  readonly kills: number;
  /** Rounds by how many sessions were told that theirs ran. */
  readonly successes: Readonly<Record<number, number>>;
  /** Rounds whose statement ran more than once on the server, which is the truth. */
  readonly ranTwice: readonly number[];
  /** Rounds that a session was told of, and the server knows nothing of. */
  readonly ranNever: readonly number[];
  /** Requests that the store has two uses of. */
  readonly usedTwice: readonly string[];
  /** Requests that are used up, and no replica's log has an `approval.used` of. */
  readonly withoutRecord: readonly string[];
  readonly seconds: number;
}

const PASSWORD = "the-same-for-all-sessions";

/**
 * Two Twokey processes before one PostgreSQL, with one store: in each round all sessions send the same statement, for
 * which there is one approval, good for one use. Some rounds kill a replica while they race.
 */
export async function race(options: RaceOptions): Promise<RaceOutcome> {
  const directory = mkdtempSync(path.join(tmpdir(), "twokey-race-"));
  const postgres = await startPostgres();
  const witness = clientOf(postgres, "postgres");
  const startedAt = performance.now();
  const replicas: Replica[] = [];
  try {
    await witness.connect();
    await witness.query("CREATE TABLE ran (round int)");
    for (const name of ["one", "two"]) {
      replicas.push(await Replica.start(await writeConfig(name, directory, postgres)));
    }
    const counts = await runRounds(replicas, options);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    // Uses that a killed replica left are put on record when it starts again.
    const { told, ...counted } = counts;
    return { ...counted, ...(await findings(witness, directory, told)), seconds };
  } finally {
    for (const replica of replicas) await replica.kill();
    await witness.end();
    await postgres.stop();
    rmSync(directory, { recursive: true });
  }
}

async function runRounds(
  [one, two]: readonly Replica[],
  { rounds, sessions, kills, onRound }: RaceOptions,
): Promise<
  Pick<RaceOutcome, "rounds" | "kills" | "successes"> & { readonly told: ReadonlySet<number> }
> {
  if (one === undefined || two === undefined) throw new Error("there must be two replicas");
  const half = Math.ceil(sessions / 2);
  await Promise.all([one.open(half), two.open(sessions - half)]);
  const bob = new ApiPerson({ adminUrl: one.adminUrl }, one.person("bob"));
  const successes: Record<number, number> = {};
  const told = new Set<number>();
  let killed = 0;
  for (let round = 1; round <= rounds; round++) {
    const sql = `INSERT INTO ran VALUES (${round})`;
    await bob.approve(await one.requestFor(sql));
    const isKilled = kills(round);
    const racing = [one.run(sql), two.run(sql)];
    if (isKilled) {
      killed += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      await two.kill();
    }
    const won = (await Promise.all(racing)).reduce((sum, count) => sum + count, 0);
    successes[won] = (successes[won] ?? 0) + 1;
    if (won > 0) told.add(round);
    if (isKilled) {
      await two.restart();
      await two.open(sessions - half);
    }
    onRound?.(round, won);
  }
  await Promise.all([one.close(), two.close()]);
  return { rounds, kills: killed, successes, told };
}

async function findings(
  witness: pg.Client,
  directory: string,
  told: ReadonlySet<number>,
): Promise<Pick<RaceOutcome, "ranTwice" | "ranNever" | "usedTwice" | "withoutRecord">> {
  const ran = await witness.query<{ round: number; times: number }>(
    "SELECT round, count(*)::int AS times FROM ran GROUP BY round",
  );
  const rounds = new Set(ran.rows.map(({ round }) => round));
  const uses = await witness.query<{ id: string; times: number }>(
    "SELECT request_id AS id, count(*)::int AS times FROM twokey.request_uses GROUP BY 1",
  );
  const recorded = recordedUses(directory);
  return {
    ranTwice: ran.rows.filter(({ times }) => times > 1).map(({ round }) => round),
    ranNever: [...told].filter((round) => !rounds.has(round)),
    usedTwice: uses.rows.filter(({ times }) => times > 1).map(({ id }) => id),
    withoutRecord: uses.rows.filter(({ id }) => !recorded.has(id)).map(({ id }) => id),
  };
}

function recordedUses(directory: string): ReadonlySet<string> {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const lines = files
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(path.join(directory, name), "utf8").split("\n"))
    .filter((line) => line.includes('"event":"approval.used"'));
  return new Set(lines.map((line) => /"request":"(R-\w{6})"/.exec(line)?.[1] ?? ""));
}

function clientOf({ host, port, superuser, password }: TestPostgres, database: string): pg.Client {
  return new pg.Client({ host, port, user: superuser, password, database });
}

/** Both replicas have the same people and rules; each has a log of its own. */
async function writeConfig(
  name: string,
  directory: string,
  { host, port, superuser: user, password }: TestPostgres,
): Promise<{
  readonly configFile: string;
  readonly port: number;
  readonly adminPort: number;
  readonly keys: string;
  readonly password: string;
}> {
  const at = (file: string): string => path.join(directory, file);
  const keys = at("keys");
  if (name === "one") {
    mkdirSync(keys);
    writeFileSync(at("upstream.password"), password, { mode: 0o600 });
    writeFileSync(
      at("store.url"),
      `postgresql://${user}:${password}@${host}:${port}/postgres?sslmode=disable`,
      { mode: 0o600 },
    );
    const { privateKeyFile, publicKeyFile } = formatKeyFiles(randomBytes(32), "bob");
    writeFileSync(path.join(keys, "bob"), privateKeyFile, { mode: 0o600 });
    writeFileSync(at("allowed_signers"), `bob ${publicKeyFile.trim()}\n`);
    writeFileSync(at("verifier"), formatVerifier(await makeVerifier(new Secret(PASSWORD))));
  }
  const ports = [await freePort(), await freePort()] as const;
  const verifier = { verifier_file: at("verifier") };
  mkdirSync(at(name));
  writeFileSync(
    path.join(at(name), "twokey.yaml"),
    stringify({
      listen: { port: ports[0], tls: { mode: "off" } },
      admin: { port: ports[1] },
      upstreams: {
        main: {
          host,
          port,
          user,
          password: { file: at("upstream.password") },
          tls: { mode: "disable" },
        },
      },
      databases: { postgres: { upstream: "main", environment: "production" } },
      environments: { production: {} },
      roles: ["senior", "lead"],
      people: { alice: { roles: ["senior"], ...verifier }, bob: { roles: ["lead"], ...verifier } },
      approvals: {
        allowed_signers: at("allowed_signers"),
        max_open_requests: 10_000,
        defaults: { approvers: ["lead"] },
      },
      rules: [
        { name: "sign", effects: { any: ["write"] }, action: "require_approval" },
        { name: "everyday-work", action: "allow" },
      ],
      store: { postgres: { file: at("store.url") } },
      log: { level: "error" },
    }),
  );
  return {
    configFile: path.join(at(name), "twokey.yaml"),
    port: ports[0],
    adminPort: ports[1],
    keys,
    password: PASSWORD,
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
