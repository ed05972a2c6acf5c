import { z } from "zod";
import { identifier, literal } from "../provision/sql-text.ts";
import type { ServerSession } from "../provision/server-session.ts";
import type { Classification, SqlObject, StatementClassification } from "../sql/classification.ts";
import { dependentsQuery, dependentsRow } from "./dependents.ts";
import { estimateRows } from "./estimate-rows.ts";
import type { LockImpact, ObjectImpact, StatementImpact } from "./impact.ts";
import { CONFLICTS, lockModeOf } from "./locks.ts";

export interface Means {
  readonly own: ServerSession;
  readonly theirs: ServerSession;
  /** Measures, or notes what could not be and why. */
  readonly attempt: <T>(what: string, otherwise: T, measure: () => Promise<T>) => Promise<T>;
}

const MAX_OBJECTS = 20;

/** One text, which may hold several statements. */
export async function measureStatement(
  index: number,
  classification: Classification,
  means: Means,
): Promise<StatementImpact> {
  if (classification.kind === "unparsed") return { ...NOTHING, statement: index };
  const objects: ObjectImpact[] = [];
  const locks: LockImpact[] = [];
  for (const statement of classification.statements) {
    for (const object of statement.objects.slice(0, MAX_OBJECTS)) {
      const found = await find(object, means);
      const measured = await measureObject(object, found, means);
      if (measured === undefined || objects.some((one) => isSame(one, measured))) continue;
      objects.push(measured);
      const lock = await measureLock(statement, found, means);
      if (lock !== undefined) locks.push(lock);
    }
  }
  return {
    statement: index,
    objects,
    estimated_rows: await means.attempt(`rows of statement ${index + 1}`, null, () =>
      estimateRows(classification, means.theirs),
    ),
    locks,
    warnings: classification.statements.flatMap(({ warnings }) =>
      warnings.map(({ name, why }) => ({ name, why })),
    ),
  };
}

const NOTHING = { objects: [], estimated_rows: null, locks: [], warnings: [] };

/** An object as the catalogue has it. */
type Found =
  | {
      readonly catalogue: "pg_class" | "pg_namespace" | "pg_database";
      readonly oid: number;
      readonly name: string;
      readonly kind: string;
    }
  | undefined;

const foundRow = z.object({ oid: z.int(), name: z.string(), kind: z.string() });

/** By the requester's search_path, where the statement leaves the schema to that. */
async function find(object: SqlObject, { theirs, attempt }: Means): Promise<Found> {
  const query = findQuery(object);
  if (query === undefined) return undefined;
  const { catalogue, text } = query;
  const rows = await attempt(describe(object), [], () => theirs.rows(text, foundRow));
  const [row] = rows;
  return row === undefined ? undefined : { catalogue, ...row };
}

function findQuery({
  kind,
  schema,
  name,
}: SqlObject):
  { readonly catalogue: NonNullable<Found>["catalogue"]; readonly text: string } | undefined {
  if (kind === "database") {
    const where = `WHERE datname = ${literal(name)}`;
    return {
      catalogue: "pg_database",
      text: `SELECT oid::bigint, datname AS name, 'database' AS kind FROM pg_catalog.pg_database ${where}`,
    };
  }
  if (kind === "schema") {
    const where = `WHERE nspname = ${literal(name)}`;
    return {
      catalogue: "pg_namespace",
      text: `SELECT oid::bigint, nspname AS name, 'schema' AS kind FROM pg_catalog.pg_namespace ${where}`,
    };
  }
  if (!RELATIONS.has(kind)) return undefined;
  const written = [...(schema === undefined ? [] : [schema]), name].map(identifier).join(".");
  return {
    catalogue: "pg_class",
    text: `
      SELECT c.oid::bigint, n.nspname || '.' || c.relname AS name,
             CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
               WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'I' THEN 'partitioned index'
               WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'relation' END AS kind
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = pg_catalog.to_regclass(${literal(written)})`,
  };
}

const RELATIONS = new Set([
  "table",
  "view",
  "materialized view",
  "index",
  "sequence",
  "foreign table",
]);

