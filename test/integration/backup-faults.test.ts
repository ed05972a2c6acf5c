import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { generateX25519Identity } from "age-encryption";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FolderStore } from "../../src/backup/folder-store.ts";
import type { Manifest } from "../../src/backup/manifest.ts";
import { checkIntegrity } from "../../src/backup/read-backup.ts";
import { restoreBackup } from "../../src/backup/restore-backup.ts";
import { backupCredential, openLogin } from "../../src/backup/server-login.ts";
import { HAS_SERVER, openBackupStage, type BackupStage } from "../support/backup-stage.ts";

if (!HAS_SERVER) {
  process.stderr.write("backup tests are skipped: no PostgreSQL 15 server of Debian's here\n");
}

const NO_END = new AbortController().signal;
const CORRUPTIONS = Number(process.env["TWOKEY_TEST_CORRUPTIONS"] ?? 1000);

describe.skipIf(!HAS_SERVER)("what goes wrong with a backup", () => {
  let stage: BackupStage;
  let whole: Manifest;
  beforeAll(async () => {
    stage = await openBackupStage();
    await stage.client("postgres", (client) => client.query("CREATE DATABASE shop"));
    execFileSync(
      "psql",
      ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "test/support/every-kind.sql"],
      {
        env: stage.env("shop"),
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    whole = await stage.take("shop");
    await stage.verify("shop", whole.backup);
  });
  afterAll(() => stage.stop());

  /** Nothing but the one that is whole is listed as good. */
  const expectOnlyWhole = async (): Promise<void> => {
    const { good } = await stage.list("shop");
    expect(good.map(({ manifest }) => manifest.backup)).toEqual([whole.backup]);
  };

  it(`is seen: ${CORRUPTIONS} times a bit flipped, or an end cut off, anywhere`, async () => {
    const original = path.join(stage.storeDirectory, "shop", whole.backup);
    const files = readdirSync(original).map((name) => ({
      name,
      bytes: readFileSync(path.join(original, name)),
    }));
    const total = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const root = mkdtempSync(path.join(tmpdir(), "twokey-corrupt-"));
    const copy = path.join(root, "shop", whole.backup);
    cpSync(original, copy, { recursive: true });
    const store = new FolderStore(root);
    const missed: string[] = [];
    for (let n = 0; n < CORRUPTIONS; n += 1) {
      // As often in the small files as in the large: a byte of the manifest counts as much.
      let at = n % 2 === 0 ? randomInt(total) : -1;
      const file =
        at === -1
          ? files[randomInt(files.length)]
          : files.find(({ bytes }) => (at -= bytes.length) < 0);
      if (file === undefined) throw new Error("no file");
      const { name, bytes } = file;
      const place = randomInt(bytes.length);
      const damaged = Buffer.from(bytes);
      damaged[place] = (damaged[place] ?? 0) ^ (1 << randomInt(8));
      const target = path.join(copy, name);
      writeFileSync(target, damaged);
      if (n % 5 === 0) {
        writeFileSync(target, bytes);
        truncateSync(target, place);
      }
      const { good, broken } = await stage.list("shop", store);
      const isSeen =
        broken.length === 1 ||
        (await checkIntegrity(store, whole, NO_END).then(
          () => false,
          () => true,
        ));
      if (!isSeen) missed.push(`${name} at ${place} (${good.length} good)`);
      writeFileSync(target, bytes);
    }
    rmSync(root, { recursive: true });
    expect(missed).toEqual([]);
  });

  it("is no good backup when its dump is missing, or its manifest", async () => {
    for (const name of ["dump", "note", "manifest.json"]) {
      const root = mkdtempSync(path.join(tmpdir(), "twokey-missing-"));
      cpSync(stage.storeDirectory, root, { recursive: true });
      rmSync(path.join(root, "shop", whole.backup, name));
      const { good, broken } = await stage.list("shop", new FolderStore(root));
      expect({ good, broken: broken.length }).toEqual({ good: [], broken: 1 });
      rmSync(root, { recursive: true });
    }
  });

  it("can't be read with another key, by the age program and by our own reading", async () => {
    const other = path.join(stage.directory, "other");
    writeFileSync(other, `${await generateX25519Identity()}\n`, { mode: 0o600 });
    const encryption = {
      recipients: [stage.recipient],
      identity: { from: "file", path: other },
    } as const;
    await expect(stage.verify("shop", whole.backup, { encryption })).rejects.toThrow(/decrypt/);
  });

  it("leaves nothing when the server goes away in the middle of the dump", async () => {
    let isEnding = false;
    const endSessions = (): void => {
      if (isEnding) return;
      isEnding = true;
      void stage.client("postgres", (client) =>
        client.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'twokey backup'",
        ),
      );
    };
    const taking = stage.take("shop", {
      backup: { bytesPerSecond: 20_000, compression: "none" },
      parts: { onProgress: endSessions },
    });
    await expect(taking).rejects.toThrow();
    await expectOnlyWhole();
    expect(readdirSync(path.join(stage.storeDirectory, "shop"))).toEqual([whole.backup]);
  });

  it("leaves nothing when it is stopped", async () => {
    const stopping = new AbortController();
    const taking = stage.take("shop", {
      backup: { bytesPerSecond: 20_000, compression: "none" },
      parts: {
        signal: stopping.signal,
        onProgress: () => {
          stopping.abort(new Error("enough"));
        },
      },
    });
    await expect(taking).rejects.toThrow("enough");
    await expectOnlyWhole();
  });

  it("leaves nothing when the disk is full", async ({ skip }) => {
    const full = path.join(stage.directory, "full");
    mkdirSync(full);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", full], { stdio: "ignore" });
    } catch {
      process.stderr.write("the test of a full disk is skipped: nothing can be mounted here\n");
      skip();
    }
    try {
      const store = new FolderStore(full);
      await expect(stage.take("shop", { parts: { store } })).rejects.toThrow(/ENOSPC/);
      expect(await store.list("shop/")).toEqual([]);
    } finally {
      execFileSync("umount", [full]);
    }
  });

  it("is taken by one of two replicas at once", async () => {
    const both = await Promise.allSettled([stage.take("shop"), stage.take("shop")]);
    const failed = both.filter((one) => one.status === "rejected");
    expect(failed).toHaveLength(1);
    expect(String(failed[0]?.reason)).toContain("under way already");
    const { good, broken } = await stage.list("shop");
    expect({ good: good.length, broken }).toEqual({ good: 2, broken: [] });
  });

  it("is encrypted, compressed and read without age and zstd, too", async () => {
    const { PATH } = process.env;
    const bare = mkdtempSync(path.join(tmpdir(), "twokey-bare-"));
    symlinkSync("/usr/bin/id", path.join(bare, "id"));
    process.env["PATH"] = bare;
    try {
      const manifest = await stage.take("shop");
      expect(manifest).toMatchObject({ encryption: "age", compression: "in-dump" });
      const verified = await stage.verify("shop", manifest.backup);
      expect(verified.compared.rows).toBe(manifest.rows);
    } finally {
      process.env["PATH"] = PATH;
      rmSync(bare, { recursive: true });
    }
  });

  it("is tested on the PostgreSQL that comes with Twokey, though that is of another major", async () => {
    const scratch = { kind: "embedded", programsDirectory: undefined } as const;
    const verified = await stage.verify("shop", whole.backup, { scratch });
    expect(verified.server).toMatch(/^18\./);
    expect(verified.compared.rows).toBe(whole.rows);
  });

  it("restores beside the original as the same database, by pg_dump's own words", async () => {
    // A subscription's name is the server's, not the database's.
    await stage.client("shop", (client) => client.query("DROP SUBSCRIPTION nowhere"));
    const again = await stage.take("shop");
    const found = (await stage.list("shop")).good.find(
      ({ manifest }) => manifest.backup === again.backup,
    );
    if (found === undefined) throw new Error("it is gone");
    const server = await openLogin(
      { upstream: stage.upstream, database: "postgres" },
      backupCredential(stage.backupOf("shop"), stage.upstream),
    );
    const restore = (into: string, table?: string): ReturnType<typeof restoreBackup> =>
      restoreBackup(found, {
        store: stage.store,
        backups: stage.backups,
        server,
        into,
        table,
        signal: NO_END,
        onStep: () => undefined,
        onProgress: () => undefined,
      });
    const { comparison } = await restore("copy");
    expect(comparison.kind).toBe("same");
    const dumpOf = (database: string): string =>
      execFileSync("/usr/lib/postgresql/15/bin/pg_dump", ["--inserts"], {
        env: stage.env(database),
        encoding: "utf8",
      });
    const ours = dumpOf("shop")
      .split("\n")
      .filter((line) => !line.startsWith("\\"));
    expect(
      dumpOf("copy")
        .split("\n")
        .filter((line) => !line.startsWith("\\")),
    ).toEqual(ours);

    await expect(restore("copy")).rejects.toThrow('database "copy" exists');
    const table = await restore("one_table", "app.customers");
    expect(table.comparison).toMatchObject({ kind: "same", compared: { tables: 1, rows: 503 } });
    const others = await stage.client("one_table", (client) =>
      client.query("SELECT FROM app.orders"),
    );
    expect(others.rowCount).toBe(0);
    server.session.close();
  });
});
