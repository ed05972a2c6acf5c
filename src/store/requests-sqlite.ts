import { closeSync, openSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { Kysely, SqliteDialect, SqliteDriver, type Driver } from "kysely";
import Database from "libsql";
import type { ChangeNotice, RequestStore } from "../approvals/request-store.ts";
import { ChangeListeners } from "./change-listeners.ts";
import { migrateRequestTables, noLock, type RequestTables } from "./requests-schema.ts";
import { RequestSql } from "./requests-sql.ts";

/** SQLite's own waiting stops the whole process, so it is short and we wait between the attempts. */
const BUSY_BLOCKS_MS = 5;
const BUSY_RETRY_MS = 5;
const BUSY_TIMEOUT_MS = 5000;
const POLL_MS = 200;

/**
 * The request store in one file, for a single Twokey and the commands beside it. A change is on disk when its
 * promise resolves (WAL, synchronous = FULL).
 */
export async function openSqliteRequestStore({
  file,
  maxOpenPerRequester,
}: {
  readonly file: string;
  readonly maxOpenPerRequester: number;
}): Promise<RequestStore> {
  // Made by us, so that nobody else may read it; SQLite gives its other files the same mode.
  closeSync(openSync(file, "a", 0o600));
  const database = new Database(file);
  try {
    database.exec(`pragma busy_timeout = ${BUSY_BLOCKS_MS}`);
    await untilFree(() => {
      database.exec("pragma journal_mode = WAL");
    });
    database.exec("pragma synchronous = FULL");
    database.exec("pragma foreign_keys = ON");
    const db = new Kysely<RequestTables>({ dialect: new ImmediateSqliteDialect(database) });
    await migrateRequestTables(db, noLock);
    return new SqliteRequestStore(db, database, maxOpenPerRequester);
  } catch (error) {
    database.close();
    throw error;
  }
}

class SqliteRequestStore extends RequestSql implements RequestStore {
  readonly #db: Kysely<RequestTables>;
  readonly #database: Database.Database;
  readonly #listeners: ChangeListeners;
  #poll: NodeJS.Timeout | undefined;

  constructor(db: Kysely<RequestTables>, database: Database.Database, maxOpenPerRequester: number) {
    const listeners = new ChangeListeners();
    super(db, {
      maxOpenPerRequester,
      canLockRows: false,
      announce: () => Promise.resolve(),
      changed: (id) => {
        listeners.notify({ kind: "request", id });
      },
    });
    this.#db = db;
    this.#database = database;
    this.#listeners = listeners;
  }

  subscribe(listener: (change: ChangeNotice) => void): () => void {
    const unsubscribe = this.#listeners.add(listener);
    this.#poll ??= this.#pollOtherProcesses();
    return () => {
      unsubscribe();
      if (this.#listeners.isEmpty()) this.#stopPolling();
    };
  }

  async close(): Promise<void> {
    this.#stopPolling();
    await this.#db.destroy();
  }

  /** SQLite tells nobody; `data_version` changes when another connection has committed, and costs no read of the disk. */
  #pollOtherProcesses(): NodeJS.Timeout {
    let seen = this.#dataVersion();
    const poll = setInterval(() => {
      const version = this.#dataVersion();
      if (version === seen && version !== undefined) return;
      seen = version;
      this.#listeners.notify({ kind: "unknown" });
    }, POLL_MS);
    poll.unref();
    return poll;
  }

  /** `undefined` when it can't be told; whoever looks at the requests then meets the error itself. */
  #dataVersion(): unknown {
    try {
      const [row] = this.#database.prepare("pragma data_version").pluck().all();
      return row;
    } catch {
      return undefined;
    }
  }

  #stopPolling(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
  }
}

/** A transaction that begins by reading can't become a writing one when somebody else wrote in between; ours write. */
class ImmediateSqliteDialect extends SqliteDialect {
  readonly #database: Database.Database;

  constructor(database: Database.Database) {
    super({ database });
    this.#database = database;
  }

  override createDriver(): Driver {
    return new ImmediateSqliteDriver(this.#database);
  }
}

class ImmediateSqliteDriver extends SqliteDriver {
  readonly #database: Database.Database;

  constructor(database: Database.Database) {
    super({ database });
    this.#database = database;
  }

  override async beginTransaction(): Promise<void> {
    // By exec: a prepared BEGIN that found the lock taken stays "in progress" in libsql and fails the next COMMIT.
    await untilFree(() => {
      this.#database.exec("begin immediate");
    });
  }
}

/** Tries again while another connection holds the lock, for as long as the timeout. */
async function untilFree(work: () => void): Promise<void> {
  const deadline = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      work();
      return;
    } catch (error) {
      const isBusy = error instanceof Database.SqliteError && error.code === "SQLITE_BUSY";
      if (!isBusy || performance.now() > deadline) throw error;
    }
    await setTimeout(BUSY_RETRY_MS);
  }
}
