\set ON_ERROR_STOP on
CREATE TABLE before (a int);
\echo before
SELECT 1/0;
\echo never reached
CREATE TABLE after (a int);