async function measureObject(
  object: SqlObject,
  found: Found,
  means: Means,
): Promise<ObjectImpact | undefined> {
  if (findQuery(object) === undefined) return undefined;
  if (found === undefined) {
    return {
      kind: object.kind,
      name: describe(object),
      exists: false,
      bytes: null,
      rows: null,
      dependents: { count: 0, first: [] },
    };
  }
  const { own, attempt } = means;
  const { catalogue, oid, kind, name } = found;
  const size = await attempt(`size of ${kind} ${name}`, UNMEASURED, async () => {
    const [row] = await own.rows(SIZES[catalogue](oid), sizeRow);
    return row ?? UNMEASURED;
  });
  const dependents =
    catalogue === "pg_database"
      ? { count: 0, first: [] }
      : await attempt(`dependents of ${kind} ${name}`, { count: 0, first: [] }, async () => {
          const [row] = await own.rows(dependentsQuery({ catalogue, oid }), dependentsRow);
          return row ?? { count: 0, first: [] };
        });
  return { kind, name, exists: true, ...size, dependents };
}

const UNMEASURED = { bytes: null, rows: null };

const sizeRow = z.object({ bytes: z.int().nullable(), rows: z.int().nullable() });

/** Of a partitioned table, with its partitions. Rows as ANALYZE last saw them; never analyzed is -1, which is unknown. */
const SIZES: Readonly<Record<NonNullable<Found>["catalogue"], (oid: number) => string>> = {
  pg_class: (oid) => `
    SELECT sum(pg_catalog.pg_total_relation_size(c.oid))::bigint AS bytes,
           CASE WHEN bool_or(c.relkind IN ('r', 'm') AND c.reltuples < 0) THEN NULL
                ELSE sum(c.reltuples) FILTER (WHERE c.relkind IN ('r', 'm')) END::bigint AS rows
    FROM pg_catalog.pg_class c
    WHERE c.oid = ${oid} OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(${oid}::oid::pg_catalog.regclass))`,
  pg_namespace: (oid) => `
    SELECT COALESCE(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint AS bytes,
           CASE WHEN bool_or(c.reltuples < 0) THEN NULL ELSE COALESCE(sum(c.reltuples), 0) END::bigint AS rows
    FROM pg_catalog.pg_class c WHERE c.relnamespace = ${oid} AND c.relkind IN ('r', 'm')`,
  pg_database: (oid) =>
    `SELECT pg_catalog.pg_database_size(${oid}::oid) AS bytes, NULL::bigint AS rows`,
};

const holderRow = z.object({
  pid: z.int(),
  user: z.string(),
  application_name: z.string(),
  mode: z.string(),
  transaction_seconds: z.int(),
});

async function measureLock(
  statement: StatementClassification,
  found: Found,
  { own, attempt }: Means,
): Promise<LockImpact | undefined> {
  const mode = lockModeOf(statement);
  if (mode === undefined || found?.catalogue !== "pg_class") return undefined;
  const relation = found.name;
  const conflicting = CONFLICTS[mode].map((name) => literal(name)).join(", ");
  const holders = await attempt(`locks on ${relation}`, [], () =>
    own.rows(
      `SELECT l.pid, COALESCE(a.usename::text, '') AS user, COALESCE(a.application_name, '') AS application_name,
              min(l.mode) AS mode,
              COALESCE(EXTRACT(epoch FROM pg_catalog.now() - min(a.xact_start)), 0)::int AS transaction_seconds
       FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
       WHERE l.locktype = 'relation' AND l.granted AND l.relation = ${found.oid}
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
         AND l.mode IN (${conflicting}) AND l.pid <> pg_catalog.pg_backend_pid()
       GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1 LIMIT 20`,
      holderRow,
    ),
  );
  return { relation, mode, held_by: holders };
}

function describe({ schema, name }: SqlObject): string {
  return schema === undefined ? name : `${schema}.${name}`;
}

function isSame(one: ObjectImpact, other: ObjectImpact): boolean {
  return one.kind === other.kind && one.name === other.name;
}
