/**
 * What is noted of a database, as queries that give the same on a true copy. A copy has other OIDs, and where its server
 * is of another major, other ways to print what it knows: so there is an identity, which no release changes, and a
 * definition, which is compared only between servers of one major.
 */

/** For the session that asks: the same value reads the same everywhere. */
export const SAME_EVERYWHERE = `
SET statement_timeout = 0; SET lock_timeout = '60s'; SET idle_in_transaction_session_timeout = 0;
SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex';
SET extra_float_digits = 1; SET lc_monetary = 'C'; SET synchronize_seqscans = off; SET row_security = off;
SET xmlbinary = 'base64'; SET xmloption = 'content'; SET search_path = pg_catalog;
SET application_name = 'twokey backup';
SELECT set_config(name, '10s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'`;

// Below are initdb's own, which every server has.
const USERS = `oid >= 16384`;

const NO_SYSTEM_SCHEMA = `NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`;

function privileges(column: string, kind: string, owner: string): string {
  return `(SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C")
    FROM unnest(coalesce(${column}, acldefault('${kind}', ${owner}))) a)`;
}

function sorted(array: string): string {
  return `(SELECT string_agg(o, ',' ORDER BY o COLLATE "C") FROM unnest(${array}) o)`;
}

/** Each: of which catalogue, which rows of it, and how one is defined. */
const CATALOGUES: readonly (readonly [catalogue: string, where: string, definition: string])[] = [
  [
    "pg_class",
    `relkind IN ('r','p','v','m','S','f','c','i','I') AND relnamespace::regnamespace::text ${NO_SYSTEM_SCHEMA}
     AND relnamespace::regnamespace::text !~ '^pg_(temp|toast_temp)_' AND relpersistence <> 't'`,
    `concat_ws(' ', relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, pg_get_userbyid(relowner),
     ${sorted("reloptions")},
     CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END,
     CASE WHEN relkind IN ('i', 'I') THEN pg_get_indexdef(oid) END,
     CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END,
     pg_get_expr(relpartbound, oid),
     CASE WHEN relkind = 'S' THEN (SELECT concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle)
       FROM pg_sequence WHERE seqrelid = pg_class.oid) END,
     CASE WHEN relkind IN ('r','p','v','m','S','f') THEN
       ${privileges("relacl", "r", "relowner").replace("'r'", `(CASE WHEN relkind = 'S' THEN 's' ELSE 'r' END)::"char"`)} END)`,
  ],
  [
    "pg_proc",
    // A range type's constructors come and go with it.
    "NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = pg_proc.oid AND i.deptype = 'i')",
    `concat_ws(' ', CASE WHEN prokind IN ('f', 'p', 'w') THEN pg_get_functiondef(oid) END, pg_get_userbyid(proowner),
     ${privileges("proacl", "f", "proowner")})`,
  ],
  [
    "pg_type",
    `typtype IN ('b','d','e','r') AND typcategory <> 'A'`,
    `concat_ws(' ', pg_get_userbyid(typowner), format_type(typbasetype, typtypmod), typnotnull, typdefault,
     (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid),
     ${privileges("typacl", "T", "typowner")})`,
  ],
  [
    "pg_constraint",
    `contype NOT IN ('n', 't')`,
    "concat_ws(' ', pg_get_constraintdef(oid), convalidated)",
  ],
  ["pg_rewrite", `rulename <> '_RETURN'`, "concat_ws(' ', pg_get_ruledef(oid), ev_enabled)"],
  ["pg_trigger", "NOT tgisinternal", "concat_ws(' ', pg_get_triggerdef(oid), tgenabled)"],
  [
    "pg_policy",
    "true",
    `concat_ws(' ', polcmd, polpermissive, (SELECT string_agg(coalesce(pg_get_userbyid(nullif(r, 0)), 'public'), ',' ORDER BY 1)
     FROM unnest(polroles) r), pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))`,
  ],
  [
    "pg_namespace",
    `nspname !~ '^pg_' AND nspname <> 'public'`,
    `concat_ws(' ', pg_get_userbyid(nspowner), ${privileges("nspacl", "n", "nspowner")})`,
  ],
  ["pg_extension", "true", "concat_ws(' ', extversion, extnamespace::regnamespace)"],
  [
    "pg_event_trigger",
    "true",
    "concat_ws(' ', evtevent, evtenabled, evtfoid::regprocedure, evttags::text)",
  ],
  [
    "pg_publication",
    "true",
    "concat_ws(' ', puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot)",
  ],
  ["pg_publication_rel", "true", "NULL"],
  [
    "pg_collation",
    "true",
    "concat_ws(' ', collprovider, collisdeterministic, collcollate, collctype)",
  ],
  ["pg_conversion", "true", "NULL"],
  ["pg_operator", "true", "NULL"],
  ["pg_opclass", "true", "NULL"],
  ["pg_opfamily", "true", "NULL"],
  ["pg_cast", "true", "concat_ws(' ', castcontext, castmethod)"],
  ["pg_language", "true", "NULL"],
  ["pg_am", "true", "NULL"],
  ["pg_ts_config", "true", "NULL"],
  ["pg_ts_dict", "true", "dictinitoption"],
  ["pg_ts_parser", "true", "NULL"],
  ["pg_ts_template", "true", "NULL"],
  ["pg_statistic_ext", "true", "pg_get_statisticsobjdef(oid)"],
  ["pg_foreign_data_wrapper", "true", sorted("fdwoptions")],
  ["pg_foreign_server", "true", sorted("srvoptions")],
  [
    "pg_default_acl",
    "true",
    "(SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(defaclacl) a)",
  ],
  ["pg_transform", "true", "NULL"],
];

