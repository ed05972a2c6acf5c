-- A database with every kind of object that pg_dump knows how to bring back.
CREATE ROLE app_owner NOLOGIN;
CREATE ROLE app_reader NOLOGIN;
CREATE SCHEMA app AUTHORIZATION app_owner;
CREATE SCHEMA "Odd ""Schema";
CREATE EXTENSION pgcrypto;
CREATE EXTENSION hstore SCHEMA app;
CREATE EXTENSION postgres_fdw;
CREATE TYPE app.mood AS ENUM ('glad', 'sad');
CREATE TYPE app.pair AS (a integer, b text);
CREATE DOMAIN app.positive AS integer CHECK (VALUE > 0);
CREATE TYPE app.span AS RANGE (subtype = float8);
CREATE COLLATION app.plain FROM "C";
CREATE SEQUENCE app.numbers START 100 INCREMENT 5;
CREATE FUNCTION app.twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE PROCEDURE app.nothing() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE AGGREGATE app.total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE OPERATOR app.<+> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl);
CREATE CAST (app.pair AS json) WITH INOUT AS ASSIGNMENT;
CREATE TABLE app.customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  email text UNIQUE,
  tags app.hstore,
  mood app.mood DEFAULT 'glad',
  age app.positive,
  shouted text GENERATED ALWAYS AS (upper(name)) STORED,
  document jsonb, picture bytea, ratio float8, price numeric(12,2), born timestamptz, took interval, pair app.pair,
  CHECK (length(name) < 200)
);
INSERT INTO app.customers (name, email, tags, mood, age, document, picture, ratio, price, born, took, pair)
SELECT 'Name ' || n || E' \t\\ \n "quoted" äöü €', 'c' || n || '@example.org', 'a=>1', CASE n % 2 WHEN 0 THEN 'glad' ELSE 'sad' END::app.mood,
  n, jsonb_build_object('n', n, 'list', ARRAY[1, 2]), sha256(n::text::bytea), n / 7.0, n * 1.5, '2026-01-01'::timestamptz + n * interval '1 hour',
  n * interval '1 minute', ROW(n, 'b,"' || n)::app.pair
FROM generate_series(1, 500) n;
INSERT INTO app.customers (name, ratio) VALUES ('infinite', 'Infinity'), ('no number', 'NaN'), ('', -0.0);
CREATE TABLE app.orders (id integer, customer bigint REFERENCES app.customers ON DELETE CASCADE, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE app.orders_2025 PARTITION OF app.orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE app.orders_2026 PARTITION OF app.orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY HASH (id);
CREATE TABLE app.orders_2026_a PARTITION OF app.orders_2026 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.orders_2026_b PARTITION OF app.orders_2026 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO app.orders SELECT n, 1 + n % 500, '2025-06-01'::date + n FROM generate_series(1, 400) n;
CREATE TABLE app.parent (a integer); CREATE TABLE app.child (b integer) INHERITS (app.parent);
INSERT INTO app.parent VALUES (1); INSERT INTO app.child VALUES (2, 3);
CREATE TABLE "Odd ""Schema"."Ta ble.with ""dots""" ("Co""l" integer, dropped integer, kept text);
ALTER TABLE "Odd ""Schema"."Ta ble.with ""dots""" DROP COLUMN dropped;
INSERT INTO "Odd ""Schema"."Ta ble.with ""dots""" VALUES (1, E'a\\.b'), (NULL, NULL);
CREATE UNLOGGED TABLE app.unlogged (a integer); INSERT INTO app.unlogged VALUES (7);
CREATE TABLE public.empty ();
CREATE INDEX by_name ON app.customers (lower(name)) WHERE age > 10;
CREATE INDEX by_document ON app.customers USING gin (document);
CREATE STATISTICS app.together ON name, email FROM app.customers;
CREATE VIEW app.young AS SELECT id, name FROM app.customers WHERE age < 30;
CREATE MATERIALIZED VIEW app.counted AS SELECT mood, count(*) FROM app.customers GROUP BY mood;
CREATE RULE no_delete AS ON DELETE TO app.parent DO INSTEAD NOTHING;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON app.customers FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON app.customers FOR SELECT TO app_reader USING (age < 100);
GRANT USAGE ON SCHEMA app TO app_reader; GRANT SELECT ON app.customers TO app_reader; GRANT SELECT (name) ON app.customers TO app_owner WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO app_reader;
ALTER TABLE app.customers OWNER TO app_owner;
CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION app.watch();
CREATE PUBLICATION news FOR TABLE app.customers, app.parent;
CREATE SUBSCRIPTION nowhere CONNECTION 'host=127.0.0.1 port=1 dbname=none' PUBLICATION news WITH (connect = false, slot_name = NONE);
CREATE FOREIGN DATA WRAPPER dummy;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', dbname 'none');
CREATE USER MAPPING FOR app_reader SERVER elsewhere OPTIONS (user 'x');
CREATE FOREIGN TABLE app.far (a integer) SERVER elsewhere;
CREATE TEXT SEARCH DICTIONARY app.simple_words (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION app.words (COPY = simple);
CREATE CONVERSION app.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE OPERATOR FAMILY app.family USING btree;
CREATE ACCESS METHOD mine TYPE TABLE HANDLER heap_tableam_handler;
SELECT lo_from_bytea(0, decode(repeat('00ff5a', 5000), 'hex')), lo_from_bytea(0, ''), lo_from_bytea(0, 'text');
SELECT nextval('app.numbers'), nextval('app.numbers');
COMMENT ON TABLE app.customers IS 'Who buys; it''s "them"';
COMMENT ON COLUMN app.customers.name IS 'As they say it';
COMMENT ON SCHEMA app IS 'The application';
