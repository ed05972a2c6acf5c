import { z } from "zod";
import type { Json } from "../base/canonical-json.ts";

/** As in pg_locks (PostgreSQL docs, "Explicit Locking"). */
const lockMode = z.enum([
  "AccessShareLock",
  "RowExclusiveLock",
  "ShareUpdateExclusiveLock",
  "ShareLock",
  "ShareRowExclusiveLock",
  "AccessExclusiveLock",
]);

const objectImpact = z.object({
  kind: z.string(),
  name: z.string().describe("With its schema, as it was found; as written where it was not."),
  exists: z.boolean(),
  bytes: z.int().nullable(),
  rows: z.int().nullable().describe("As ANALYZE last saw them."),
  dependents: z
    .object({ count: z.int(), first: z.array(z.string()).readonly() })
    .describe("What goes with it under CASCADE, and keeps it from going without."),
});

const lockImpact = z.object({
  relation: z.string(),
  mode: lockMode,
  held_by: z
    .array(
      z.object({
        pid: z.int(),
        user: z.string(),
        application_name: z.string(),
        mode: z.string(),
        transaction_seconds: z.int(),
      }),
    )
    .readonly()
    .describe("Who holds a lock in its way."),
});

const statementImpact = z.object({
  statement: z.int().describe("Place in the document's list, from 0."),
  objects: z.array(objectImpact).readonly(),
  estimated_rows: z
    .int()
    .nullable()
    .describe("What EXPLAIN expects it to change, or to read; null where it has no plan."),
  locks: z.array(lockImpact).readonly(),
  warnings: z.array(z.object({ name: z.string(), why: z.string() })).readonly(),
});

const newestBackup = z.discriminatedUnion("state", [
  z.object({ state: z.literal("verified"), age_seconds: z.int(), place: z.string() }),
  z.object({ state: z.literal("none"), because: z.string() }),
  z.object({ state: z.literal("unknown"), because: z.string() }),
]);

/**
 * What was measured on the server for the approver, and is part of what they sign. Whole numbers only, so that it has
 * one canonical form; sizes in bytes, ages in seconds. Rows are the server's own estimates. `unknown` names what could
 * not be measured, and why.
 */
export const impactSchema = z.object({
  measured_at: z.iso.datetime(),
  server: z.object({ version: z.string(), is_standby: z.boolean() }).nullable(),
  statements: z.array(statementImpact).readonly(),
  clients: z
    .array(z.object({ database: z.string(), connections: z.int(), active: z.int() }))
    .readonly()
    .describe("Of the databases that are reached."),
  replicas: z
    .array(z.object({ name: z.string(), state: z.string(), lag_bytes: z.int().nullable() }))
    .readonly(),
  backup: newestBackup.describe("The newest that a restore has proved."),
  unknown: z.array(z.object({ what: z.string(), because: z.string() })).readonly(),
});

export type Impact = z.infer<typeof impactSchema>;
export type StatementImpact = z.infer<typeof statementImpact>;
export type ObjectImpact = z.infer<typeof objectImpact>;
export type LockImpact = z.infer<typeof lockImpact>;
export type LockMode = z.infer<typeof lockMode>;
export type NewestBackup = z.infer<typeof newestBackup>;

/** Of the document, which may be 1 MiB in all and has to be read. */
const MAX_BYTES = 64 * 1024;

/** As a member of an approval document; of a long list, as many statements as there is room for. */
export function toDocument(impact: Impact): Readonly<Record<string, Json>> {
  let shown = impact;
  while (Buffer.byteLength(JSON.stringify(shown)) > MAX_BYTES && shown.statements.length > 0) {
    const statements = shown.statements.slice(0, -1);
    const because = "there is too much to say";
    const unknown = [
      ...impact.unknown,
      { what: `statements from ${statements.length + 1} on`, because },
    ];
    shown = { ...shown, statements, unknown };
  }
  return JSON.parse(JSON.stringify(shown)) as Readonly<Record<string, Json>>;
}