/**
 * Rows `{identity, definition}`; definitions as MD5, since some are long. Releases differ in whether they write `pg_catalog.`
 * before names of their own.
 */
export const SCHEMA_OBJECTS = `
WITH members AS MATERIALIZED (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
objects AS (
${CATALOGUES.map(
  ([catalogue, where, definition]) =>
    `SELECT '${catalogue}'::regclass::oid AS classid, oid AS objid, (${definition})::text AS definition
     FROM pg_catalog.${catalogue} WHERE ${USERS} AND ${where}`,
).join("\nUNION ALL\n")}
), columns AS (
  SELECT 'column ' || attrelid::regclass::text || '.' || quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
      || CASE WHEN attnotnull THEN ' not null' ELSE '' END
      || CASE WHEN attidentity <> '' THEN ' identity ' || attidentity::text ELSE '' END
      || CASE WHEN attgenerated <> '' THEN ' generated ' || attgenerated::text ELSE '' END AS identity,
    concat_ws(' ', pg_get_expr(adbin, adrelid), attcollation::regcollation, attstorage, attcompression,
      array_to_string(attacl, ',')) AS definition
  FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE c.oid >= 16384 AND c.relkind IN ('r','p','v','m','f','c') AND attnum > 0 AND NOT attisdropped
    AND c.relnamespace::regnamespace::text ${NO_SYSTEM_SCHEMA} AND c.relnamespace::regnamespace::text !~ '^pg_(temp|toast_temp)_'
    AND NOT EXISTS (SELECT FROM members m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
), comments AS (
  SELECT 'comment on ' || i.type || ' ' || i.identity AS identity, description AS definition
  FROM pg_description d, LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
  WHERE d.objoid >= 16384 AND i.identity IS NOT NULL AND coalesce(i.schema, '') ${NO_SYSTEM_SCHEMA}
    AND NOT EXISTS (SELECT FROM members m WHERE m.classid = d.classoid AND m.objid = d.objoid)
    AND d.classoid <> 'pg_extension'::regclass
), subscriptions AS (
  SELECT 'subscription ' || quote_ident(subname) AS identity, NULL::text AS definition
  FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT i.type || ' ' || replace(i.identity, 'pg_catalog.', '') AS identity, md5(o.definition) AS definition
FROM objects o, LATERAL pg_identify_object(o.classid, o.objid, 0) i
WHERE i.identity IS NOT NULL AND NOT EXISTS (SELECT FROM members m WHERE m.classid = o.classid AND m.objid = o.objid)
UNION ALL SELECT identity, md5(definition) FROM columns
UNION ALL SELECT identity, md5(definition) FROM comments
UNION ALL SELECT identity, definition FROM subscriptions
ORDER BY 1`;

