import { z } from "zod";
import { literal } from "../provision/sql-text.ts";

/**
 * The objects that DROP … CASCADE of this one would take, by the same two ways as the server goes: to what depends on
 * it, and from a part to the whole that it is internal to (a view's rule to its view).
 *
 * @param root - of pg_class, pg_namespace, …: `'pg_class'::regclass, 16384`
 */
export function dependentsQuery(root: {
  readonly catalogue: string;
  readonly oid: number;
}): string {
  const { catalogue, oid } = root;
  return `
    WITH RECURSIVE gone (classid, objid) AS (
      SELECT ${literal(catalogue)}::pg_catalog.regclass::oid, ${oid}::oid
      UNION
      SELECT next.classid, next.objid
      FROM gone, LATERAL (
        SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
        WHERE d.refclassid = gone.classid AND d.refobjid = gone.objid AND d.deptype <> 'p'
        UNION ALL
        SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d
        WHERE d.classid = gone.classid AND d.objid = gone.objid AND d.deptype = 'i'
      ) AS next
    ),
    others AS (
      SELECT i.type, i.identity FROM gone
      CROSS JOIN LATERAL pg_catalog.pg_identify_object(classid, objid, 0) AS i
      WHERE (classid, objid) <> (${literal(catalogue)}::pg_catalog.regclass::oid, ${oid}::oid)
        AND i.type IN ('table', 'view', 'materialized view', 'foreign table', 'sequence', 'function', 'procedure',
                       'aggregate', 'table constraint', 'trigger', 'policy', 'type', 'domain', 'extension', 'rule')
        -- The row type, and what is written at the table itself, are no news.
        AND NOT (i.type = 'type' AND EXISTS (
          SELECT FROM pg_catalog.pg_type t WHERE t.oid = objid AND (t.typrelid <> 0 OR t.typelem <> 0)))
        AND NOT (i.type = 'table constraint' AND EXISTS (
          SELECT FROM pg_catalog.pg_constraint c
          JOIN gone g ON g.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND g.objid = c.conrelid
          WHERE c.oid = gone.objid))
        AND NOT (i.type = 'trigger' AND EXISTS (
          SELECT FROM pg_catalog.pg_trigger t
          JOIN gone g ON g.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND g.objid = t.tgrelid
          WHERE t.oid = gone.objid))
        AND NOT (i.type = 'trigger' AND EXISTS (
          SELECT FROM pg_catalog.pg_trigger t WHERE t.oid = gone.objid AND t.tgisinternal))
        AND NOT (i.type = 'rule' AND EXISTS (
          SELECT FROM pg_catalog.pg_rewrite r WHERE r.oid = gone.objid AND r.rulename = '_RETURN'))
        AND i.identity NOT LIKE 'pg_toast.%'
    )
    SELECT (SELECT count(*)::int FROM others) AS count,
           COALESCE((SELECT json_agg(name) FROM (
             SELECT type || ' ' || identity AS name FROM others ORDER BY type, identity LIMIT ${MAX_NAMED}
           ) AS named), '[]'::json) AS first`;
}

const MAX_NAMED = 20;

export const dependentsRow = z.object({ count: z.int(), first: z.array(z.string()) });
