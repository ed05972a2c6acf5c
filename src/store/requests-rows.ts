import type { ExpressionBuilder } from "kysely";
import type { Instant } from "../approvals/instant.ts";
import { StoreUnavailable, type RequestFilter } from "../approvals/request-store.ts";
import { isOpen, joinKey, type Request } from "../approvals/request.ts";
import type { ErrorDetails } from "../base/errors.ts";
import type { RequestTables, RequestTransaction } from "./requests-schema.ts";

export type RequestRow = RequestTables["requests"];

/** Somebody else changed the row between our reading and our writing. */
export class LostRace extends StoreUnavailable {
  constructor(details?: ErrorDetails) {
    super("the request is being changed by too many at once", details);
  }
}

/** What a filter asks for, each to be met. */
export function conditions(
  where: ExpressionBuilder<RequestTables, "requests">,
  { states, requester, database, environment, statement, review, after }: RequestFilter,
): ReturnType<typeof where.and>[] {
  const all: ReturnType<typeof where.and>[] = [];
  if (states !== undefined) all.push(where.and([where("state", "in", [...states])]));
  if (requester !== undefined) all.push(where.and([where("requester", "=", requester)]));
  if (database !== undefined) all.push(where.and([where("database", "=", database)]));
  if (environment !== undefined) all.push(where.and([where("environment", "=", environment)]));
  if (review !== undefined) all.push(where.and([where("review", "=", review)]));
  if (statement !== undefined) {
    const having = where
      .selectFrom("request_statements")
      .select("request_id")
      .where("sha256", "=", statement);
    all.push(where.and([where("id", "in", having)]));
  }
  if (after !== undefined) {
    const [createdAt = "", id = ""] = after.split(" ");
    const earlier = where("created_at", "<", createdAt);
    const same = where.and([where("created_at", "=", createdAt), where("id", "<", id)]);
    all.push(where.and([where.or([earlier, same])]));
  }
  return all;
}

export async function countOpen(
  transaction: RequestTransaction,
  requester: string,
  now: Instant,
): Promise<number> {
  const { open } = await transaction
    .selectFrom("requests")
    .select((select) => select.fn.countAll().as("open"))
    .where("requester", "=", requester)
    .where("open_key", "is not", null)
    .where("expires_at", ">", now)
    .executeTakeFirstOrThrow();
  return Number(open);
}

/** @throws LostRace when there is one open for the same, or with the same number */
export async function insertRequest(
  transaction: RequestTransaction,
  request: Request,
): Promise<void> {
  const inserted = await transaction
    .insertInto("requests")
    .values({ ...columns(request), version: 1 })
    .onConflict((conflict) => conflict.doNothing())
    .returning("id")
    .executeTakeFirst();
  // The same refusal at another replica, or, one in a thousand million, the same number.
  if (inserted === undefined) throw new LostRace();
  const statements = request.asked.statements.map(({ sha256 }, position) => ({
    request_id: request.id,
    position,
    sha256,
  }));
  // A role that is asked for comes without any.
  if (statements.length === 0) return;
  await transaction.insertInto("request_statements").values(statements).execute();
}

/** @throws LostRace when the row is not any more as it was read */
export async function updateRequest(
  transaction: RequestTransaction,
  { id, version }: RequestRow,
  request: Request,
): Promise<void> {
  const updated = await transaction
    .updateTable("requests")
    .set({ ...columns(request), version: version + 1 })
    .where("id", "=", id)
    .where("version", "=", version)
    .returning("id")
    .executeTakeFirst();
  if (updated === undefined) throw new LostRace();
}

function columns(request: Request): Omit<RequestRow, "version"> {
  const { id, asked, state, createdAt, expiresAt } = request;
  return {
    id,
    open_key: isOpen(request) ? joinKey(asked) : null,
    state: state.kind,
    requester: asked.requester,
    database: asked.database,
    environment: asked.environment,
    created_at: createdAt,
    expires_at: expiresAt,
    review: request.review?.kind ?? null,
    body: JSON.stringify(request),
  };
}

/** What we wrote ourselves, so only edits by another hand are looked for: columns and body must agree. */
export function parseRow({ version, ...row }: RequestRow): Request {
  const damaged = `request ${row.id} (version ${version}) was changed by another hand`;
  try {
    const request = JSON.parse(row.body) as Request;
    const expected = Object.entries(columns(request));
    const actual = new Map<string, unknown>(Object.entries(row));
    if (expected.every(([name, value]) => actual.get(name) === value)) {
      return withAllTerms(request);
    }
  } catch (cause) {
    throw new StoreUnavailable(damaged, { cause });
  }
  throw new StoreUnavailable(damaged);
}

/** Terms that an earlier version did not know of. */
function withAllTerms(request: Request): Request {
  const kept: Partial<Request["asked"]["terms"]> = request.asked.terms;
  const { breakGlass = [], freezes = [], recycleSeconds = 0 } = kept;
  const terms = { ...request.asked.terms, breakGlass, freezes, recycleSeconds };
  return { ...request, asked: { ...request.asked, terms } };
}
