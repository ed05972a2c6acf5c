import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { loadConfig } from "../../src/config/load.ts";
import { rotateOld } from "../../src/server/rotation.ts";
import type { AuditFile } from "../../src/store/audit-file.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";
import { Home } from "../cli/harness.ts";

describe("twokey rotate", () => {
  let postgres: TestPostgres;
  let twokey: TestTwokey;
  const home = new Home();
  const leaked = "correct horse battery staple";

  beforeAll(async () => {
    postgres = await startPostgres({ settings: { log_statement: "all" } });
    await asSuperuser(`CREATE ROLE twokey_main SUPERUSER LOGIN PASSWORD '${leaked}'`);
    twokey = await startTestTwokey({
      postgres: { ...postgres, superuser: "twokey_main", password: leaked },
      databases: { postgres: "production" },
    });
  });

  afterAll(async () => {
    home.remove();
    await twokey.stop();
    await postgres.stop();
  });

  it("makes the leaked password worthless, while open sessions go on and new ones open", async () => {
    const open = await through();
    const { status, stdout } = await run();
    expect(status).toBe(0);
    expect(stdout).toBe(`twokey_main: new password, in ${passwordFile()}\n`);

    await expect(directly(leaked)).rejects.toMatchObject({ code: "28P01" });
    const password = readFileSync(passwordFile(), "utf8").trim();
    expect(password).toMatch(/^[\w-]{43}$/);
    await (await directly(password)).end();
    expect(statSync(passwordFile()).mode & 0o777).toBe(0o600);
    expect(await whoAmI(open)).toBe("twokey_main");
    await open.end();
    const anew = await through();
    expect(await whoAmI(anew)).toBe("twokey_main");
    await anew.end();
    expect(leftovers()).toEqual([]);
  });

  it("keeps it as a SCRAM verifier on the server, with PostgreSQL's own number of rounds", async () => {
    const [row] = await asSuperuser(
      "SELECT rolpassword FROM pg_authid WHERE rolname = 'twokey_main'",
    );
    expect(row).toMatchObject({
      rolpassword: expect.stringMatching(/^SCRAM-SHA-256\$4096:/) as string,
    });
  });

  it("can be cut short anywhere: sessions open, and the next rotation settles it", async () => {
    const old = readFileSync(passwordFile(), "utf8");
    // Before the server heard of it ...
    writeFileSync(`${passwordFile()}.next`, "never-came-to-be\n", { mode: 0o600 });
    await (await through()).end();
    expect((await run()).status).toBe(0);
    expect(readFileSync(passwordFile(), "utf8")).not.toBe(old);
    // ... and after.
    writeFileSync(`${passwordFile()}.next`, "came-to-be\n", { mode: 0o600 });
    await asSuperuser("ALTER ROLE twokey_main PASSWORD 'came-to-be'");
    await (await through()).end();
    expect((await run()).status).toBe(0);
    await expect(directly("came-to-be")).rejects.toMatchObject({ code: "28P01" });
    await (await through()).end();
    expect(leftovers()).toEqual([]);
  });

  it("opens a session at every moment of a rotation", async () => {
    const rotations = new AbortController();
    const knocking = (async () => {
      let opened = 0;
      while (!rotations.signal.aborted) {
        await (await through()).end();
        opened += 1;
      }
      return opened;
    })();
    for (let i = 0; i < 5; i += 1) expect((await run()).status).toBe(0);
    rotations.abort();
    expect(await knocking).toBeGreaterThan(0);
  });

  it("leaves everything as it is when the server refuses", async () => {
    const before = readFileSync(passwordFile(), "utf8");
    await asSuperuser("ALTER ROLE twokey_main NOLOGIN");
    const { status, stderr } = await run();
    expect({ status, stderr }).toMatchObject({ status: 2 });
    expect(readFileSync(passwordFile(), "utf8")).toBe(before);
    await asSuperuser("ALTER ROLE twokey_main LOGIN");
    await (await directly(before.trim())).end();
    expect(leftovers()).toEqual([]);
  });

  it("lets one rotation of a role run at a time", async () => {
    const results = await Promise.all([run(), run(), run()]);
    expect(results.some(({ status }) => status === 0)).toBe(true);
    for (const { status, stderr } of results) {
      if (status !== 0) expect(stderr).toContain("under way");
    }
    await (await through()).end();
    expect(leftovers()).toEqual([]);
  });

  it("refuses where the password is in an environment variable, and says how to do it", async () => {
    const config = join(twokey.directory, "from-env.yaml");
    const text = readFileSync(twokey.configFile, "utf8");
    writeFileSync(config, text.replace("file: upstream.password", "env: UPSTREAM_PASSWORD"));
    const { status, stderr } = await home.run(
      ["rotate", "--config", config, "--upstream", "main"],
      {
        env: { UPSTREAM_PASSWORD: "x" },
      },
    );
    expect(status).toBe(2);
    expect(stderr).toContain("environment variable UPSTREAM_PASSWORD, where it can't be replaced");
    expect(stderr).toContain("{file: PATH}");
  });

  it("hands the new password to the program that is to keep it, too", async () => {
    const kept = join(twokey.directory, "kept");
    const script =
      "const { TWOKEY_UPSTREAM: u, TWOKEY_ROLE: r } = process.env; process.stdin.on('data', (p) => require('node:fs').writeFileSync(process.argv[1], [u, r, p].join(' ')))";
    const config = configured({ hand_to: [process.execPath, "-e", script, kept] });
    expect(await run(config)).toMatchObject({ status: 0 });
    const password = readFileSync(passwordFile(), "utf8").trim();
    expect(readFileSync(kept, "utf8")).toBe(`main twokey_main ${password}`);

    const failing = await run(configured({ hand_to: [process.execPath, "-e", "process.exit(7)"] }));
    expect(failing.status).toBe(2);
    expect(failing.stderr).toContain("did not take it: status 7");
    const current = readFileSync(passwordFile(), "utf8").trim();
    expect(failing.stderr).not.toContain(current);
    await (await directly(current)).end();
  });

  it("comes by itself when the password is old enough, and not before", async () => {
    const config = loadConfig(configured({ every: "1h" }));
    const log = openLog({ level: "silent" });
    const actions: unknown[] = [];
    const audit = { append: (record: unknown) => actions.push(record) } as unknown as AuditFile;
    const before = readFileSync(passwordFile(), "utf8");
    await rotateOld({ config, audit, log, now: () => new Date() });
    expect(readFileSync(passwordFile(), "utf8")).toBe(before);
    const later = new Date(Date.now() + 2 * 60 * 60 * 1000);
    await rotateOld({ config, audit, log, now: () => later });
    const after = readFileSync(passwordFile(), "utf8").trim();
    expect(after).not.toBe(before.trim());
    await expect(directly(before.trim())).rejects.toMatchObject({ code: "28P01" });
    await (await directly(after)).end();
    expect(actions).toEqual([
      {
        event: "admin.action",
        person: "twokey",
        operation: "rotate",
        target: "main twokey_main",
        outcome: "done",
      },
    ]);
  });

  /** The configuration, with `rotate` of its upstream as given. */
  function configured(rotation: object): string {
    const config = join(twokey.directory, "rotating.yaml");
    const text = parse(readFileSync(twokey.configFile, "utf8")) as {
      upstreams: { main: object };
    };
    const upstreams = { main: { ...text.upstreams.main, rotate: rotation } };
    writeFileSync(config, stringify({ ...text, upstreams }));
    return config;
  }

  function run(config = twokey.configFile): ReturnType<Home["run"]> {
    return home.run(["rotate", "--config", config, "--upstream", "main"]);
  }

  function passwordFile(): string {
    return join(twokey.directory, "upstream.password");
  }

  function leftovers(): string[] {
    return readdirSync(twokey.directory).filter((name) => name.endsWith(".next"));
  }

  async function through(): Promise<pg.Client> {
    const client = new pg.Client(twokey.url(twokey.people.alice, "postgres"));
    await client.connect();
    return client;
  }

  async function directly(password: string): Promise<pg.Client> {
    const { host, port } = postgres;
    const client = new pg.Client({
      host,
      port,
      user: "twokey_main",
      password,
      database: "postgres",
    });
    await client.connect();
    return client;
  }

  async function asSuperuser(sql: string): Promise<unknown[]> {
    const { host, port, superuser: user, password } = postgres;
    const client = new pg.Client({ host, port, user, password, database: "postgres" });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }
});

async function whoAmI(client: pg.Client): Promise<unknown> {
  const { rows } = await client.query<{ who: string }>("SELECT current_user AS who");
  return rows[0]?.who;
}