/** Rows `{name}`: tables whose rows a dump holds, qualified and quoted. */
export const TABLES = `
SELECT c.oid::regclass::text AS name
FROM pg_class c
WHERE c.relkind = 'r' AND c.oid >= 16384 AND c.relpersistence <> 't'
  AND c.relnamespace::regnamespace::text ${NO_SYSTEM_SCHEMA}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1`;

/** Rows `{name, last, ascending}`; sequences stand outside of snapshots, so a copy may be ahead, never behind. */
export const SEQUENCES = `
SELECT s.seqrelid::regclass::text AS name, coalesce(pg_sequence_last_value(s.seqrelid)::text, '') AS last,
  s.seqincrement > 0 AS ascending
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
WHERE c.oid >= 16384 AND c.relpersistence <> 't' ORDER BY 1`;

/** Rows `{name, super}`: whoever owns something here, or may do something; initdb's superuser stands in no pg_shdepend. */
export const ROLES = `
SELECT rolname AS name, rolsuper AS super FROM pg_roles WHERE oid = 10 OR oid IN (
  SELECT refobjid FROM pg_shdepend
  WHERE refclassid = 'pg_authid'::regclass AND refobjid >= 16384
    AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))
ORDER BY 1`;

/** One row: what `CREATE DATABASE` and `ALTER DATABASE` have to say of it. Columns have changed names over releases. */
export const DATABASE = `
SELECT pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collate, d.datctype AS ctype,
  coalesce(to_jsonb(d)->>'datlocprovider', 'c') AS provider,
  coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale') AS locale,
  pg_get_userbyid(d.datdba) AS owner,
  (SELECT coalesce(json_agg(s), '[]') FROM pg_db_role_setting r, unnest(r.setconfig) s
   WHERE r.setdatabase = d.oid AND r.setrole = 0) AS settings,
  (SELECT coalesce(json_agg(json_build_array(coalesce(pg_get_userbyid(nullif(a.grantee, 0)), ''), a.privilege_type, a.is_grantable)), '[]')
   FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a) AS privileges
FROM pg_database d WHERE d.datname = current_database()`;

// Sixteen hex digits of MD5 are enough against accident, and the sum does not depend on the order of rows.
function checksum(text: string): string {
  return `coalesce(sum(('x' || left(md5(${text}), 16))::bit(64)::bigint::numeric), 0)::text`;
}

const SAMPLE_ROWS = 10_000;

/** One row `{rows, checksum}`; `checksum` is null where only rows are counted. */
export function tableContents(table: string, contents: "all" | "sample" | "counts"): string {
  const rows = `(SELECT count(*) FROM ONLY ${table})`;
  switch (contents) {
    case "counts":
      return `SELECT ${rows} AS rows, NULL::text AS checksum`;
    case "all":
      return `SELECT count(*) AS rows, ${checksum("t::text")} AS checksum FROM ONLY ${table} t`;
    case "sample":
      // A dump reads and writes rows in stored order, so that the first of one are the first of the other.
      return `SELECT ${rows} AS rows, ${checksum("t::text")} AS checksum FROM (SELECT t FROM ONLY ${table} t LIMIT ${SAMPLE_ROWS}) s(t)`;
  }
}

/** One row `{rows, checksum}`. */
export function largeObjects(contents: "all" | "sample" | "counts"): string {
  if (contents === "counts")
    return "SELECT count(*) AS rows, NULL::text AS checksum FROM pg_largeobject_metadata";
  const some = contents === "sample" ? "LIMIT 1000" : "";
  return `SELECT (SELECT count(*) FROM pg_largeobject_metadata) AS rows,
    ${checksum("oid::text || encode(sha256(lo_get(oid)), 'hex')")} AS checksum
    FROM (SELECT oid FROM pg_largeobject_metadata ORDER BY oid ${some}) l`;
}
