import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import {
  StoreUnavailable,
  type ChangeNotice,
  type RequestStore,
} from "../approvals/request-store.ts";
import { parseRequestId } from "../approvals/request-id.ts";
import type { Secret } from "../base/secret.ts";
import { ChangeListeners } from "./change-listeners.ts";
import {
  advisoryLock,
  migrateRequestTables,
  type RequestTables,
  type RequestTransaction,
} from "./requests-schema.ts";
import { RequestSql } from "./requests-sql.ts";

const POOL_SIZE = 5;
const CONNECT_TIMEOUT_MS = 5000;
const STATEMENT_TIMEOUT_MS = 10_000;
const RECONNECT_MS = 1000;

export interface PostgresStoreConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret;
  readonly database: string;
  /** Made if it is missing. */
  readonly schema: string;
  readonly tls: pg.ClientConfig["ssl"];
}

/** The request store in PostgreSQL, for several replicas: they hear of each other's changes by LISTEN/NOTIFY. */
export async function openPostgresRequestStore({
  connection,
  maxOpenPerRequester,
}: {
  readonly connection: PostgresStoreConnection;
  readonly maxOpenPerRequester: number;
}): Promise<RequestStore> {
  const { schema } = connection;
  if (!/^[a-z_][a-z0-9_]{0,49}$/.test(schema)) {
    throw new StoreUnavailable("schema of the request store is not a plain lower-case name");
  }
  const pool = new pg.Pool({ ...clientConfig(connection), max: POOL_SIZE });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on("error", ignore);
  const db = new Kysely<RequestTables>({ dialect: new PostgresDialect({ pool }) });
  const listener = new NotificationListener(clientConfig(connection), channelOf(schema));
  try {
    await migrateRequestTables(db, async (transaction) => {
      await advisoryLock(transaction);
      await createSchema(transaction, schema);
    });
    await listener.open();
    return new PostgresRequestStore(db, listener, {
      channel: channelOf(schema),
      maxOpenPerRequester,
    });
  } catch (cause) {
    await listener.close();
    await db.destroy();
    if (cause instanceof StoreUnavailable) throw cause;
    throw new StoreUnavailable("the request store can't be opened", { cause });
  }
}

/** Only where it is missing: IF NOT EXISTS would demand the privilege to create schemas even then. */
async function createSchema(transaction: RequestTransaction, schema: string): Promise<void> {
  const found = await sql`select from pg_namespace where nspname = ${schema}`.execute(transaction);
  if (found.rows.length === 0) {
    await sql`create schema ${sql.id(schema)}`.execute(transaction);
  }
}

class PostgresRequestStore extends RequestSql implements RequestStore {
  readonly #db: Kysely<RequestTables>;
  readonly #listener: NotificationListener;

  constructor(
    db: Kysely<RequestTables>,
    listener: NotificationListener,
    { channel, maxOpenPerRequester }: { channel: string; maxOpenPerRequester: number },
  ) {
    super(db, {
      maxOpenPerRequester,
      canLockRows: true,
      announce: async (transaction, id) => {
        await sql`select pg_notify(${channel}, ${id})`.execute(transaction);
      },
      // Our own changes come back by NOTIFY like everybody's.
      changed: ignore,
    });
    this.#db = db;
    this.#listener = listener;
  }

  subscribe(listener: (change: ChangeNotice) => void): () => void {
    return this.#listener.listeners.add(listener);
  }

  async close(): Promise<void> {
    await this.#listener.close();
    await this.#db.destroy();
  }
}

/** One connection that listens, for ever: when it is lost another is made, and listeners are told to look again. */
class NotificationListener {
  readonly listeners = new ChangeListeners();
  readonly #config: pg.ClientConfig;
  readonly #channel: string;
  #client: pg.Client | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(config: pg.ClientConfig, channel: string) {
    this.#config = config;
    this.#channel = channel;
  }

  async open(): Promise<void> {
    const client = new pg.Client({ ...this.#config, keepAlive: true });
    client.on("error", ignore); // "end" follows
    client.on("notification", ({ payload }) => {
      this.listeners.notify(noticeOf(payload));
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${pg.escapeIdentifier(this.#channel)}`);
    } catch (error) {
      await client.end();
      throw error;
    }
    if (this.#isClosed) {
      await client.end();
      return;
    }
    client.once("end", () => {
      this.#reopenSoon();
    });
    this.#client = client;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    await this.#client?.end();
  }

  #reopenSoon(): void {
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => {
      this.#reopen().catch(() => {
        this.#reopenSoon();
      });
    }, RECONNECT_MS);
    this.#retry.unref();
  }

  async #reopen(): Promise<void> {
    await this.open();
    this.listeners.notify({ kind: "unknown" });
  }
}

function clientConfig({
  host,
  port,
  user,
  password,
  database,
  schema,
  tls,
}: PostgresStoreConnection): pg.ClientConfig {
  return {
    host,
    port,
    user,
    database,
    password: () => password.reveal(),
    ssl: tls ?? false,
    application_name: "twokey request store",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    // A transaction left open by a replica that froze must not hold up the others.
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    options: `-c search_path=${schema}`,
  };
}

function channelOf(schema: string): string {
  return `${schema}_requests`;
}

function noticeOf(payload: string | undefined): ChangeNotice {
  try {
    return { kind: "request", id: parseRequestId(payload ?? "") };
  } catch {
    // Anybody who may connect may NOTIFY; what they say is only ever a reason to look.
    return { kind: "unknown" };
  }
}

function ignore(): void {
  // Nothing to do: see where it is used.
}
