import { describe, expect, it } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { HAZARD_NAMES } from "../../src/sql/warnings.ts";

function warningsOf(sql: string): readonly string[] {
  const classified = classify(sql, { dialect: "postgresql", session: NEW_SESSION });
  if (classified.kind === "unparsed") throw new Error(classified.message);
  return classified.statements.flatMap(({ warnings }) => warnings.map(({ name }) => name));
}

const cases: readonly (readonly [sql: string, ...names: string[]])[] = [
  ["ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "adding-check-constraint"],
  ["ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"],
  ["ALTER TABLE t ADD EXCLUDE USING gist (a WITH &&)", "adding-exclusion-constraint"],
  ["ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id)", "adding-foreign-key"],
  ["ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id) NOT VALID"],
  ["ALTER TABLE t ADD COLUMN a int REFERENCES u (id)", "adding-foreign-key"],
  ["ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) STORED", "adding-generated-column"],
  ["ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) VIRTUAL"],
  ["ALTER TABLE t ADD COLUMN a json", "adding-json-column"],
  ["ALTER TABLE t ADD COLUMN a jsonb"],
  ["ALTER TABLE t ADD COLUMN a int NOT NULL", "adding-required-column"],
  ["ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 0"],
  ["ALTER TABLE t ADD COLUMN a bigserial", "adding-self-filling-column"],
  ["ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS IDENTITY", "adding-self-filling-column"],
  ["ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)", "adding-unique-constraint"],
  ["ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i"],
  ["ALTER TABLE t ADD PRIMARY KEY (a)", "adding-unique-constraint"],
  ["ALTER TABLE t ADD COLUMN a uuid DEFAULT gen_random_uuid()", "adding-volatile-default"],
  ["ALTER TABLE t ADD COLUMN a float DEFAULT my_default()", "adding-volatile-default"],
  ["ALTER TABLE t ADD COLUMN a timestamptz DEFAULT now()"],
  ["ALTER TABLE t ADD COLUMN a int DEFAULT 5"],
  ["ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)", "attaching-partition"],
  ["ALTER TABLE t DROP COLUMN a CASCADE", "cascade"],
  ["DROP TABLE t CASCADE", "cascade"],
  ["DROP TABLE t"],
  ["TRUNCATE t CASCADE", "cascade"],
  ["ALTER TABLE t ALTER a TYPE bigint", "changing-column-type"],
  ["CLUSTER t USING i", "cluster-table"],
  ["CREATE INDEX ON t (a)", "creating-index"],
  ["CREATE INDEX CONCURRENTLY ON t (a)"],
  ["CREATE TABLE t (a int); CREATE INDEX ON t (a)"],
  ["CREATE TABLE t (a int); ALTER TABLE t ADD CHECK (a > 0)"],
  ["ALTER TABLE t DETACH PARTITION p", "detaching-partition"],
  ["ALTER TABLE t DETACH PARTITION p CONCURRENTLY"],
  ["DROP INDEX i", "dropping-index"],
  ["DROP INDEX CONCURRENTLY i"],
  ["ALTER TABLE t ALTER a DROP NOT NULL", "dropping-not-null"],
  ["CREATE TABLE t (id serial PRIMARY KEY)", "integer-primary-key"],
  ["CREATE TABLE t (id bigint PRIMARY KEY)"],
  ["LOCK TABLE t", "locking-table"],
  ["ALTER TABLE t SET TABLESPACE fast", "moving-table"],
  ["REFRESH MATERIALIZED VIEW m", "refreshing-materialized-view"],
  ["REFRESH MATERIALIZED VIEW CONCURRENTLY m"],
  ["REINDEX TABLE t", "reindexing"],
  ["REINDEX TABLE CONCURRENTLY t"],
  ["REINDEX (CONCURRENTLY false) TABLE t", "reindexing"],
  ["ALTER TABLE t RENAME COLUMN a TO b", "renaming-column"],
  ["ALTER TABLE t RENAME TO u", "renaming-table"],
  ["ALTER INDEX i RENAME TO j"],
  ["ALTER TABLE t ALTER a SET NOT NULL", "requiring-column"],
  ["ALTER TABLE t SET UNLOGGED", "switching-logging"],
  ["VACUUM FULL t", "vacuum-full"],
  ["VACUUM (FULL false) t"],
  ["VACUUM t"],
  ["CREATE INDEX CONCURRENTLY ON t (a, b, c, d)", "wide-index"],
  ["CREATE UNIQUE INDEX CONCURRENTLY ON t (a, b, c, d)"],
  ["SELECT 1"],
];

describe("migration warnings", () => {
  it.each(cases)("%s", (sql, ...names) => {
    expect(warningsOf(sql)).toEqual(names);
  });

  it("has a case for every hazard", () => {
    const met = new Set(cases.flatMap(([, ...names]) => names));
    expect(HAZARD_NAMES.filter((name) => !met.has(name))).toEqual([]);
  });
});
