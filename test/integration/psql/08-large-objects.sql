SELECT lo_create(4711);
SELECT lo_put(4711, 0, 'some bytes');
SELECT lo_get(4711), lo_get(4711, 5, 3);
BEGIN;
SELECT lo_open(4711, 393216);
SELECT lowrite(0, '\x00ff');
SELECT lo_lseek(0, 0, 0), loread(0, 4), lo_tell(0);
SELECT lo_truncate(0, 3), lo_close(0);
COMMIT;
\lo_import :file 'from a file'
SELECT length(lo_get(:LASTOID));
\lo_export :LASTOID :export
\lo_unlink :LASTOID
\lo_export :LASTOID :export
\lo_import /nonexistent/file
SELECT lo_open(1, 262144);
SELECT lo_unlink(4711);
SELECT lo_unlink(4711);
\dl
