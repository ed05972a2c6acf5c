\pset format unaligned
SELECT g, md5(g::text), repeat(chr(97 + g % 26), g % 97) FROM generate_series(1, 20000) g;
SELECT repeat('x', 3000000) AS wide;
SELECT string_agg(md5(g::text), '') FROM generate_series(1, 50000) g;
\pset format aligned
SELECT array_agg(g) FROM generate_series(1, 3000) g;
\pset expanded on
SELECT * FROM generate_series(1, 200) a, LATERAL (SELECT a * a AS square, repeat('y', a) AS tail) b;
\pset expanded off
COPY (SELECT g, repeat('z', g % 200) FROM generate_series(1, 20000) g) TO STDOUT;
SELECT FROM generate_series(1, 5);
SELECT WHERE false;
\o /dev/null
SELECT g FROM generate_series(1, 100000) g;
\o
SELECT 'still in step';
