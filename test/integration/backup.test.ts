import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HAS_SERVER, openBackupStage, type BackupStage } from "../support/backup-stage.ts";

if (!HAS_SERVER) {
  process.stderr.write("backup tests are skipped: no PostgreSQL 15 server of Debian's here\n");
}

describe.skipIf(!HAS_SERVER)("a backup of a database with every kind of object", () => {
  let stage: BackupStage;
  beforeAll(async () => {
    stage = await openBackupStage();
    await stage.client("postgres", (client) => client.query("CREATE DATABASE shop"));
    const sql = readFileSync("test/support/every-kind.sql", "utf8");
    execFileSync("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1", "-f", "-"], {
      env: stage.env("shop"),
      input: sql,
    });
  });
  afterAll(() => stage.stop());

  it("is listed, encrypted, and verified by a restore on a server of the same major", async () => {
    const manifest = await stage.take("shop");
    const { good, broken } = await stage.list("shop");
    expect(broken).toEqual([]);
    expect(good.map((one) => one.manifest)).toEqual([manifest]);
    expect(manifest).toMatchObject({ encryption: "age", contents: "all", scope: "database" });
    const dump = readFileSync(path.join(stage.storeDirectory, "shop", manifest.backup, "dump"));
    expect(dump.subarray(0, 21).toString()).toBe("age-encryption.org/v1");
    const verified = await stage.verify("shop", manifest.backup).catch((error: unknown) => {
      const { detail } = error as { detail?: string };
      throw new Error(`${String(error)}\n${detail ?? ""}`);
    });
    expect(verified.compared.rows).toBe(manifest.rows);
    expect(verified.compared.checksums).toBe(manifest.tables + 1);
    const after = await stage.list("shop");
    expect(after.good[0]?.verified).toEqual(verified);
    expect(readdirSync(path.join(stage.storeDirectory, "shop", manifest.backup)).sort()).toEqual([
      "dump",
      "manifest.json",
      "note",
      "verified.json",
    ]);
  });
});
