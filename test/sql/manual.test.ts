import { describe, expect, it } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import type { ParsedClassification } from "../../src/sql/classification.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";

// Every command of PostgreSQL 18 docs, "SQL Commands", with a statement of it. What each does is in cases.yaml.
const COMMANDS: readonly (readonly [command: string, sql: string])[] = [
  ["ABORT", "ABORT"],
  ["ALTER AGGREGATE", "ALTER AGGREGATE a (int) RENAME TO b"],
  ["ALTER COLLATION", "ALTER COLLATION c REFRESH VERSION"],
  ["ALTER CONVERSION", "ALTER CONVERSION c RENAME TO d"],
  ["ALTER DATABASE", "ALTER DATABASE d CONNECTION LIMIT 5"],
  ["ALTER DEFAULT PRIVILEGES", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r"],
  ["ALTER DOMAIN", "ALTER DOMAIN d SET NOT NULL"],
  ["ALTER EVENT TRIGGER", "ALTER EVENT TRIGGER e ENABLE"],
  ["ALTER EXTENSION", "ALTER EXTENSION e UPDATE TO '2'"],
  ["ALTER FOREIGN DATA WRAPPER", "ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD a 'b')"],
  ["ALTER FOREIGN TABLE", "ALTER FOREIGN TABLE f ADD COLUMN a int"],
  ["ALTER FUNCTION", "ALTER FUNCTION f (int) STABLE"],
  ["ALTER GROUP", "ALTER GROUP g ADD USER u"],
  ["ALTER INDEX", "ALTER INDEX i SET TABLESPACE s"],
  ["ALTER LANGUAGE", "ALTER LANGUAGE l RENAME TO m"],
  ["ALTER LARGE OBJECT", "ALTER LARGE OBJECT 5 OWNER TO r"],
  ["ALTER MATERIALIZED VIEW", "ALTER MATERIALIZED VIEW m SET SCHEMA s"],
  ["ALTER OPERATOR", "ALTER OPERATOR @@ (int, int) OWNER TO r"],
  ["ALTER OPERATOR CLASS", "ALTER OPERATOR CLASS c USING btree RENAME TO d"],
  ["ALTER OPERATOR FAMILY", "ALTER OPERATOR FAMILY f USING btree RENAME TO g"],
  ["ALTER POLICY", "ALTER POLICY p ON t TO r"],
  ["ALTER PROCEDURE", "ALTER PROCEDURE p () RENAME TO q"],
  ["ALTER PUBLICATION", "ALTER PUBLICATION p ADD TABLE t"],
  ["ALTER ROLE", "ALTER ROLE r NOLOGIN"],
  ["ALTER ROUTINE", "ALTER ROUTINE f (int) RENAME TO g"],
  ["ALTER RULE", "ALTER RULE r ON t RENAME TO s"],
  ["ALTER SCHEMA", "ALTER SCHEMA s RENAME TO t"],
  ["ALTER SEQUENCE", "ALTER SEQUENCE s INCREMENT 2"],
  ["ALTER SERVER", "ALTER SERVER s VERSION '2'"],
  ["ALTER STATISTICS", "ALTER STATISTICS s SET STATISTICS 100"],
  ["ALTER SUBSCRIPTION", "ALTER SUBSCRIPTION s ENABLE"],
  ["ALTER SYSTEM", "ALTER SYSTEM SET work_mem = '1MB'"],
  ["ALTER TABLE", "ALTER TABLE t ADD COLUMN a int"],
  ["ALTER TABLESPACE", "ALTER TABLESPACE t RENAME TO u"],
  ["ALTER TEXT SEARCH CONFIGURATION", "ALTER TEXT SEARCH CONFIGURATION c RENAME TO d"],
  ["ALTER TEXT SEARCH DICTIONARY", "ALTER TEXT SEARCH DICTIONARY d (stopwords = x)"],
  ["ALTER TEXT SEARCH PARSER", "ALTER TEXT SEARCH PARSER p RENAME TO q"],
  ["ALTER TEXT SEARCH TEMPLATE", "ALTER TEXT SEARCH TEMPLATE t RENAME TO u"],
  ["ALTER TRIGGER", "ALTER TRIGGER t ON a RENAME TO u"],
  ["ALTER TYPE", "ALTER TYPE t ADD VALUE 'x'"],
  ["ALTER USER", "ALTER USER u VALID UNTIL 'infinity'"],
  ["ALTER USER MAPPING", "ALTER USER MAPPING FOR u SERVER s OPTIONS (SET a 'b')"],
  ["ALTER VIEW", "ALTER VIEW v ALTER COLUMN a SET DEFAULT 1"],
  ["ANALYZE", "ANALYZE t"],
  ["BEGIN", "BEGIN"],
  ["CALL", "CALL p ()"],
  ["CHECKPOINT", "CHECKPOINT"],
  ["CLOSE", "CLOSE c"],
  ["CLUSTER", "CLUSTER t"],
  ["COMMENT", "COMMENT ON TABLE t IS 'x'"],
  ["COMMIT", "COMMIT"],
  ["COMMIT PREPARED", "COMMIT PREPARED 'x'"],
  ["COPY", "COPY t TO STDOUT"],
  ["CREATE ACCESS METHOD", "CREATE ACCESS METHOD a TYPE TABLE HANDLER h"],
  ["CREATE AGGREGATE", "CREATE AGGREGATE a (int) (SFUNC = f, STYPE = int)"],
  ["CREATE CAST", "CREATE CAST (a AS b) WITH INOUT"],
  ["CREATE COLLATION", "CREATE COLLATION c (LOCALE = 'de')"],
  ["CREATE CONVERSION", "CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM f"],
  ["CREATE DATABASE", "CREATE DATABASE d"],
  ["CREATE DOMAIN", "CREATE DOMAIN d AS int"],
  ["CREATE EVENT TRIGGER", "CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f ()"],
  ["CREATE EXTENSION", "CREATE EXTENSION e"],
  ["CREATE FOREIGN DATA WRAPPER", "CREATE FOREIGN DATA WRAPPER w"],
  ["CREATE FOREIGN TABLE", "CREATE FOREIGN TABLE f (a int) SERVER s"],
  ["CREATE FUNCTION", "CREATE FUNCTION f () RETURNS int RETURN 1"],
  ["CREATE GROUP", "CREATE GROUP g"],
  ["CREATE INDEX", "CREATE INDEX ON t (a)"],
  ["CREATE LANGUAGE", "CREATE LANGUAGE l"],
  ["CREATE MATERIALIZED VIEW", "CREATE MATERIALIZED VIEW m AS SELECT 1"],
  ["CREATE OPERATOR", "CREATE OPERATOR @@@ (FUNCTION = f, LEFTARG = int)"],
  ["CREATE OPERATOR CLASS", "CREATE OPERATOR CLASS c FOR TYPE t USING btree AS STORAGE int"],
  ["CREATE OPERATOR FAMILY", "CREATE OPERATOR FAMILY f USING btree"],
  ["CREATE POLICY", "CREATE POLICY p ON t"],
  ["CREATE PROCEDURE", "CREATE PROCEDURE p () LANGUAGE sql AS ''"],
  ["CREATE PUBLICATION", "CREATE PUBLICATION p FOR TABLE t"],
  ["CREATE ROLE", "CREATE ROLE r"],
  ["CREATE RULE", "CREATE RULE r AS ON INSERT TO t DO NOTHING"],
  ["CREATE SCHEMA", "CREATE SCHEMA s"],
  ["CREATE SEQUENCE", "CREATE SEQUENCE s"],
  ["CREATE SERVER", "CREATE SERVER s FOREIGN DATA WRAPPER w"],
  ["CREATE STATISTICS", "CREATE STATISTICS ON a, b FROM t"],
  ["CREATE SUBSCRIPTION", "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p"],
  ["CREATE TABLE", "CREATE TABLE t (a int)"],
  ["CREATE TABLE AS", "CREATE TABLE t AS SELECT 1"],
  ["CREATE TABLESPACE", "CREATE TABLESPACE t LOCATION '/t'"],
  ["CREATE TEXT SEARCH CONFIGURATION", "CREATE TEXT SEARCH CONFIGURATION c (PARSER = default)"],
  ["CREATE TEXT SEARCH DICTIONARY", "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)"],
  ["CREATE TEXT SEARCH PARSER", "CREATE TEXT SEARCH PARSER p (START = a, GETTOKEN = b, END = c)"],
  ["CREATE TEXT SEARCH TEMPLATE", "CREATE TEXT SEARCH TEMPLATE t (LEXIZE = f)"],
  ["CREATE TRANSFORM", "CREATE TRANSFORM FOR t LANGUAGE l (FROM SQL WITH FUNCTION f (internal))"],
  ["CREATE TRIGGER", "CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f ()"],
  ["CREATE TYPE", "CREATE TYPE t AS (a int)"],
  ["CREATE USER", "CREATE USER u"],
  ["CREATE USER MAPPING", "CREATE USER MAPPING FOR u SERVER s"],
  ["CREATE VIEW", "CREATE VIEW v AS SELECT 1"],
  ["DEALLOCATE", "DEALLOCATE p"],
  ["DECLARE", "DECLARE c CURSOR FOR SELECT 1"],
  ["DELETE", "DELETE FROM t"],
  ["DISCARD", "DISCARD ALL"],
  ["DO", "DO 'BEGIN NULL; END'"],
  ["DROP ACCESS METHOD", "DROP ACCESS METHOD a"],
  ["DROP AGGREGATE", "DROP AGGREGATE a (int)"],
  ["DROP CAST", "DROP CAST (a AS b)"],
  ["DROP COLLATION", "DROP COLLATION c"],
  ["DROP CONVERSION", "DROP CONVERSION c"],
  ["DROP DATABASE", "DROP DATABASE d"],
  ["DROP DOMAIN", "DROP DOMAIN d"],
  ["DROP EVENT TRIGGER", "DROP EVENT TRIGGER e"],
  ["DROP EXTENSION", "DROP EXTENSION e"],
  ["DROP FOREIGN DATA WRAPPER", "DROP FOREIGN DATA WRAPPER w"],
  ["DROP FOREIGN TABLE", "DROP FOREIGN TABLE f"],
  ["DROP FUNCTION", "DROP FUNCTION f"],
  ["DROP GROUP", "DROP GROUP g"],
  ["DROP INDEX", "DROP INDEX i"],
  ["DROP LANGUAGE", "DROP LANGUAGE l"],
  ["DROP MATERIALIZED VIEW", "DROP MATERIALIZED VIEW m"],
  ["DROP OPERATOR", "DROP OPERATOR @@ (int, int)"],
  ["DROP OPERATOR CLASS", "DROP OPERATOR CLASS c USING btree"],
  ["DROP OPERATOR FAMILY", "DROP OPERATOR FAMILY f USING btree"],
  ["DROP OWNED", "DROP OWNED BY r"],
  ["DROP POLICY", "DROP POLICY p ON t"],
  ["DROP PROCEDURE", "DROP PROCEDURE p"],
  ["DROP PUBLICATION", "DROP PUBLICATION p"],
  ["DROP ROLE", "DROP ROLE r"],
  ["DROP ROUTINE", "DROP ROUTINE f"],
  ["DROP RULE", "DROP RULE r ON t"],
  ["DROP SCHEMA", "DROP SCHEMA s"],
  ["DROP SEQUENCE", "DROP SEQUENCE s"],
  ["DROP SERVER", "DROP SERVER s"],
  ["DROP STATISTICS", "DROP STATISTICS s"],
  ["DROP SUBSCRIPTION", "DROP SUBSCRIPTION s"],
  ["DROP TABLE", "DROP TABLE t"],
  ["DROP TABLESPACE", "DROP TABLESPACE t"],
  ["DROP TEXT SEARCH CONFIGURATION", "DROP TEXT SEARCH CONFIGURATION c"],
  ["DROP TEXT SEARCH DICTIONARY", "DROP TEXT SEARCH DICTIONARY d"],
  ["DROP TEXT SEARCH PARSER", "DROP TEXT SEARCH PARSER p"],
  ["DROP TEXT SEARCH TEMPLATE", "DROP TEXT SEARCH TEMPLATE t"],
  ["DROP TRANSFORM", "DROP TRANSFORM FOR t LANGUAGE l"],
  ["DROP TRIGGER", "DROP TRIGGER t ON a"],
  ["DROP TYPE", "DROP TYPE t"],
  ["DROP USER", "DROP USER u"],
  ["DROP USER MAPPING", "DROP USER MAPPING FOR u SERVER s"],
  ["DROP VIEW", "DROP VIEW v"],
  ["END", "END"],
  ["EXECUTE", "EXECUTE p"],
  ["EXPLAIN", "EXPLAIN SELECT 1"],
  ["FETCH", "FETCH NEXT FROM c"],
  ["GRANT", "GRANT SELECT ON t TO r"],
  ["IMPORT FOREIGN SCHEMA", "IMPORT FOREIGN SCHEMA f FROM SERVER s INTO t"],
  ["INSERT", "INSERT INTO t DEFAULT VALUES"],
  ["LISTEN", "LISTEN c"],
  ["LOAD", "LOAD 'x'"],
  ["LOCK", "LOCK TABLE t"],
  ["MERGE", "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE"],
  ["MOVE", "MOVE c"],
  ["NOTIFY", "NOTIFY c"],
  ["PREPARE", "PREPARE p AS SELECT 1"],
  ["PREPARE TRANSACTION", "PREPARE TRANSACTION 'x'"],
  ["REASSIGN OWNED", "REASSIGN OWNED BY a TO b"],
  ["REFRESH MATERIALIZED VIEW", "REFRESH MATERIALIZED VIEW m"],
  ["REINDEX", "REINDEX TABLE t"],
  ["RELEASE SAVEPOINT", "RELEASE SAVEPOINT s"],
  ["RESET", "RESET work_mem"],
  ["REVOKE", "REVOKE SELECT ON t FROM r"],
  ["ROLLBACK", "ROLLBACK"],
  ["ROLLBACK PREPARED", "ROLLBACK PREPARED 'x'"],
  ["ROLLBACK TO SAVEPOINT", "ROLLBACK TO SAVEPOINT s"],
  ["SAVEPOINT", "SAVEPOINT s"],
  ["SECURITY LABEL", "SECURITY LABEL ON TABLE t IS 'x'"],
  ["SELECT", "SELECT 1"],
  ["SELECT INTO", "SELECT 1 INTO t"],
  ["SET", "SET work_mem = '1MB'"],
  ["SET CONSTRAINTS", "SET CONSTRAINTS ALL IMMEDIATE"],
  ["SET ROLE", "SET ROLE r"],
  ["SET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION r"],
  ["SET TRANSACTION", "SET TRANSACTION READ ONLY"],
  ["SHOW", "SHOW work_mem"],
  ["START TRANSACTION", "START TRANSACTION"],
  ["TRUNCATE", "TRUNCATE t"],
  ["UNLISTEN", "UNLISTEN c"],
  ["UPDATE", "UPDATE t SET a = 1"],
  ["VACUUM", "VACUUM t"],
  ["VALUES", "VALUES (1)"],
];

function parsed(sql: string): ParsedClassification {
  const classified = classify(sql, { dialect: "postgresql", session: NEW_SESSION });
  if (classified.kind === "unparsed") throw new Error(classified.message);
  return classified;
}

describe("each command of the manual", () => {
  it.each(COMMANDS)("%s is judged, and named: %s", (command, sql) => {
    const { effects, destructive, statements } = parsed(sql);
    expect(effects.length).toBeGreaterThan(0);
    const [statement] = statements;
    expect(statement?.summary).toMatch(/^[A-Z]/);
    expect(statement?.summary.length).toBeLessThanOrEqual(120);
    expect(JSON.stringify(statement?.reasons)).not.toContain("not known here");
    if (/^DROP|^TRUNCATE/.test(command)) expect(effects).toContain("destructive_ddl");
    if (/^(DROP|TRUNCATE|DELETE|UPDATE)/.test(command)) expect(destructive).toBe(true);
    else expect(destructive).toBe(false);
  });
});

describe("summaries", () => {
  it.each([
    ["DROP DATABASE shop", 'DROP DATABASE "shop"'],
    ["DELETE FROM users", 'DELETE without a filter on "users"'],
    ["DELETE FROM users WHERE id = 1", 'DELETE from "users"'],
    ["UPDATE public.users SET a = 1", 'UPDATE without a filter on "public"."users"'],
    ["TRUNCATE a, b, c, d, e", 'TRUNCATE "a", "b", "c" and 2 more'],
    ["INSERT INTO orders VALUES (1)", 'INSERT into "orders"'],
    ["REVOKE ALL ON t FROM r", 'REVOKE "t"'],
    ["EXPLAIN ANALYZE SELECT 1", "EXPLAIN ANALYZE SELECT"],
    ['DROP TABLE "a""b\nc\u202e"', 'DROP TABLE "a""bc"'],
    [
      "WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d",
      'SELECT from "orders": the delete has no filter, so it reaches every row',
    ],
    [
      "DO $$ BEGIN DROP TABLE users; END $$",
      'DO "users": a statement of the block destroys: drops a table',
    ],
  ])("%s", (sql, summary) => {
    expect(parsed(sql).statements[0]?.summary).toBe(summary);
  });

  it("are at most 120 characters long", () => {
    const names = Array.from({ length: 9 }, (_, n) => `"${String(n).repeat(60)}"`).join(", ");
    const [statement] = parsed(`DROP TABLE ${names}`).statements;
    expect(statement?.summary).toHaveLength(120);
    expect(statement?.summary).toMatch(/…$/);
  });
});

describe("reasons", () => {
  it("name the piece of text that each effect stems from, in bytes", () => {
    const sql = "SELECT 'é', \"pg_read_file\"('/x'), billing.close(1)";
    const bytes = Buffer.from(sql);
    const pieces = parsed(sql).statements[0]?.reasons.map(({ of, at }) => [
      of,
      bytes.toString("utf8", at?.startByte, at?.endByte),
    ]);
    expect(pieces).toEqual([
      ["read", sql],
      ["file_access", '"pg_read_file"'],
      ["opaque", "billing.close"],
    ]);
  });

  it("stand in their own statement of a batch", () => {
    const sql = "SELECT 1; DROP TABLE users";
    const reason = parsed(sql).statements[1]?.reasons[0];
    expect(reason).toMatchObject({ of: "destructive_ddl", at: { startByte: 10, endByte: 26 } });
  });
});

describe("reach", () => {
  it.each([
    ["DROP DATABASE shop", "cluster"],
    ["CREATE ROLE r", "cluster"],
    ["ALTER SYSTEM SET work_mem = '1MB'", "cluster"],
    ["SELECT pg_terminate_backend(1)", "cluster"],
    ["COPY t TO '/x'", "cluster"],
    ["DROP TABLESPACE t", "cluster"],
    ["GRANT CONNECT ON DATABASE d TO r", "cluster"],
    ["ALTER DATABASE d RENAME TO e", "cluster"],
    ["DROP TABLE users", "database"],
    ["SELECT 1", "database"],
  ])("of %s is %s", (sql, reach) => {
    expect(parsed(sql).statements[0]?.reach).toBe(reach);
  });
});
