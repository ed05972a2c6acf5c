import { z } from "zod";
import { UpstreamRefused } from "../upstream/startup-messages.ts";
import { HIDDEN_SETTINGS } from "./provision-sql.ts";
import type { ServerSession } from "./server-session.ts";
import { literal } from "./sql-text.ts";

const role = z.object({
  name: z.string(),
  isSuperuser: z.boolean(),
  canLogin: z.boolean(),
  canCreateRole: z.boolean(),
  canCreateDatabase: z.boolean(),
  canReplicate: z.boolean(),
  bypassesRowSecurity: z.boolean(),
  /** Predefined or superuser roles that it is a member of, straight or through others. */
  mightyGroups: z.array(z.string()),
  /** In this database. */
  isOwner: z.boolean(),
  writable: z.array(z.string()),
  creatable: z.array(z.string()),
  definers: z.array(z.string()),
});
const hbaRule = z.object({
  line: z.number(),
  file: z.string(),
  type: z.string(),
  databases: z.array(z.string()),
  users: z.array(z.string()),
  address: z.string().nullable(),
  netmask: z.string().nullable(),
  method: z.string(),
});
const password = z.object({ role: z.string(), verifier: z.string() });
const setting = z.object({
  name: z.string(),
  value: z.string(),
  role: z.string().nullable(),
  database: z.string().nullable(),
});

export type RoleFact = z.output<typeof role>;
export type HbaRule = z.output<typeof hbaRule>;
export type PasswordFact = z.output<typeof password>;

/** What one server, looked at from one of its databases, says of itself. */
export interface ServerFacts {
  readonly roles: readonly RoleFact[];
  /** `undefined` where we may not look. */
  readonly hba: readonly HbaRule[] | undefined;
  readonly passwords: readonly PasswordFact[] | undefined;
  readonly hiddenSettings: readonly z.output<typeof setting>[];
  readonly settings: ReadonlyMap<string, string>;
  /** What PUBLIC has in this database. */
  readonly publicPrivileges: readonly {
    readonly on: string;
    readonly privileges: string;
  }[];
  readonly languages: readonly string[];
  readonly extensions: readonly string[];
  readonly replicas: readonly { readonly address: string }[];
  readonly logicalSlots: readonly string[];
}

/** Roles of PostgreSQL that reach beyond tables (PostgreSQL docs, "Predefined Roles"). */
const MIGHTY_ROLES = [
  "pg_execute_server_program",
  "pg_read_server_files",
  "pg_write_server_files",
  "pg_read_all_data",
  "pg_write_all_data",
  "pg_signal_backend",
  "pg_maintain",
  "pg_create_subscription",
];

const OWN = (schema: string): string =>
  `${schema} NOT LIKE 'pg\\_%' AND ${schema} <> 'information_schema'`;

/** @throws UpstreamRefused, UpstreamUnavailable; what needs more rights than the session has is `undefined` */
export async function readFacts(session: ServerSession): Promise<ServerFacts> {
  const names = async (query: string): Promise<string[]> =>
    (await session.rows(query, z.object({ name: z.string() }))).map(({ name }) => name);
  const settings = await session.rows(
    `SELECT name, setting AS value FROM pg_settings
     WHERE name IN ('ssl', 'listen_addresses', 'password_encryption')`,
    z.object({ name: z.string(), value: z.string() }),
  );
  return {
    roles: await session.rows(ROLES, role),
    hba: await ifAllowed(() => session.rows(HBA, hbaRule)),
    passwords: await ifAllowed(() => session.rows(PASSWORDS, password)),
    hiddenSettings: await session.rows(STORED_SETTINGS, setting),
    settings: new Map(settings.map(({ name, value }) => [name, value])),
    publicPrivileges: await session.rows(
      PUBLIC_PRIVILEGES,
      z.object({ on: z.string(), privileges: z.string() }),
    ),
    languages: await names(
      "SELECT lanname AS name FROM pg_language WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')",
    ),
    extensions: await names("SELECT extname AS name FROM pg_extension"),
    replicas: await session.rows(
      `SELECT coalesce(host(client_addr), 'its own machine') AS address FROM pg_stat_replication`,
      z.object({ address: z.string() }),
    ),
    logicalSlots: await names(
      "SELECT slot_name AS name FROM pg_replication_slots WHERE slot_type = 'logical'",
    ),
  };
}

