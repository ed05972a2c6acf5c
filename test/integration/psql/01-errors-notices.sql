\set VERBOSITY default
SELECT 1/0;
SELECT missing FROM nowhere;
SELEC 1;
SELECT 'unfinished;
';
SELECT 'été', missing;
\errverbose
CREATE TABLE checked (a int PRIMARY KEY CHECK (a > 0), b text NOT NULL);
INSERT INTO checked VALUES (1, 'x'), (1, 'y');
INSERT INTO checked VALUES (0, 'x');
INSERT INTO checked VALUES (2, NULL);
\set VERBOSITY sqlstate
INSERT INTO checked VALUES (0, 'x');
\set VERBOSITY terse
INSERT INTO checked VALUES (0, 'x');
\set VERBOSITY verbose
\set SHOW_CONTEXT always
DO $$ BEGIN RAISE NOTICE 'said %', 1 USING HINT = 'a hint', DETAIL = 'a detail', ERRCODE = '01234'; END $$;
DO $$ BEGIN RAISE WARNING 'warned'; RAISE INFO 'told'; RAISE LOG 'not seen'; END $$;
DO $$ BEGIN RAISE EXCEPTION 'raised' USING COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'd', TABLE = 't', SCHEMA = 's', ERRCODE = 'TK001'; END $$;
DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN RAISE NOTICE 'caught % %', SQLSTATE, SQLERRM; END $$;
SET client_min_messages = debug1;
CREATE TABLE IF NOT EXISTS checked (a int);
DROP TABLE IF EXISTS nothing;
SET client_min_messages = error;
DROP TABLE IF EXISTS nothing;
RESET client_min_messages;
SELECT 1 AS one; SELECT 1/0; SELECT 2 AS two;
SELECT 1 AS one\; SELECT 1/0\; SELECT 2 AS two;
;
-- only a comment
SELECT :ERROR, :'SQLSTATE', :'LAST_ERROR_MESSAGE', :ROW_COUNT;
