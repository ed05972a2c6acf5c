import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { afterAll, describe, expect, it } from "vitest";
import { openSqliteRequestStore } from "../../src/store/requests-sqlite.ts";
import { describeRequestStore, MAX_OPEN } from "./request-store.contract.ts";

const folder = mkdtempSync(join(tmpdir(), "twokey-requests-"));
let number = 0;
let file = join(folder, "requests.db");

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function run(statement: string): void {
  const database = new Database(file);
  database.exec(statement);
  database.close();
}

describe("request store in SQLite", () => {
  describeRequestStore({
    open: () => openSqliteRequestStore({ file, maxOpenPerRequester: MAX_OPEN }),
    clear: () => {
      file = join(folder, `requests-${++number}.db`);
      return Promise.resolve();
    },
    tamper: (statement) => {
      run(statement);
      return Promise.resolve();
    },
  });

  it("lets nobody else read the file", async () => {
    const store = await openSqliteRequestStore({ file, maxOpenPerRequester: MAX_OPEN });
    for (const name of [file, `${file}-wal`]) expect(statSync(name).mode & 0o777).toBe(0o600);
    await store.close();
  });

  it("refuses a store that a newer version has written", async () => {
    const store = await openSqliteRequestStore({ file, maxOpenPerRequester: MAX_OPEN });
    await store.close();
    run("update request_store_version set version = 99");
    await expect(openSqliteRequestStore({ file, maxOpenPerRequester: MAX_OPEN })).rejects.toThrow(
      "newer version",
    );
  });

  it("refuses a file that is not a database", async () => {
    await expect(
      openSqliteRequestStore({ file: import.meta.filename, maxOpenPerRequester: MAX_OPEN }),
    ).rejects.toThrow();
  });
});
