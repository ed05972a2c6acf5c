import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterEach, describe, expect, it } from "vitest";
import { Secret } from "../../src/base/secret.ts";
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from "../../src/upstream/embedded-postgres.ts";

const run = promisify(execFile);
const PASSWORD = "p w'\"ä";
const running: EmbeddedPostgres[] = [];

async function start(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    superuser: "boss",
    password: new Secret(PASSWORD),
    ...options,
  });
  running.push(server);
  return server;
}

async function query(server: EmbeddedPostgres, sql: string, password = PASSWORD): Promise<unknown> {
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: "boss",
    database: "postgres",
    password,
  });
  await client.connect();
  try {
    const { rows } = await client.query<{ value: unknown }>(sql);
    return rows[0]?.value;
  } finally {
    await client.end();
  }
}

afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

describe("an embedded PostgreSQL", () => {
  it("is a real server with our superuser, asks for the password, and leaves nothing behind", async () => {
    const server = await start({ settings: { work_mem: "7MB" } });
    expect(await query(server, "SELECT version() AS value")).toContain(
      `PostgreSQL ${server.version}`,
    );
    expect(await query(server, "SELECT current_setting('work_mem') AS value")).toBe("7MB");
    await expect(query(server, "SELECT 1", "wrong")).rejects.toThrow(
      "password authentication failed",
    );
    await server.stop();
    expect(existsSync(dirname(server.dataDir))).toBe(false);
  });

  it("keeps a data folder it was given, and starts on it again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "twokey-test-"));
    const dataDir = join(folder, "data");
    await run("chmod", ["755", folder]);
    try {
      const first = await start({ dataDir });
      await query(first, "CREATE TABLE kept AS SELECT 42 AS value");
      await first.stop();
      const second = await start({ dataDir });
      expect(await query(second, "SELECT value FROM kept")).toBe(42);
      await second.stop();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("names a port that is taken", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => holder.once("listening", resolve));
    const { port } = holder.address() as AddressInfo;
    await expect(start({ port })).rejects.toThrow(`port ${port} is already in use`);
    holder.close();
  });

  it("shows the server's own words when a setting is wrong", async () => {
    await expect(start({ settings: { work_mem: "lots" } })).rejects.toMatchObject({
      detail: expect.stringContaining('invalid value for parameter "work_mem"') as string,
    });
  });

  it("stops waiting when it is cancelled", async () => {
    await expect(start({ signal: AbortSignal.abort() })).rejects.toThrow("embedded PostgreSQL");
  });

  it("ends, and removes its folder, when the process that started it is killed", async () => {
    const module = new URL("../../src/upstream/embedded-postgres.ts", import.meta.url).href;
    const secret = new URL("../../src/base/secret.ts", import.meta.url).href;
    const script = `
      const { startEmbeddedPostgres } = await import(${JSON.stringify(module)});
      const { Secret } = await import(${JSON.stringify(secret)});
      const { dataDir } = await startEmbeddedPostgres({ superuser: "boss", password: new Secret("x") });
      console.log(dataDir);`;
    const owner = spawn(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "-e", script],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const line = await new Promise<string>((resolve) => {
      owner.stdout.setEncoding("utf8").once("data", resolve);
    });
    const dataDir = line.trim();
    const pid = Number((await readFile(join(dataDir, "postmaster.pid"), "utf8")).split("\n")[0]);
    expect(isAlive(pid)).toBe(true);
    owner.kill("SIGKILL");
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
    await expect.poll(() => existsSync(dirname(dataDir)), { timeout: 10_000 }).toBe(false);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
