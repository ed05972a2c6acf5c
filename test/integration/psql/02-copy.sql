CREATE TABLE copied (id int, name text, price numeric, raw bytea, tags text[]);
COPY copied FROM STDIN;
1	plain	1.50	\\x00ff	{a,b}
2	\N	\N	\N	\N
3	tab\there	-7	\\x	{"with \\"quotes\\"",NULL}
\.
COPY copied FROM STDIN WITH (FORMAT csv, HEADER);
id,name,price,raw,tags
4,"a ""quoted"" word, and
a line",0.001,\x616263,{}
5,,,,
\.
COPY copied TO STDOUT;
COPY copied TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY (SELECT id, name FROM copied ORDER BY id DESC) TO STDOUT WITH (DELIMITER '|', NULL 'nil');
\copy copied TO STDOUT CSV
\copy copied (id, name) FROM STDIN
6	six
7	seven
\.
\copy (SELECT count(*), sum(id) FROM copied) TO STDOUT
COPY copied FROM STDIN;
8	bad	not a number	\N	\N
\.
COPY copied (id) FROM STDIN;
9	too many
\.
COPY nowhere FROM STDIN;
COPY copied TO STDOUT (FORMAT nonsense);
\copy copied TO pstdout
SELECT g, repeat('x', g) FROM generate_series(1, 5) g \g (format=unaligned tuples_only=on)
BEGIN;
COPY copied (id) FROM STDIN;
10
11
\.
ROLLBACK;
SELECT count(*) FROM copied;
SELECT 1\; COPY copied (id, name) TO STDOUT\; SELECT 2;
