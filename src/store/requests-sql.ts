import { randomBytes } from "node:crypto";
import type { CountingApproval, CountingReview } from "../approvals/admit.ts";
import type { Instant } from "../approvals/instant.ts";
import { formatRequestId, type RequestId } from "../approvals/request-id.ts";
import {
  StoreUnavailable,
  type Change,
  type Opening,
  type RequestFilter,
  type RequestPage,
  type UnsettledUse,
} from "../approvals/request-store.ts";
import { addApproval, addReview, remindOfReview } from "../approvals/add-approval.ts";
import {
  cancelRequest,
  expireRequest,
  isOpen,
  joinKey,
  joinRequest,
  openRequest,
  rejectRequest,
  takeUse,
  type Asked,
  type Request,
  type Transition,
  type Use,
  type UseId,
} from "../approvals/request.ts";
import { TwokeyError } from "../base/errors.ts";
import {
  conditions,
  countOpen,
  insertRequest,
  LostRace,
  parseRow,
  updateRequest,
  type RequestRow,
} from "./requests-rows.ts";
import type { RequestDatabase, RequestTransaction } from "./requests-schema.ts";

const MAX_ATTEMPTS = 20;
const MAX_PAGE = 200;
const MAX_SWEEP = 1000;

/** What the two stores do differently. */
export interface RequestSqlOptions {
  readonly maxOpenPerRequester: number;
  /** Whether rows can be locked while they are changed (FOR UPDATE): then racing changes queue up, not start over. */
  readonly canLockRows: boolean;
  /** Tells other replicas, when and only when the transaction commits. */
  readonly announce: (transaction: RequestTransaction, id: RequestId) => Promise<void>;
  /** Tells this one, after the commit. */
  readonly changed: (id: RequestId) => void;
}

/**
 * The request store's statements, for SQLite and PostgreSQL alike. A change reads a request, lets a pure transition
 * make the next one of it, and writes that only if its version is still the one that was read.
 */
export class RequestSql {
  readonly #db: RequestDatabase;
  readonly #options: RequestSqlOptions;

  constructor(db: RequestDatabase, options: RequestSqlOptions) {
    this.#db = db;
    this.#options = options;
  }

