import { z } from "zod";
import { literal } from "../provision/sql-text.ts";

export const serverQuery = `
  SELECT pg_catalog.current_setting('server_version') AS version,
         pg_catalog.pg_is_in_recovery() AS is_standby`;

export const serverRow = z.object({ version: z.string(), is_standby: z.boolean() });

/** Of the database that we are connected to, and of others that the statements name. */
export function clientsQuery(databases: readonly string[]): string {
  const names = ["pg_catalog.current_database()", ...databases.map((name) => literal(name))];
  return `
    SELECT d.datname AS database,
           count(a.pid)::int AS connections,
           (count(a.pid) FILTER (WHERE a.state = 'active'))::int AS active
    FROM pg_catalog.pg_database d
    LEFT JOIN pg_catalog.pg_stat_activity a
      ON a.datid = d.oid AND a.backend_type = 'client backend' AND a.application_name <> ${literal(APPLICATION_NAME)}
    WHERE d.datname IN (${names.join(", ")})
    GROUP BY d.datname ORDER BY d.datname`;
}

/** What our own sessions call themselves, so that they don't count themselves. */
export const APPLICATION_NAME = "twokey impact";

export const clientsRow = z.object({
  database: z.string(),
  connections: z.int(),
  active: z.int(),
});

export const replicasQuery = `
  SELECT COALESCE(application_name, '') AS name, COALESCE(state, 'unknown') AS state,
         CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL
              ELSE pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)::bigint END AS lag_bytes
  FROM pg_catalog.pg_stat_replication ORDER BY 1, 2 LIMIT 50`;

export const replicasRow = z.object({
  name: z.string(),
  state: z.string(),
  lag_bytes: z.int().nullable(),
});
