/**
 * Twokey beside a direct connection and the poolers and relays that this machine has, in interleaved rounds of pgbench:
 * `node --import tsx test/bench/compare.ts [--audit off] [--socket] [--no-peers] [what compare.mjs takes]`. A throw-away
 * PostgreSQL, one Twokey with everything on (parsing, policy, audit, metrics), and, where they are on the PATH, PgBouncer in
 * session mode, HAProxy as a TCP relay and pgpool-II. Ratios and CPU time are what to read: see docs/performance.md.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { stringify } from "yaml";
import { formatVerifier, makeVerifier } from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import { unprivilegedAccount } from "../../src/upstream/embedded-binaries.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const HOST = "127.0.0.1";
const USER = "bench";
const PASSWORD = "bench";

interface Endpoint {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess | undefined;
}

const { values: flags, tokens } = parseArgs({
  options: {
    socket: { type: "boolean", default: false },
    "no-peers": { type: "boolean", default: false },
    scale: { type: "string", default: "10" },
    profile: { type: "string" },
  },
  strict: false,
  tokens: true,
});
const ours = new Set(["socket", "no-peers", "scale", "profile"]);
const passedOn = process.argv.slice(2).filter((_, index) => {
  const token = tokens.findLast((each) => each.index <= index);
  return !(token?.kind === "option" && ours.has(token.name));
});

const directory = mkdtempSync(path.join(os.tmpdir(), "twokey-compare-"));
chmodSync(directory, 0o755);
const started: ChildProcess[] = [];
const postgres = await startPostgres({
  settings: { fsync: "on", max_connections: "400", shared_buffers: "256MB" },
});
try {
  await makeDatabase(postgres);
  const endpoints = [
    { name: "direct", port: postgres.port, process: undefined },
    ...(flags["no-peers"] === true ? [] : await startPeers(postgres)),
    await startTwokey(postgres),
  ];
  const run = (args: readonly string[]): number => {
    const script = path.join(import.meta.dirname, "compare.mjs");
    const { status } = spawnSync(process.execPath, [script, ...args], {
      stdio: "inherit",
      env: { ...process.env, PGUSER: USER, PGPASSWORD: PASSWORD, PGDATABASE: "bench" },
    });
    return status ?? 1;
  };
  const [direct] = endpoints.map(
    ({ name, port, process: peer }) =>
      `${name}=${HOST}:${port}${peer?.pid === undefined ? "" : `:${peer.pid}`}`,
  );
  run([
    "--init",
    String(flags.scale),
    "-e",
    direct ?? "",
    "-w",
    "ping/simple/1",
    "-r",
    "1",
    "-s",
    "1",
    "-q",
  ]);
  const all = endpoints.flatMap(({ name, port, process: peer }) => [
    "-e",
    `${name}=${HOST}:${port}${peer?.pid === undefined ? "" : `:${peer.pid}`}`,
  ]);
  const others = endpoints.slice(1, -1).flatMap(({ name }) => ["--also-ratio", name]);
  process.exitCode = run([...all, "--server-pid", "auto", ...others, ...passedOn]);
} finally {
  for (const child of started) child.kill("SIGTERM");
  for (const child of started) if (child.exitCode === null) await once(child, "exit");
  await postgres.stop();
  rmSync(directory, { recursive: true });
}

async function makeDatabase({ host, port, superuser, password }: TestPostgres): Promise<void> {
  const client = new pg.Client({ host, port, user: superuser, password, database: "postgres" });
  await client.connect();
  try {
    await client.query(`CREATE ROLE ${USER} LOGIN PASSWORD '${PASSWORD}'`);
    await client.query(`CREATE DATABASE bench OWNER ${USER}`);
  } finally {
    await client.end();
  }
}

async function startTwokey({ port: postgresPort, socketDir }: TestPostgres): Promise<Endpoint> {
  const port = await freePort();
  const at = (name: string): string => path.join(directory, name);
  const hasSocket = flags.socket === true && socketDir !== undefined;
  writeFileSync(at("upstream.password"), PASSWORD);
  writeFileSync(
    at("twokey.yaml"),
    stringify({
      listen: { host: HOST, port, tls: { mode: "off" } },
      admin: { port: await freePort() },
      upstreams: {
        main: {
          host: hasSocket ? socketDir : HOST,
          port: postgresPort,
          user: USER,
          password: { file: "upstream.password" },
          tls: { mode: "disable" },
        },
      },
      databases: { bench: { upstream: "main", environment: "production" } },
      environments: { production: {} },
      roles: ["application"],
      people: {},
      workloads: {
        [USER]: {
          roles: ["application"],
          verifier: formatVerifier(await makeVerifier(new Secret(PASSWORD))),
        },
      },
      rules: [
        // copyin/N empties a table of its own before each run.
        { name: "own-tables", objects: { only: [{ name: "compare_*" }] }, action: "allow" },
        { name: "nothing-is-lost", destructive: true, action: "block" },
        { name: "everyday-work", action: "allow" },
      ],
      store: { sqlite: "data/twokey.db" },
      audit: { directory: "data/audit" },
      log: { level: "warn" },
    }),
  );
  const main = path.join(import.meta.dirname, "../../dist/main.js");
  const inspect =
    typeof flags.profile === "string" ? ["--cpu-prof", `--cpu-prof-dir=${flags.profile}`] : [];
  return start("twokey", port, process.execPath, [
    ...inspect,
    main,
    "start",
    "--config",
    at("twokey.yaml"),
  ]);
}

async function startPeers(postgres: TestPostgres): Promise<readonly Endpoint[]> {
  const peers: Endpoint[] = [];
  if (isThere("pgbouncer")) peers.push(await startPgbouncer(postgres));
  if (isThere("haproxy")) peers.push(await startHaproxy(postgres));
  return peers;
}

async function startPgbouncer({ port: postgresPort }: TestPostgres): Promise<Endpoint> {
  const port = await freePort();
  const folder = path.join(directory, "pgbouncer");
  mkdirSync(folder);
  writeFileSync(path.join(folder, "users"), `"${USER}" "${PASSWORD}"\n`);
  writeFileSync(
    path.join(folder, "pgbouncer.ini"),
    `[databases]
bench = host=${HOST} port=${postgresPort} dbname=bench
[pgbouncer]
listen_addr = ${HOST}
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${folder}/users
pool_mode = session
default_pool_size = 300
max_client_conn = 1000
server_round_robin = 0
logfile = ${folder}/log
pidfile =
`,
  );
  // It does not run as root.
  const account = await unprivilegedAccount();
  if (account !== undefined) chownSync(folder, account.uid, account.gid);
  const ini = path.join(folder, "pgbouncer.ini");
  return start("pgbouncer", port, "pgbouncer", ["-q", ini], account);
}

async function startHaproxy({ port: postgresPort }: TestPostgres): Promise<Endpoint> {
  const port = await freePort();
  const file = path.join(directory, "haproxy.cfg");
  writeFileSync(
    file,
    `global
  maxconn 2000
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen postgres
  bind ${HOST}:${port}
  server one ${HOST}:${postgresPort}
`,
  );
  return start("haproxy", port, "haproxy", ["-db", "-q", "-f", file]);
}

async function start(
  name: string,
  port: number,
  program: string,
  args: readonly string[],
  account?: { readonly uid: number; readonly gid: number },
): Promise<Endpoint> {
  const child = spawn(program, args, {
    stdio: ["ignore", "ignore", "inherit"],
    ...(account !== undefined && { uid: account.uid, gid: account.gid }),
  });
  started.push(child);
  for (let tries = 0; tries < 200; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${name} left with ${child.exitCode}`);
    if (await isOpen(port)) return { name, port, process: child };
    await sleep(50);
  }
  throw new Error(`${name} does not listen on ${port}`);
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect({ host: HOST, port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function isThere(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}