const INSUFFICIENT_PRIVILEGE = "42501";

async function ifAllowed<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof UpstreamRefused && (error.sqlstate as string) === INSUFFICIENT_PRIVILEGE) {
      return undefined;
    }
    throw error;
  }
}

const few = (query: string): string => `ARRAY(${query} ORDER BY 1 LIMIT 3)`;

const ROLES = `
  SELECT r.rolname AS name, r.rolsuper AS "isSuperuser", r.rolcanlogin AS "canLogin",
    r.rolcreaterole AS "canCreateRole", r.rolcreatedb AS "canCreateDatabase",
    r.rolreplication AS "canReplicate", r.rolbypassrls AS "bypassesRowSecurity",
    ARRAY(SELECT g.rolname FROM pg_roles g
          WHERE (g.rolsuper OR g.rolname IN (${MIGHTY_ROLES.map(literal).join(", ")}))
            AND g.oid <> r.oid AND NOT r.rolsuper AND pg_has_role(r.oid, g.oid, 'MEMBER') ORDER BY 1) AS "mightyGroups",
    EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relowner = r.oid AND ${OWN("n.nspname")})
      OR EXISTS (SELECT FROM pg_database d WHERE d.datdba = r.oid AND d.datname = current_database()) AS "isOwner",
    ${few(`SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'p', 'v', 'f') AND ${OWN("n.nspname")}
             AND (has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                  OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE'))`)} AS writable,
    ${few(`SELECT n.nspname::text FROM pg_namespace n
           WHERE ${OWN("n.nspname")} AND has_schema_privilege(r.oid, n.oid, 'CREATE')`)} AS creatable,
    ${few(`SELECT format('%I.%I', n.nspname, p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE p.prosecdef AND ${OWN("n.nspname")} AND has_function_privilege(r.oid, p.oid, 'EXECUTE')`)} AS definers
  FROM pg_roles r WHERE r.rolname NOT LIKE 'pg\\_%'`;

// Rules that can't be read have no type; the server refuses to load them.
const HBA = `
  SELECT line_number AS line, current_setting('hba_file') AS file, type, database AS databases, user_name AS users,
    address, netmask, auth_method AS method
  FROM pg_hba_file_rules WHERE error IS NULL ORDER BY line_number`;

const PASSWORDS = `
  SELECT rolname AS role, rolpassword AS verifier FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL`;

const STORED_SETTINGS = `
  SELECT split_part(s.setting, '=', 1) AS name, substr(s.setting, strpos(s.setting, '=') + 1) AS value,
    r.rolname AS role, d.datname AS database
  FROM pg_db_role_setting c CROSS JOIN LATERAL unnest(c.setconfig) AS s(setting)
  LEFT JOIN pg_roles r ON r.oid = c.setrole LEFT JOIN pg_database d ON d.oid = c.setdatabase
  WHERE split_part(s.setting, '=', 1) IN (${HIDDEN_SETTINGS.map(literal).join(", ")})`;

const PUBLIC_PRIVILEGES = `
  SELECT format('DATABASE %I', d.datname) AS on, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges
  FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  WHERE d.datname = current_database() AND a.grantee = 0 GROUP BY 1
  UNION ALL
  SELECT format('SCHEMA %I', n.nspname), 'CREATE' FROM pg_namespace n
  WHERE ${OWN("n.nspname")} AND has_schema_privilege('public', n.oid, 'CREATE')
  UNION ALL
  SELECT format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname),
    string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) a
  WHERE ${OWN("n.nspname")} AND a.grantee = 0 GROUP BY 1
  UNION ALL
  SELECT format('ROUTINE %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    'EXECUTE'
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE p.prosecdef AND ${OWN("n.nspname")} AND has_function_privilege('public', p.oid, 'EXECUTE')`;
