import { sql, type Kysely, type Transaction } from "kysely";
import { StoreUnavailable } from "../approvals/request-store.ts";

/** The tables of the request store, the same in SQLite and PostgreSQL. */
export interface RequestTables {
  readonly requests: {
    readonly id: string;
    /** Goes up by one with every change; what compare-and-set compares. */
    readonly version: number;
    /** The join key while the request is open, else null: unique, so that two can't be open for the same. */
    readonly open_key: string | null;
    readonly state: string;
    readonly requester: string;
    readonly database: string;
    readonly environment: string;
    readonly created_at: string;
    readonly expires_at: string;
    /** `open` or `signed` once the glass was broken, else null. */
    readonly review: string | null;
    /** The whole `Request` as JSON; the columns above are for finding it. */
    readonly body: string;
  };
  readonly request_statements: {
    readonly request_id: string;
    readonly position: number;
    readonly sha256: string;
  };
  readonly request_uses: {
    readonly id: string;
    readonly request_id: string;
    readonly step: number;
    readonly instance: string;
    readonly used_at: string;
    /** 1 when the audit log has it. */
    readonly settled: number;
  };
  readonly request_store_version: { readonly version: number };
}

export type RequestDatabase = Kysely<RequestTables>;
export type RequestTransaction = Transaction<RequestTables>;

/** Each brings the tables from version n (its index) to n + 1. Never edited once released, only added to. */
const MIGRATIONS: readonly ((db: RequestTransaction) => Promise<void>)[] = [
  createTables,
  addReviews,
];

/**
 * Brings the tables up to date in one transaction, so that a crash leaves either all or nothing of it.
 *
 * @param lock - keeps other replicas out until the transaction ends
 * @throws StoreUnavailable when a newer Twokey has been here: its tables may mean something else
 */
export async function migrateRequestTables(
  db: RequestDatabase,
  lock: (transaction: RequestTransaction) => Promise<void>,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await lock(transaction);
    await transaction.schema
      .createTable("request_store_version")
      .ifNotExists()
      .addColumn("version", "integer", (column) => column.notNull())
      .execute();
    const row = await transaction
      .selectFrom("request_store_version")
      .select("version")
      .executeTakeFirst();
    const version = row?.version ?? 0;
    if (version > MIGRATIONS.length) {
      throw new StoreUnavailable("request store was written by a newer version of Twokey", {
        hint: "run the newer version, or give this one a store of its own",
      });
    }
    if (version === MIGRATIONS.length) return;
    for (const migrate of MIGRATIONS.slice(version)) await migrate(transaction);
    await transaction.deleteFrom("request_store_version").execute();
    await transaction
      .insertInto("request_store_version")
      .values({ version: MIGRATIONS.length })
      .execute();
  });
}

async function createTables({ schema }: RequestTransaction): Promise<void> {
  await schema
    .createTable("requests")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("open_key", "text", (column) => column.unique())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("requester", "text", (column) => column.notNull())
    .addColumn("database", "text", (column) => column.notNull())
    .addColumn("environment", "text", (column) => column.notNull())
    .addColumn("created_at", "text", (column) => column.notNull())
    .addColumn("expires_at", "text", (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .execute();
  await schema
    .createIndex("requests_newest_first")
    .on("requests")
    .columns(["created_at", "id"])
    .execute();
  await schema
    .createTable("request_statements")
    .addColumn("request_id", "text", (column) => column.notNull().references("requests.id"))
    .addColumn("position", "integer", (column) => column.notNull())
    .addColumn("sha256", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("request_statements_key", ["request_id", "position"])
    .execute();
  await schema
    .createIndex("request_statements_by_text")
    .on("request_statements")
    .columns(["sha256", "request_id"])
    .execute();
  await schema
    .createTable("request_uses")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("request_id", "text", (column) => column.notNull().references("requests.id"))
    .addColumn("step", "integer", (column) => column.notNull())
    .addColumn("instance", "text", (column) => column.notNull())
    .addColumn("used_at", "text", (column) => column.notNull())
    .addColumn("settled", "integer", (column) => column.notNull())
    .addUniqueConstraint("request_uses_once", ["request_id", "step"])
    .execute();
  await schema
    .createIndex("request_uses_unsettled")
    .on("request_uses")
    .columns(["settled", "used_at"])
    .execute();
}

async function addReviews({ schema }: RequestTransaction): Promise<void> {
  await schema.alterTable("requests").addColumn("review", "text").execute();
  await schema.createIndex("requests_by_review").on("requests").column("review").execute();
}

/** The lock of a dialect whose transactions exclude each other anyway. */
export async function noLock(): Promise<void> {
  // SQLite: BEGIN IMMEDIATE has taken it.
}

/** A lock held until the transaction ends; the number is only this store's. */
export async function advisoryLock(transaction: RequestTransaction): Promise<void> {
  await sql`select pg_advisory_xact_lock(7295041206)`.execute(transaction);
}
