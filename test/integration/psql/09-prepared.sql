PREPARE p (int, text) AS SELECT $1 + 1 AS next, $2 AS said;
EXECUTE p(1, 'a');
EXECUTE p('x', 'a');
EXECUTE p(1);
PREPARE p AS SELECT 1;
SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements;
EXPLAIN (COSTS off) EXECUTE p(1, 'b');
DEALLOCATE p;
EXECUTE p(1, 'a');
PREPARE q AS INSERT INTO nowhere VALUES ($1);
SELECT 1 AS a, 'two' AS b \gset got_
\echo :got_a :got_b
SELECT 1 WHERE false \gset
SELECT 1 FROM generate_series(1, 2) \gset
SELECT 1 AS n, 'x'::varchar(3) AS v, now() AS t, NULL AS u, ARRAY[1] AS r \gdesc
SELECT missing \gdesc
CREATE TABLE nothing_yet () \gdesc
SELECT 'CREATE TABLE made_' || g || ' (a int)' FROM generate_series(1, 2) g \gexec
SELECT 'SELECT 1/0' UNION ALL SELECT 'SELECT 7' \gexec
SELECT * FROM (VALUES ('a', 'x', 1), ('a', 'y', 2), ('b', 'x', 3)) v(r, c, n) \crosstabview
SELECT 1 AS a, 2 AS b \gx
CREATE SEQUENCE turns;
SELECT 10 / (3 - nextval('turns')) AS turn \watch 0.01
SELECT :VERSION_NUM >= 160000 AS has_bind, :VERSION_NUM >= 170000 AS has_count \gset
\if :has_bind
SELECT $1::int + $2 AS bound \bind 1 2 \g
SELECT $1::int \bind x \g
SELECT $1 \bind \g
\else
\echo this psql has no \\bind
\endif
\if :has_count
SELECT 'watched' \watch interval=0.01 count=3
\else
\echo this psql has no \\watch with a count
\endif
DISCARD ALL;
