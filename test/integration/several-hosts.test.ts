import { execFile } from "node:child_process";
import { appendFileSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Secret } from "../../src/base/secret.ts";
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from "../../src/upstream/embedded-postgres.ts";
import { query, RawClient, rowsOf, type Login } from "../support/raw-client.ts";
import { ALLOW_ALL, startTestTwokey, type TestTwokey } from "../support/twokey.ts";
import { eventually } from "./protocol/world.ts";

// A primary and a streaming standby: a cold copy of its data that follows it.

const PASSWORD = "several";
const TARGETS = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] as const;

const home = mkdtempSync(path.join(tmpdir(), "twokey-hosts-"));
let primary: EmbeddedPostgres;
let standby: EmbeddedPostgres;
const twokeys = new Map<string, TestTwokey>();

const start = (name: string, port?: number): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({
    superuser: "postgres",
    password: new Secret(PASSWORD),
    dataDir: path.join(home, name),
    port,
    settings: { fsync: "off", hot_standby: "on" },
  });

beforeAll(async () => {
  // Its account has to get through to the data.
  await promisify(execFile)("chmod", ["755", home]);
  const first = await start("primary");
  const admin = new pg.Client({ host: first.host, port: first.port, ...account("postgres") });
  await admin.connect();
  await admin.query("CREATE DATABASE shop");
  await admin.end();
  await first.stop();
  await promisify(execFile)("cp", ["-a", path.join(home, "primary"), path.join(home, "standby")]);
  const at = path.join(home, "standby");
  const { uid, gid } = statSync(at);
  writeFileSync(path.join(at, "standby.signal"), "");
  chownSync(path.join(at, "standby.signal"), uid, gid);
  appendFileSync(
    path.join(at, "postgresql.auto.conf"),
    `primary_conninfo = 'host=127.0.0.1 port=${first.port} user=postgres password=${PASSWORD}'\n`,
  );
  primary = await start("primary", first.port);
  standby = await start("standby");
  for (const target of TARGETS) twokeys.set(target, await behind(target));
}, 180_000);

afterAll(async () => {
  for (const twokey of twokeys.values()) await twokey.stop();
  await standby.stop();
  await primary.stop();
  rmSync(home, { recursive: true, force: true });
});

function account(database: string): { user: string; password: string; database: string } {
  return { user: "postgres", password: PASSWORD, database };
}

function behind(target: string): Promise<TestTwokey> {
  return startTestTwokey({
    postgres: {
      host: primary.host,
      port: primary.port,
      superuser: "postgres",
      password: PASSWORD,
      socketDir: undefined,
      stop: () => Promise.resolve(),
    },
    databases: { shop: "production" },
    rules: ALLOW_ALL,
    config: {
      upstreams: {
        main: {
          hosts: [primary, standby].map(({ host, port }) => `${host}:${port}`),
          target_session_attrs: target,
          user: "postgres",
          password: { file: "upstream.password" },
          tls: { mode: "disable" },
          connect_timeout: "5s",
        },
      },
    },
  });
}

function twokeyFor(target: string): TestTwokey {
  const twokey = twokeys.get(target);
  if (twokey === undefined) throw new Error(`none for ${target}`);
  return twokey;
}

async function logIn(target: string): Promise<RawClient> {
  const { host, port, people } = twokeyFor(target);
  const login: Login = {
    host,
    port,
    user: people.alice.name,
    password: people.alice.password,
    database: "shop",
  };
  return RawClient.logIn(login);
}

/** Where a session lands: whether it is in recovery, or why there is none. */
async function lands(target: string): Promise<string> {
  try {
    const client = await logIn(target);
    client.send(query("SELECT pg_is_in_recovery()"));
    const [row] = rowsOf(await client.untilReady());
    client.close();
    return row?.[0] === "t" ? "standby" : "primary";
  } catch (error) {
    return (error as Error).message;
  }
}

async function isReady(target: string): Promise<boolean> {
  return (await fetch(`${twokeyFor(target).adminUrl}/readyz`)).ok;
}

const landings = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    await Promise.all(TARGETS.map(async (target) => [target, await lands(target)] as const)),
  );

const readiness = async (): Promise<Record<string, boolean>> =>
  Object.fromEntries(
    await Promise.all(TARGETS.map(async (target) => [target, await isReady(target)] as const)),
  );

it("each session goes to a host of the kind that is asked for, and /readyz says whether there is one", async () => {
  expect(await landings()).toEqual({
    any: "primary",
    "read-write": "primary",
    "read-only": "standby",
    primary: "primary",
    standby: "standby",
    "prefer-standby": "standby",
  });
  expect(Object.values(await readiness())).not.toContain(false);
});

it("what the primary takes, the standby shows", async () => {
  const writer = await logIn("read-write");
  await writer.ask(query("CREATE TABLE seen (a int)"));
  await writer.ask(query("INSERT INTO seen VALUES (1)"));
  const reader = await logIn("standby");
  await eventually(
    async () => (await reader.ask(query("TABLE seen"))).includes("C SELECT 1"),
    "it has arrived",
  );
  expect(await reader.ask(query("INSERT INTO seen VALUES (2)"))).toEqual(["E 25006", "Z I"]);
  writer.close();
  reader.close();
});

it("without a standby, only those that need one are without a server", async () => {
  const session = await logIn("standby");
  await standby.stop();
  expect((await session.untilEnd()).at(-1)?.body.toString()).toContain("57P01");
  expect(await landings()).toEqual({
    any: "primary",
    "read-write": "primary",
    "read-only": "E 08001",
    primary: "primary",
    standby: "E 08001",
    "prefer-standby": "primary",
  });
  expect(await readiness()).toMatchObject({ standby: false, "read-only": false, any: true });
  standby = await start("standby", standby.port);
  // It is tried again by itself, behind the others for as long as it rests.
  await eventually(async () => (await lands("standby")) === "standby", "it is found again");
  await eventually(() => isReady("standby"), "ready again");
});

it("without the primary, reading goes on", async () => {
  await primary.stop();
  expect(await landings()).toEqual({
    any: "standby",
    "read-write": "E 08001",
    "read-only": "standby",
    primary: "E 08001",
    standby: "standby",
    "prefer-standby": "standby",
  });
  expect(await readiness()).toMatchObject({ any: true, primary: false, "read-write": false });
});
