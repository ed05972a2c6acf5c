import type { Warning } from "./classification.ts";

/**
 * Hazards of migrations: statements that lose nothing and yet stop an application, by a long lock, a rewrite, or a
 * name that is gone. The set follows what Squawk's rules and strong_migrations' checks document; the words are ours.
 */
export const HAZARDS = {
  "adding-check-constraint": {
    why: "every row is checked while reads and writes wait",
    safer: "add it NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
  },
  "adding-exclusion-constraint": {
    why: "its index is built while reads and writes wait",
    safer: "there is no way around it; do it in a maintenance window, or on a small table",
  },
  "adding-foreign-key": {
    why: "every row is checked while writes to both tables wait",
    safer: "add it NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
  },
  "adding-generated-column": {
    why: "a stored generated column rewrites the table while reads and writes wait",
    safer: "add a plain column, fill it in batches, keep it by a trigger",
  },
  "adding-json-column": {
    why: "json has no equality, so SELECT DISTINCT, UNION and GROUP BY over its rows fail",
    safer: "use jsonb",
  },
  "adding-required-column": {
    why: "it fails where the table has rows, and old application code does not fill it",
    safer: "add it nullable or with a constant default, fill it, then require it",
  },
  "adding-self-filling-column": {
    why: "serial and identity fill every row, which rewrites the table while reads and writes wait",
    safer: "add a plain column, fill it in batches, then attach a sequence",
  },
  "adding-unique-constraint": {
    why: "its index is built while reads and writes wait",
    safer: "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX",
  },
  "adding-volatile-default": {
    why: "the default differs for each row, so the table is rewritten while reads and writes wait",
    safer: "add the column without it, set the default, fill old rows in batches",
  },
  "attaching-partition": {
    why: "the partition is scanned for its bounds while it is locked",
    safer: "give it a validated CHECK constraint of the same bounds first",
  },
  cascade: {
    why: "CASCADE takes along whatever depends on it, none of which is named here",
    safer: "name what is to go",
  },
  "changing-column-type": {
    why: "the table and its indexes are rewritten while reads and writes wait",
    safer: "add a new column, write to both, fill it in batches, then switch over",
  },
  "char-column": {
    why: "char(n) pads what it stores with blanks, which some comparisons count and others don't",
    safer: "use text, with a CHECK on its length where one is needed",
  },
  "cluster-table": {
    why: "the table is rewritten while reads and writes wait",
    safer: "use pg_repack, or a maintenance window",
  },
  "concurrently-in-transaction": {
    why: "CONCURRENTLY is refused inside a transaction, so the migration fails here",
    safer: "send it alone, outside BEGIN and COMMIT",
  },
  "creating-index": {
    why: "writes to the table wait until the index is built",
    safer: "CREATE INDEX CONCURRENTLY, outside a transaction",
  },
  "detaching-partition": {
    why: "the whole partitioned table is locked while the partition is detached",
    safer: "DETACH PARTITION … CONCURRENTLY (PostgreSQL 14 and later)",
  },
  "domain-constraint": {
    why: "every column of the domain is checked while writes to its tables wait, and nothing can be validated later in batches",
    safer: "put CHECK constraints on the columns, NOT VALID first",
  },
  "dropping-index": {
    why: "reads and writes wait for the lock, and it for every query that runs",
    safer: "DROP INDEX CONCURRENTLY, outside a transaction",
  },
  "dropping-not-null": {
    why: "clients that never met a null in the column will",
    safer: "make sure that they can first",
  },
  "integer-primary-key": {
    why: "a 32-bit key ends at 2,147,483,647 rows, and widening it rewrites the table",
    safer: "use bigint",
  },
  "locking-table": {
    why: "everything else on the table waits until the transaction ends",
    safer: "lock rows, or set lock_timeout and keep the transaction short",
  },
  "moving-table": {
    why: "the table is copied while reads and writes wait",
    safer: "do it in a maintenance window, or create a new table there and switch over",
  },
  "nested-transaction": {
    why: "BEGIN inside a transaction does nothing, and the COMMIT that belongs to it ends the outer one",
    safer: "leave transactions to the migration tool, or to the file, not to both",
  },
  "refreshing-materialized-view": {
    why: "reads of the view wait until it is filled",
    safer: "REFRESH MATERIALIZED VIEW CONCURRENTLY, with a unique index on it",
  },
  reindexing: {
    why: "writes, and reads that use the index, wait until it is rebuilt",
    safer: "REINDEX … CONCURRENTLY (PostgreSQL 12 and later)",
  },
  "renaming-column": {
    why: "running application code still uses the old name",
    safer: "add a column of the new name, write to both, then drop the old one",
  },
  "renaming-schema": {
    why: "running application code still uses the old name",
    safer: "create a new schema and move objects once nothing uses the old name",
  },
  "renaming-table": {
    why: "running application code still uses the old name",
    safer: "leave a view under the old name",
  },
  "requiring-column": {
    why: "every row is checked while reads and writes wait",
    safer:
      "add CHECK (… IS NOT NULL) NOT VALID and validate it first: SET NOT NULL then needs no scan",
  },
  "serial-column": {
    why: "serial makes a sequence with a default, an owner and grants of its own",
    safer: "GENERATED BY DEFAULT AS IDENTITY",
  },
  "switching-logging": {
    why: "the table is rewritten, and while unlogged it is empty after a crash and on standbys",
    safer: "keep tables logged; use temporary ones for scratch data",
  },
  "timestamp-without-time-zone": {
    why: "timestamp drops the time zone of what it is given",
    safer: "use timestamptz",
  },
  "vacuum-full": {
    why: "the table is rewritten while reads and writes wait",
    safer: "plain VACUUM, or pg_repack",
  },
  "varchar-limit": {
    why: "widening or narrowing the limit later alters the column under a lock",
    safer: "use text, with a CHECK on its length where one is needed",
  },
  "wide-index": {
    why: "an index of more than three columns rarely helps more than it costs each write",
    safer: "put the columns that queries filter by first, and drop the rest",
  },
} as const satisfies Readonly<Record<string, Omit<Warning, "name">>>;

export type HazardName = keyof typeof HAZARDS;

export const HAZARD_NAMES = Object.keys(HAZARDS) as readonly HazardName[];
