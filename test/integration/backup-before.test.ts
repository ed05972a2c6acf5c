import { createPrivateKey } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { siteOf, verifyAt } from "../../src/backup/site.ts";
import { loadConfig } from "../../src/config/load.ts";
import { ApiPerson } from "../support/api-person.ts";
import { HAS_SERVER, openBackupStage, type BackupStage } from "../support/backup-stage.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";

if (!HAS_SERVER) {
  process.stderr.write("backup tests are skipped: no PostgreSQL 15 server of Debian's here\n");
}

const DESTRUCTIVE = { environments: ["production"], destructive: true };

describe.skipIf(!HAS_SERVER)("a rule that asks for a backup", () => {
  let stage: BackupStage;
  let twokey: TestTwokey;
  beforeAll(async () => {
    stage = await openBackupStage();
    const { host, port } = stage.postgres;
    await stage.client("postgres", async (client) => {
      for (const name of ["shop", "fresh", "unsaved"])
        await client.query(`CREATE DATABASE ${name}`);
    });
    await stage.client("shop", (client) =>
      client.query("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id"),
    );
    const backup = { store: "folder", contents: "all" };
    twokey = await startTestTwokey({
      postgres: {
        host,
        port,
        superuser: "postgres",
        password: stage.password,
        socketDir: undefined,
        stop: () => Promise.resolve(),
      },
      databases: {
        shop: "production",
        postgres: "production",
        fresh: "staging",
        unsaved: "production",
      },
      rules: [
        {
          name: "staging-wants-a-tested-one",
          environments: ["staging"],
          destructive: true,
          action: "allow",
          backup: { max_age: "1h", verified: true },
        },
        {
          name: "tables-are-saved-first",
          ...DESTRUCTIVE,
          effects: { only: ["destructive_ddl"] },
          objects: { only: [{ kind: "table" }] },
          action: "allow",
          backup: { before: "tables" },
        },
        {
          name: "all-else-is-signed-and-saved",
          ...DESTRUCTIVE,
          action: "require_approval",
          approval: { approvers: ["lead"] },
          backup: "before",
        },
        { name: "everyday-work", action: "allow" },
      ],
      config: {
        environments: { production: {}, development: {}, staging: {} },
        backups: {
          stores: { folder: { kind: "folder", path: stage.storeDirectory } },
          encryption: { recipients: [stage.recipient], identity: { file: stage.identityFile } },
          databases: { shop: backup, postgres: backup, fresh: backup },
          scratch: { programs: "/usr/lib/postgresql/15/bin" },
        },
      },
    });
  }, 120_000);
  afterAll(async () => {
    await twokey.stop();
    await stage.stop();
  });

  let client: pg.Client;
  const notices: string[] = [];
  beforeEach(() => {
    notices.length = 0;
  });
  const as = async <T>(database: string, use: (client: pg.Client) => Promise<T>): Promise<T> => {
    client = new pg.Client(twokey.url(twokey.people.alice, database));
    client.on("notice", ({ message = "" }) => notices.push(message));
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  };
  const stored = (database: string): string[] => {
    try {
      return readdirSync(path.join(stage.storeDirectory, database));
    } catch {
      return [];
    }
  };

  it("takes one of the table that is dropped, tells that it does, and then runs the statement", async () => {
    await as("shop", (one) => one.query("DROP TABLE orders"));
    expect(notices[0]).toContain('waits for a backup of "shop"');
    const [id = ""] = stored("shop");
    expect(notices.at(-1)).toContain(id);
    const log = auditOf(twokey).find((record) => record["sql"] === "DROP TABLE orders");
    expect(log).toMatchObject({ action: "allow", backups: [id] });
    const manifest = JSON.parse(
      readFileSync(path.join(stage.storeDirectory, "shop", id, "manifest.json"), "utf8"),
    ) as { scope: unknown; rows: number };
    expect(manifest).toMatchObject({ scope: ["public.orders"], rows: 1000 });
    const started = auditOf(twokey).find(({ event }) => event === "backup.started");
    expect(started).toMatchObject({ backup: id, person: "alice", reason: "statement" });
  });

  it("refuses where the session can't wait: in a transaction", async () => {
    await as("shop", async (one) => {
      await one.query("CREATE TABLE again (a integer)");
      await one.query("BEGIN");
      const error = await one.query("DROP TABLE again").then(undefined, (e: unknown) => e);
      expect(error).toMatchObject({ code: "42501", hint: containing("outside") });
      await one.query("ROLLBACK");
      expect((await one.query("SELECT FROM again")).rowCount).toBe(0);
    });
  });

  it("does not let a prepared statement by: in one pipeline with its Parse, it can't wait", async () => {
    await as("shop", async (one) => {
      await one.query("CREATE TABLE prepared (a integer)");
      const drop = { name: "drop", text: "DROP TABLE prepared" };
      const error = await one.query(drop).then(undefined, (e: unknown) => e);
      expect(error).toMatchObject({ code: "42501", hint: containing("simple query") });
      expect((await one.query("SELECT FROM prepared")).rowCount).toBe(0);
    });
  });

  it("runs nothing when the backup fails, and says why", async () => {
    await as("shop", async (one) => {
      await one.query("CREATE TABLE kept (a integer)");
      // The dump can't lock what somebody else holds.
      await stage.client("shop", async (other) => {
        await other.query("BEGIN");
        await other.query("SELECT pg_advisory_lock(hashtextextended('twokey backup of shop', 0))");
        const error = await one.query("DROP TABLE kept").then(undefined, (e: unknown) => e);
        expect(error).toMatchObject({
          code: "42501",
          detail: containing("under way already"),
        });
      });
      expect((await one.query("SELECT FROM kept")).rowCount).toBe(0);
    });
  });

  it("refuses without a backup, without a verified one, and lets pass with one", async () => {
    await as("fresh", async (one) => {
      await one.query("CREATE TABLE things (a integer)");
      const refused = (): Promise<unknown> =>
        one.query("DROP TABLE things").then(undefined, (e: unknown) => e);
      expect(await refused()).toMatchObject({
        code: "42501",
        detail: containing('There is no verified backup of "fresh"'),
        hint: containing("twokey backup run fresh --verify"),
      });
      const key = path.join(twokey.directory, "data", "audit-key.pem");
      const signingKey = createPrivateKey(readFileSync(key));
      const manifest = await stage.take("fresh", { parts: { signingKey } });
      expect(await refused()).toMatchObject({ code: "42501" });
      // One that somebody else signed, whatever it says, counts for nothing.
      await stage.take("fresh");
      await expect(stage.verify("fresh", manifest.backup)).rejects.toThrow("not among the good");
      const { signal } = new AbortController();
      await verifyAt(siteOf(loadConfig(twokey.configFile), "fresh"), manifest.backup, { signal });
      await one.query("DROP TABLE things");
      const log = auditOf(twokey).filter((record) => record["sql"] === "DROP TABLE things");
      expect(log.at(-1)).toMatchObject({ action: "allow", backups: [manifest.backup] });
    });
  });

  it("does not use a signature up when the backup is refused, nor run DROP DATABASE of what is not backed up", async () => {
    await as("postgres", async (one) => {
      const refused = (sql: string): Promise<unknown> =>
        one.query(sql).then(undefined, (e: unknown) => e);
      const before = stored("unsaved").length;
      const asked = await refused("DROP DATABASE unsaved");
      expect(asked).toMatchObject({ detail: containing("Request R-") });
      await approve(twokey, /R-[0-9A-Z]+/.exec(JSON.stringify(asked))?.[0] ?? "");
      for (let n = 0; n < 2; n += 1) {
        expect(await refused("DROP DATABASE unsaved")).toMatchObject({
          code: "42501",
          detail: containing('"unsaved" is not backed up'),
        });
      }
      expect(stored("unsaved")).toHaveLength(before);
      expect((await one.query("SELECT FROM pg_database WHERE datname = 'unsaved'")).rowCount).toBe(
        1,
      );
    });
  });

  it("saves the database that a signed DROP DATABASE drops, not the one that it was typed in", async () => {
    await as("postgres", async (one) => {
      const asked = await one.query("DROP DATABASE fresh").then(undefined, (e: unknown) => e);
      await approve(twokey, /R-[0-9A-Z]+/.exec(JSON.stringify(asked))?.[0] ?? "");
      const before = { fresh: stored("fresh").length, postgres: stored("postgres").length };
      await one.query("DROP DATABASE fresh");
      expect(stored("fresh")).toHaveLength(before.fresh + 1);
      expect(stored("postgres")).toHaveLength(before.postgres);
    });
  });
});

function containing(text: string): string {
  return expect.stringContaining(text) as string;
}

type Logged = Record<string, unknown>;

function auditOf({ auditDirectory }: TestTwokey): Logged[] {
  return readdirSync(auditDirectory)
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(path.join(auditDirectory, name), "utf8").trim().split("\n"))
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Logged);
}

async function approve(twokey: TestTwokey, request: string): Promise<void> {
  await new ApiPerson(twokey, twokey.people.bob).approve(request);
}
