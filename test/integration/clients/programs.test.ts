import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Login } from "../../support/raw-client.ts";
import { eventually, startWorld, valueOf, type World } from "../protocol/world.ts";
import { note } from "../../support/facts.ts";

const binDir = findPrograms();
if (binDir === undefined) {
  process.stdout.write(
    "left out: psql, pg_dump, pg_restore, pgbench (no PostgreSQL is installed)\n",
  );
}

/** A PostgreSQL of the system with all of its programs: clients of one release and their own server. */
function findPrograms(): string | undefined {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return undefined;
  return readdirSync(root)
    .map((major) => path.join(root, major, "bin"))
    .filter((dir) =>
      ["postgres", "psql", "pg_dump", "pgbench"].every((name) => existsSync(path.join(dir, name))),
    )
    .at(-1);
}

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

describe.skipIf(binDir === undefined)("PostgreSQL's own programs", () => {
  let world: World;
  let dir: string;

  beforeAll(async () => {
    const before = process.env["TWOKEY_TEST_BINDIR"];
    process.env["TWOKEY_TEST_BINDIR"] ??= binDir;
    world = await startWorld({
      databases: { shop: "production", dev: "development", postgres: "production" },
      rules: [
        {
          name: "nothing-is-lost",
          environments: ["production"],
          destructive: true,
          action: "block",
        },
        { name: "everything-else", action: "allow" },
      ],
    });
    if (before === undefined) delete process.env["TWOKEY_TEST_BINDIR"];
    dir = mkdtempSync(path.join(tmpdir(), "twokey-programs-"));
    await world.witness.query("CREATE DATABASE dev");
    await world.witness.query(`
      CREATE TABLE items (id int PRIMARY KEY, name text, price numeric, at timestamptz, raw bytea, tags text[]);
      INSERT INTO items SELECT g, 'item ' || g, g / 7.0, 'epoch', decode('00ff', 'hex'), ARRAY['a', NULL] FROM generate_series(1, 200) g;
      CREATE VIEW cheap AS SELECT * FROM items WHERE price < 3;
      CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
      CREATE SEQUENCE numbers;
      COMMENT ON TABLE items IS 'with ''quotes''';
      SELECT lo_from_bytea(0, 'large object')`);
  });

  afterAll(async () => {
    await world.stop();
    rmSync(dir, { recursive: true });
  });

  const environment = (login: Login): NodeJS.ProcessEnv => ({
    PATH: process.env["PATH"],
    PGHOST: login.host,
    PGPORT: String(login.port),
    PGUSER: login.user,
    PGPASSWORD: login.password,
    PGDATABASE: login.database,
    PGSSLMODE: "disable",
    LC_ALL: "C.UTF-8",
    HOME: dir,
  });

  const run = (login: Login, program: string, args: readonly string[], input = ""): Promise<Ran> =>
    new Promise((resolve) => {
      const child = execFile(
        path.join(binDir ?? "", program),
        args,
        { env: environment(login), maxBuffer: 1e8, timeout: 60_000 },
        (error, out, err) => {
          const status = error === null ? 0 : Number(error.code ?? -1);
          resolve({ status, out, err });
        },
      );
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(input);
    });

  const psql = (login: Login, script: string): Promise<Ran> =>
    run(login, "psql", ["-X", "-v", "VERBOSITY=verbose", "-f", "-"], script);

  /** Runs it directly and through Twokey: the same, but for what names the two ways. */
  async function same(what: (login: Login) => Promise<Ran>): Promise<Ran> {
    const direct = await what(world.loginDirect);
    const through = await what(world.loginThrough);
    // A text that does not parse gets no further than Twokey, so no place in the server's source belongs to its error.
    const comparable = ({ status, out, err }: Ran): Ran => ({
      status,
      out,
      err: err.replace(/^LOCATION: {2}scanner_yyerror.*\n/gm, ""),
    });
    expect(comparable(through)).toEqual(comparable(direct));
    return through;
  }

  describe("psql", () => {
    it.each([
      [
        "reads",
        String.raw`SELECT * FROM items ORDER BY id LIMIT 3; SELECT 1 \; SELECT 2; \echo :ROW_COUNT`,
      ],
      [
        "describes",
        "\\d\n\\d items\n\\d+ cheap\n\\df twice\n\\dt\n\\ds\n\\dn+\n\\dT\n\\du\n\\dconfig work_mem\n",
      ],
      [
        "writes",
        "CREATE TEMP TABLE t (a int);\nINSERT INTO t VALUES (1), (2) RETURNING *;\nUPDATE t SET a = 9 WHERE a = 1;\nTABLE t;\n",
      ],
      [
        "prepared statements",
        "PREPARE p(int) AS SELECT $1 + 1;\nEXECUTE p(1);\nSELECT $1 || $2 \\bind a b \\g\nDEALLOCATE p;\n",
      ],
      [
        "COPY both ways",
        "CREATE TEMP TABLE t (a int, b text);\nCOPY t FROM STDIN;\n1\tone\n2\t\\N\n\\.\nCOPY t TO STDOUT;\n\\copy t to pstdout csv header\n\\copy t from pstdin csv\n3,three\n\\.\nTABLE t;\n",
      ],
      [
        "errors inside transactions",
        "BEGIN;\nSELECT 1/0;\nSELECT 1;\nCOMMIT;\n\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1;\nSELECT no_such;\nSELECT 2;\nCOMMIT;\nSELEC;\n",
      ],
      [
        "cursors",
        "BEGIN;\nDECLARE c SCROLL CURSOR FOR SELECT id FROM items ORDER BY id;\nFETCH 3 FROM c;\nMOVE LAST FROM c;\nFETCH PRIOR FROM c;\nCOMMIT;\n\\set FETCH_COUNT 7\nSELECT id FROM items ORDER BY id LIMIT 20;\n",
      ],
      [
        "notices",
        "DO $$ BEGIN RAISE NOTICE 'loud'; RAISE WARNING 'louder' USING HINT = 'h', DETAIL = 'd'; END $$;\nROLLBACK;\n",
      ],
      [
        "\\watch and \\gexec",
        "SELECT 'SELECT ' || g FROM generate_series(1, 3) g \\gexec\nSELECT 1 AS x \\gset\nSELECT :x;\n\\gdesc\nSELECT 1 AS a, 'x' AS b \\gdesc\n",
      ],
      ["large results", "SELECT g, repeat('x', 500) FROM generate_series(1, 5000) g;\n"],
    ])("%s", async (feature, script) => {
      const { out } = await same((login) => psql(login, script));
      expect(out).not.toBe("");
      note({ kind: "everyday", client: "psql", feature });
    });

    it("LISTEN", async () => {
      const script = "LISTEN news;\nNOTIFY news, 'flash';\nSELECT 1;\n";
      const strip = ({ out, ...rest }: Ran): Ran => ({
        ...rest,
        out: out.replace(/PID \d+/, "PID"),
      });
      await same(async (login) => strip(await psql(login, script)));
      note({ kind: "everyday", client: "psql", feature: "LISTEN" });
    });

    it("^C", async () => {
      for (const login of [world.loginDirect, world.loginThrough]) {
        const child = spawn(
          path.join(binDir ?? "", "psql"),
          ["-X", "-c", "SELECT pg_sleep(30)", "-c", "SELECT 'still here'"],
          {
            env: environment(login),
          },
        );
        let text = "";
        child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
        child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
        await eventually(
          async () =>
            (await valueOf(
              world.witness,
              "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
            )) === 1,
          "psql sleeps",
        );
        child.kill("SIGINT");
        await new Promise((resolve) => child.once("close", resolve));
        expect(text).toContain("canceling statement due to user request");
      }
      note({ kind: "everyday", client: "psql", feature: "cancel" });
    });
  });

  describe("pg_dump and pg_restore", () => {
    const dump = (login: Login, ...args: readonly string[]): Promise<Ran> =>
      run(login, "pg_dump", args);
    // Each dump has a key of its own behind \restrict.
    const comparable = (ran: Ran): Ran => ({
      ...ran,
      out: ran.out.replace(/^\\(un)?restrict .*$/gm, ""),
    });

    it.each([
      [["-b"]],
      [["--schema-only"]],
      [["--inserts", "-t", "items"]],
      [["--serializable-deferrable"]],
    ])("a plain dump %j", async (args) => {
      const { out, status } = await same(async (login) => comparable(await dump(login, ...args)));
      expect(status).toBe(0);
      expect(out).toContain("CREATE TABLE public.items");
      note({ kind: "everyday", client: "pg_dump", feature: "plain" });
    });

    it("parallel, and restored", async () => {
      const archive = path.join(dir, "archive");
      const { status, err } = await run(world.loginThrough, "pg_dump", [
        "-Fd",
        "-j",
        "3",
        "-f",
        archive,
      ]);
      expect({ status, err }).toEqual({ status: 0, err: "" });
      note({ kind: "everyday", client: "pg_dump", feature: "directory, in parallel" });
      const dev = { ...world.loginThrough, database: "dev" };
      const restored = await run(dev, "pg_restore", ["-j", "2", "-d", "dev", archive]);
      expect(restored).toEqual({ status: 0, out: "", err: "" });
      const original = comparable(await dump(world.loginDirect));
      const copy = comparable(await dump({ ...world.loginDirect, database: "dev" }));
      expect(copy).toEqual(original);
      note({ kind: "everyday", client: "pg_restore", feature: "directory, in parallel" });
    });
  });

  describe("pgbench", () => {
    beforeAll(async () => {
      const { status, err } = await run(world.loginDirect, "pgbench", ["-i", "-q", "-s", "1"]);
      expect(status, err).toBe(0);
    });

    it.each(["simple", "extended", "prepared"])("%s", async (mode) => {
      for (const more of [["-S"], ["-N"]]) {
        const { status, out, err } = await run(world.loginThrough, "pgbench", [
          "-n",
          ...more,
          "-M",
          mode,
          "-c",
          "4",
          "-j",
          "2",
          "-t",
          "50",
        ]);
        expect(status, err).toBe(0);
        expect(out).toContain("number of transactions actually processed: 200/200");
      }
      note({ kind: "everyday", client: "pgbench", feature: mode });
    });

    it("pipelines", async () => {
      const script = path.join(dir, "pipeline.sql");
      writeFileSync(
        script,
        "\\startpipeline\nSELECT 1;\nSELECT abalance FROM pgbench_accounts WHERE aid = 1;\nSELECT 2;\n\\endpipeline\n",
      );
      for (const mode of ["extended", "prepared"]) {
        const { status, err } = await run(world.loginThrough, "pgbench", [
          "-n",
          "-f",
          script,
          "-M",
          mode,
          "-c",
          "4",
          "-t",
          "50",
        ]);
        expect(status, err).toBe(0);
      }
      note({ kind: "everyday", client: "pgbench", feature: "pipelines" });
    });
  });

  describe("what people drop production with", () => {
    const TABLES =
      "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    const isRefused = ({ status, err }: Ran): void => {
      expect(status).not.toBe(0);
      expect(err).toContain("twokey: ");
      expect(err).toContain("refused in production");
    };
    const onProduction = (): Login => world.loginThrough;
    const onDevelopment = (): Login => ({ ...world.loginThrough, database: "dev" });
    let before: unknown;

    beforeAll(async () => {
      before = await valueOf(world.witness, TABLES);
    });

    const nothingChanged = async (): Promise<void> => {
      expect(await valueOf(world.witness, TABLES)).toBe(before);
      expect(await valueOf(world.witness, "SELECT count(*)::int FROM items")).toBe(200);
    };

    it("dropdb", async () => {
      isRefused(await run(onProduction(), "dropdb", ["shop"]));
      isRefused(await run(onProduction(), "dropdb", ["--force", "--if-exists", "shop"]));
      await nothingChanged();
      note({ kind: "everyday", client: "dropdb", feature: "refused on production" });
    });

    it("DROP DATABASE in psql", async () => {
      isRefused(await run(onProduction(), "psql", ["-X", "-c", "DROP DATABASE shop"]));
      isRefused(
        await run(onProduction(), "psql", [
          "-X",
          "-d",
          "postgres",
          "-c",
          "DROP DATABASE shop WITH (FORCE)",
        ]),
      );
      isRefused(
        await run(onProduction(), "psql", [
          "-X",
          "-1",
          "-v",
          "ON_ERROR_STOP=1",
          "-c",
          "INSERT INTO items (id) VALUES (0)",
          "-c",
          "DROP TABLE items",
        ]),
      );
      await nothingChanged();
    });

    it("a pg_dump --clean script", async () => {
      const { out } = await run(world.loginDirect, "pg_dump", [
        "--clean",
        "--if-exists",
        "-t",
        "items",
        "-t",
        "cheap",
      ]);
      isRefused(await run(onProduction(), "psql", ["-X", "-v", "ON_ERROR_STOP=1", "-f", "-"], out));
      await nothingChanged();
      const allowed = await run(
        onDevelopment(),
        "psql",
        ["-X", "-v", "ON_ERROR_STOP=1", "-f", "-"],
        out,
      );
      expect(allowed.status, allowed.err).toBe(0);
      note({
        kind: "everyday",
        client: "pg_dump",
        feature: "--clean script refused on production",
      });
    });

    it("pg_restore --clean", async () => {
      const archive = path.join(dir, "items.dump");
      await run(world.loginDirect, "pg_dump", ["-Fc", "-f", archive]);
      isRefused(
        await run(onProduction(), "pg_restore", [
          "--clean",
          "--exit-on-error",
          "-d",
          "shop",
          archive,
        ]),
      );
      await nothingChanged();
      const allowed = await run(onDevelopment(), "pg_restore", [
        "--clean",
        "--if-exists",
        "-d",
        "dev",
        archive,
      ]);
      expect(allowed.status, allowed.err).toBe(0);
      note({ kind: "everyday", client: "pg_restore", feature: "--clean refused on production" });
    });
  });

  it("and the password of the upstream stands in nothing that was said", () => {
    const records = readdirSync(world.twokey.auditDirectory).map((name) =>
      readFileSync(path.join(world.twokey.auditDirectory, name), "latin1"),
    );
    expect(records.join("").includes(world.postgres.password)).toBe(false);
  });
});
