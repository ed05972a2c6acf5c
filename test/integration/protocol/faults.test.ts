import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../../support/postgres.ts";
import { query, RawClient, trace } from "../../support/raw-client.ts";
import { ALLOW_ALL } from "../../support/twokey.ts";
import { startTwokeyProcess, type TwokeyProcess } from "../../support/twokey-process.ts";
import { eventually, valueOf } from "./world.ts";

// Faults that need a proxy in a process of its own: killed, stopped at full work, out of descriptors.

let postgres: TestPostgres;
let witness: pg.Client;

beforeAll(async () => {
  postgres = await startPostgres({ settings: { max_connections: "150" } });
  const { host, port, superuser: user, password } = postgres;
  const admin = new pg.Client({ host, port, user, password, database: "postgres" });
  await admin.connect();
  await admin.query("CREATE DATABASE shop");
  await admin.end();
  witness = new pg.Client({ host, port, user, password, database: "shop" });
  await witness.connect();
  await witness.query("CREATE TABLE work (a int)");
});

afterAll(async () => {
  await witness.end();
  await postgres.stop();
});

const sessionsOnServer = (): Promise<unknown> =>
  valueOf(
    witness,
    "SELECT count(*)::int FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid()",
  );

function recordsOf({ directory }: TwokeyProcess): string {
  const audit = path.join(directory, "audit");
  return readdirSync(audit)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => readFileSync(path.join(audit, name), "utf8"))
    .join("");
}

const start = (): Promise<TwokeyProcess> =>
  startTwokeyProcess({
    postgres,
    rules: ALLOW_ALL,
    config: { audit: { directory: "audit" } },
  });

describe("SIGKILL", () => {
  it("ends the server's sessions and their locks, and loses nothing that was recorded", async () => {
    const twokey = await start();
    const client = await RawClient.logIn(twokey.login);
    await client.ask(query("BEGIN"));
    await client.ask(query("INSERT INTO work VALUES (4711)"));
    await client.ask(query("LOCK TABLE work"));
    twokey.program.signal("SIGKILL");
    await twokey.program.ended();
    expect(trace(await client.untilEnd())).toEqual([]);
    await eventually(async () => (await sessionsOnServer()) === 0, "its session has ended");
    expect(await valueOf(witness, "SELECT count(*)::int FROM work")).toBe(0);
    const recorded = recordsOf(twokey);
    // What changes something is with the operating system before it runs.
    expect(recorded).toContain("INSERT INTO work VALUES (4711)");
    const verify = ["src/main.ts", "audit", "verify", "--config", twokey.configFile];
    const said = execFileSync(process.execPath, ["--import", "tsx", ...verify], {
      encoding: "utf8",
    });
    expect(said).not.toBe("");
    twokey.remove();
  });
});

describe("SIGTERM", () => {
  it("while 100 sessions work: each statement ends, then each is told 57P01", async () => {
    const twokey = await start();
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => RawClient.logIn(twokey.login)),
    );
    for (const client of clients) client.send(query("SELECT pg_sleep(2), 'ended'"));
    await eventually(
      async () =>
        (await valueOf(
          witness,
          "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        )) === 100,
      "all are at work",
    );
    twokey.program.signal("SIGTERM");
    const ends = await Promise.all(clients.map(async (client) => trace(await client.untilEnd())));
    for (const end of ends) expect(end).toEqual(["T", "D", "C SELECT 1", "Z I", "E 57P01"]);
    const { status, stdout } = await twokey.program.ended();
    expect(status).toBe(0);
    expect(stdout).toContain('"stopped"');
    expect(await sessionsOnServer()).toBe(0);
    twokey.remove();
  });
});

describe("no descriptors left", () => {
  it("turns new sessions away, lets others go on, and recovers", async () => {
    const twokey = await start();
    const first = await RawClient.logIn(twokey.login);
    const { pid } = twokey.program;
    const left = readdirSync(`/proc/${pid}/fd`).length + 20;
    execFileSync("prlimit", ["--pid", String(pid), `--nofile=${left}:${left}`]);
    const logIns = await Promise.allSettled(
      Array.from({ length: 60 }, () => RawClient.logIn(twokey.login)),
    );
    const others = logIns.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(others.length).toBeLessThan(60);
    expect(await first.ask(query("SELECT 1"))).toContain("C SELECT 1");
    expect(await first.ask(query("INSERT INTO work VALUES (1)"))).toContain("C INSERT 0 1");
    for (const client of others) client.close();
    await eventually(
      () =>
        RawClient.logIn(twokey.login).then(
          (client) => {
            client.close();
            return true;
          },
          () => false,
        ),
      "there is room again",
    );
    expect(await first.ask(query("SELECT 1"))).toContain("C SELECT 1");
    first.close();
    twokey.program.signal("SIGTERM");
    expect((await twokey.program.ended()).status).toBe(0);
    twokey.remove();
  });
});
