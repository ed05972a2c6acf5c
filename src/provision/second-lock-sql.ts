import { identifier, literal } from "./sql-text.ts";

/**
 * What a cleared statement is known by: a session-wide advisory lock that the second lock's own role holds while it
 * runs. Its key is the first eight bytes of SHA-256 over `<pid>:<text>`, `pid` being the server process that runs the text.
 *
 * INVARIANT: `clearanceKey` in `server/second-lock.ts` computes the same.
 */
const KEY_SQL =
  "('x' OPERATOR(pg_catalog.||) pg_catalog.substr(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(" +
  "pg_catalog.pg_backend_pid()::text OPERATOR(pg_catalog.||) ':' OPERATOR(pg_catalog.||) pg_catalog.current_query(), 'UTF8')), 'hex'), 1, 16))" +
  "::bit(64)::bigint";

/**
 * SQL for the second lock in one database: an event trigger that refuses to drop anything but by statements that Twokey
 * has cleared, so that what a function hides is stopped by the server. A session can neither take the clearing role's
 * locks nor see a secret: there is none. Superusers are let through, as they could remove the trigger. To be run by a
 * superuser; running it again changes nothing.
 *
 * @param user - the role that clears, which does nothing else
 */
export function secondLockSql(
  database: string,
  { user, verifier }: { readonly user: string; readonly verifier: string | undefined },
): string {
  const attributes = `LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOINHERIT${
    verifier === undefined ? "" : ` PASSWORD ${literal(verifier)}`
  }`;
  return `-- ${user.replaceAll(/[\r\n]/g, " ")}: clears what Twokey lets drop
DO $twokey$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${literal(user)}) THEN
    CREATE ROLE ${identifier(user)};
  END IF;
END
$twokey$;
ALTER ROLE ${identifier(user)} ${attributes};
GRANT CONNECT ON DATABASE ${identifier(database)} TO ${identifier(user)};

CREATE SCHEMA IF NOT EXISTS twokey;
REVOKE ALL ON SCHEMA twokey FROM PUBLIC;

CREATE OR REPLACE FUNCTION twokey.refuse_uncleared() RETURNS event_trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $twokey_function$
DECLARE
  dropped record;
  key bigint := ${KEY_SQL};
BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user) THEN
    RETURN;
  END IF;
  SELECT object_type, object_identity INTO dropped
    FROM pg_catalog.pg_event_trigger_dropped_objects() WHERE NOT is_temporary LIMIT 1;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF EXISTS (
    SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
      AND (l.classid::bigint << 32 | l.objid::bigint) = key
      AND a.usename = ${literal(user)}
  ) THEN
    RETURN;
  END IF;
  RAISE EXCEPTION 'twokey: dropping % % was not cleared', dropped.object_type, dropped.object_identity
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'Drop it by a statement of its own through Twokey, not by a function or around it.';
END
$twokey_function$;
REVOKE ALL ON FUNCTION twokey.refuse_uncleared() FROM PUBLIC;

DO $twokey$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtname = 'twokey_second_lock') THEN
    CREATE EVENT TRIGGER twokey_second_lock ON sql_drop EXECUTE FUNCTION twokey.refuse_uncleared();
  END IF;
END
$twokey$;
ALTER EVENT TRIGGER twokey_second_lock ENABLE ALWAYS;`;
}
