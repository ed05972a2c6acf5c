CREATE SCHEMA s;
CREATE TABLE s.parent (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text DEFAULT 'x' NOT NULL, twice int GENERATED ALWAYS AS (1) STORED);
CREATE TABLE s.child (id serial, parent int REFERENCES s.parent ON DELETE CASCADE, CHECK (id > 0));
CREATE INDEX by_parent ON s.child (parent) WHERE parent > 1;
COMMENT ON TABLE s.child IS 'a comment';
CREATE VIEW s.v AS SELECT id, name FROM s.parent WHERE id > 1;
CREATE MATERIALIZED VIEW s.m AS SELECT count(*) FROM s.parent;
CREATE FUNCTION s.f(a int, b text DEFAULT 'q') RETURNS text LANGUAGE sql AS 'SELECT b || a';
SET search_path = s, public;
\d
\d+ parent
\d child
\d+ v
\dt
\dt+ s.*
\di
\ds
\dv
\dm
\df
\sf s.f
\sv s.v
\dn+ s
\du
\dT
\dC int4
\do +
\da sum
\dD
\dp
\ddp
\dx
\dL
\db
\dc utf8*
\dF
\dO C
\drds
\dRp
\dy
\l postgres
\d nowhere
\z s.parent
\dconfig work_mem
\encoding
\echo :DBNAME :SERVER_VERSION_NUM :ENCODING
\timing off
\h ABORT