  async openOrJoin(
    asked: Asked,
    times: { readonly now: Instant; readonly expiresAt: Instant },
  ): Promise<Opening> {
    const opening = await this.#attempt((transaction) =>
      this.#openOrJoin(transaction, asked, times),
    );
    if (opening.kind === "opened") this.#options.changed(opening.request.id);
    return opening;
  }

  async get(id: RequestId): Promise<Request | undefined> {
    const row = await orUnavailable(
      this.#db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirst(),
    );
    return row === undefined ? undefined : parseRow(row);
  }

  async list(filter: RequestFilter): Promise<RequestPage> {
    const limit = Math.max(1, Math.min(MAX_PAGE, filter.limit));
    const rows = await orUnavailable(
      this.#db
        .selectFrom("requests")
        .selectAll()
        .where((where) => where.and(conditions(where, filter)))
        .orderBy("created_at", "desc")
        .orderBy("id", "desc")
        .limit(limit + 1)
        .execute(),
    );
    const requests = rows.slice(0, limit).map(parseRow);
    const last = requests.at(-1);
    const next = rows.length > limit && last ? `${last.createdAt} ${last.id}` : undefined;
    return { requests, next };
  }

  addApproval(id: RequestId, approval: CountingApproval, now: Instant): Promise<Change> {
    return this.#change(id, (request) => addApproval(request, approval, now));
  }

  addReview(id: RequestId, review: CountingReview, now: Instant): Promise<Change> {
    return this.#change(id, (request) => addReview(request, review, now));
  }

  remind(id: RequestId, how: Parameters<typeof remindOfReview>[1]): Promise<Change> {
    return this.#change(id, (request) => remindOfReview(request, how));
  }

  reject(id: RequestId, how: Parameters<typeof rejectRequest>[1]): Promise<Change> {
    return this.#change(id, (request) => rejectRequest(request, how));
  }

  cancel(id: RequestId, how: Parameters<typeof cancelRequest>[1]): Promise<Change> {
    return this.#change(id, (request) => cancelRequest(request, how));
  }

  async expire(now: Instant): Promise<readonly Request[]> {
    const rows = await orUnavailable(
      this.#db
        .selectFrom("requests")
        .select("id")
        .where("open_key", "is not", null)
        .where("expires_at", "<=", now)
        .limit(MAX_SWEEP)
        .execute(),
    );
    const expired: Request[] = [];
    for (const { id } of rows) {
      const change = await this.#change(id as RequestId, (request) => expiry(request, now));
      if (change.kind === "moved") expired.push(change.request);
    }
    return expired;
  }

  consume(id: RequestId, use: Use): Promise<Change> {
    return this.#change(id, (request) => takeUse(request, use));
  }

  async settle(use: UseId): Promise<void> {
    await orUnavailable(
      this.#db.updateTable("request_uses").set({ settled: 1 }).where("id", "=", use).execute(),
    );
  }

  async unsettled(): Promise<readonly UnsettledUse[]> {
    const rows = await orUnavailable(
      this.#db
        .selectFrom("request_uses")
        .selectAll()
        .where("settled", "=", 0)
        .orderBy("used_at")
        .orderBy("id")
        .limit(MAX_SWEEP)
        .execute(),
    );
    return rows.map((row) => ({
      request: row.request_id as RequestId,
      use: {
        id: row.id as UseId,
        step: row.step,
        instance: row.instance,
        usedAt: row.used_at as Instant,
      },
    }));
  }

  async #change(id: RequestId, transition: (request: Request) => Transition): Promise<Change> {
    const change = await this.#attempt(async (transaction): Promise<Change> => {
      const row = await transaction
        .selectFrom("requests")
        .selectAll()
        .where("id", "=", id)
        .$if(this.#options.canLockRows, (query) => query.forUpdate())
        .executeTakeFirst();
      if (row === undefined) return { kind: "unknown_request" };
      const request = parseRow(row);
      const next = transition(request);
      if (next.kind === "refused") return { ...next, request };
      await this.#write(transaction, row, request, next.request);
      return next;
    });
    if (change.kind === "moved") this.#options.changed(id);
    return change;
  }

  async #openOrJoin(
    transaction: RequestTransaction,
    asked: Asked,
    times: { readonly now: Instant; readonly expiresAt: Instant },
  ): Promise<Opening> {
    const key = joinKey(asked);
    const row = await transaction
      .selectFrom("requests")
      .selectAll()
      .where("open_key", "=", key)
      .$if(this.#options.canLockRows, (query) => query.forUpdate())
      .executeTakeFirst();
    if (row !== undefined) {
      const before = parseRow(row);
      const request = expireRequest(before, times.now);
      if (isOpen(request)) {
        const joined = joinRequest(request);
        await updateRequest(transaction, row, joined);
        return { kind: "joined", request: joined };
      }
      await this.#write(transaction, row, before, request);
    }

    const open = await countOpen(transaction, asked.requester, times.now);
    if (open >= this.#options.maxOpenPerRequester) return { kind: "too_many_open", open };
    const request = openRequest(formatRequestId(randomBytes(6)), asked, times);
    await insertRequest(transaction, request);
    await this.#options.announce(transaction, request.id);
    return { kind: "opened", request };
  }

  async #write(
    transaction: RequestTransaction,
    row: RequestRow,
    before: Request,
    after: Request,
  ): Promise<void> {
    await updateRequest(transaction, row, after);
    const uses = after.uses.slice(before.uses.length);
    if (uses.length > 0) {
      // INVARIANT: (request, step) is unique, so a step is taken once even if the row above were set back.
      const inserted = await transaction
        .insertInto("request_uses")
        .values(
          uses.map(({ id, step, instance, usedAt }) => ({
            id,
            request_id: after.id,
            step,
            instance,
            used_at: usedAt,
            settled: 0,
          })),
        )
        .onConflict((conflict) => conflict.doNothing())
        .returning("id")
        .execute();
      if (inserted.length !== uses.length) {
        throw new StoreUnavailable(`request ${after.id} forgot that it was used`);
      }
    }
    await this.#options.announce(transaction, after.id);
  }

  /** Runs `work` in a transaction of its own, again from the start as long as another one was faster. */
  async #attempt<T>(work: (transaction: RequestTransaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await orUnavailable(this.#db.transaction().execute(work));
      } catch (error) {
        if (!(error instanceof LostRace) || attempt >= MAX_ATTEMPTS) throw error;
      }
    }
  }
}

function expiry(request: Request, now: Instant): Transition {
  const expired = expireRequest(request, now);
  return expired === request
    ? { kind: "refused", because: { kind: "not_due" } }
    : { kind: "moved", request: expired };
}

async function orUnavailable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof TwokeyError) throw cause;
    if (isSerializationFailure(cause)) throw new LostRace({ cause });
    throw new StoreUnavailable("the request store can't be used", { cause });
  }
}

/** PostgreSQL gave up one of two transactions; which may happen where the database's default isolation is stricter. */
function isSerializationFailure(cause: unknown): boolean {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "40001" || code === "40P01";
}
