CREATE TEMP TABLE gone (a int);
SET work_mem = '3MB';
\connect
TABLE gone;
SHOW work_mem;
SELECT pg_terminate_backend(pg_backend_pid());
\echo after the end
SELECT 'and back';
