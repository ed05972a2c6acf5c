-- What every client finds in the database shop.
CREATE TABLE items (
  id int PRIMARY KEY,
  name text NOT NULL,
  price numeric(10, 2),
  tags text[],
  CONSTRAINT price_is_not_negative CHECK (price >= 0)
);
INSERT INTO items
SELECT g, 'item ' || g, g * 1.25, ARRAY['tag ' || g % 3, NULL, 'with "quotes", and \']
FROM generate_series(1, 100) g;

CREATE TYPE mood AS ENUM ('sad', 'happy ☃');
CREATE TYPE point3 AS (x int, y text);
CREATE TABLE everything (
  id int PRIMARY KEY,
  a_bool bool,
  a_smallint smallint,
  an_int int,
  a_bigint bigint,
  a_real real,
  a_double double precision,
  a_numeric numeric,
  a_text text,
  a_varchar varchar(20),
  a_char char(5),
  a_bytea bytea,
  a_date date,
  a_time time,
  a_timestamp timestamp,
  a_timestamptz timestamptz,
  an_interval interval,
  a_uuid uuid,
  a_json json,
  a_jsonb jsonb,
  an_inet inet,
  a_cidr cidr,
  an_int_array int[],
  a_text_array text[],
  a_range int4range,
  an_enum mood,
  a_composite point3,
  a_point point,
  a_bit bit varying(8),
  an_xml xml,
  a_tsvector tsvector
);
INSERT INTO everything VALUES
  (1, true, 1, 2, 3, 1.5, 2.25, 123.4500, 'text with '' and " and \ and 日本 and 😀', 'varying', 'char', '\x00ff5c27',
   '2026-01-02', '03:04:05.678', '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05.678901+02', '1 year 2 days 03:04:05',
   'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, null, "ü"]}', '{"b": {"c": 1.50}}', '192.168.0.1/24', '10.0.0.0/8',
   '{1,NULL,-3}', '{"a b",NULL,"c,d","NULL"}', '[1,10)', 'happy ☃', '(1,"two, three")', '(1.5,-2)', '10110', '<a>b</a>',
   'a:1 cat:2'),
  (2, false, -32768, -2147483648, -9223372036854775808, -1e-30, -1e300, -99999999999999999999.999999999999, '', '', '', '',
   '0001-01-01', '00:00:00', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', '-1 day', '00000000-0000-0000-0000-000000000000',
   '[]', '{}', '::1', '::/0', '{}', '{}', 'empty', 'sad', '(,)', '(0,0)', '', '<e/>', ''),
  (3, true, 32767, 2147483647, 9223372036854775807, 3.4e38, 1.7e308, 1e60, repeat('long ', 2000), '12345678901234567890', 'abcde',
   decode(repeat('00ff', 500), 'hex'), '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999',
   '9999-12-31 23:59:59.999999+00', '10 years', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'null', '"string"', '255.255.255.255',
   '::1/128', ARRAY(SELECT generate_series(1, 500)), ARRAY['😀'], '(,)', 'sad', '(2147483647,)', '(1e10,1e-10)', '11111111',
   '<x y="z"/>', 'fat:2,4 rat:5A'),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item int REFERENCES items, body text);
CREATE INDEX notes_of_item ON notes (item);
CREATE VIEW cheap AS SELECT id, name FROM items WHERE price < 10;
