import type { Login } from "../config/config.ts";
import { identifier, literal } from "./sql-text.ts";

type May = Login["may"];

/** A role that has to be there. */
export interface ProvisionedRole {
  readonly user: string;
  /** `connect`: Twokey's own, which no person gets where there are logins. */
  readonly may: May | "connect";
  /** For the reader. */
  readonly purpose: string;
  /** PostgreSQL's form of a SCRAM-SHA-256 password; `undefined` leaves the password as it is. */
  readonly verifier: string | undefined;
}

/** What the server lets each level do. What a role doesn't own, it can't drop or alter, whichever function tries. */
const PRIVILEGES = {
  read_only: {
    database: "CONNECT",
    schema: "USAGE",
    table: "SELECT",
    sequence: "SELECT",
  },
  read_write: {
    database: "CONNECT, TEMPORARY",
    schema: "USAGE",
    table: "SELECT, INSERT, UPDATE, DELETE",
    sequence: "USAGE, SELECT, UPDATE",
  },
  ddl: {
    database: "CONNECT, TEMPORARY",
    schema: "USAGE, CREATE",
    table: "SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRIGGER",
    sequence: "USAGE, SELECT, UPDATE",
  },
} as const satisfies Record<May, Record<"database" | "schema" | "table" | "sequence", string>>;

/**
 * Settings that change how text is read, or whose code runs at log-in, when they are stored for a role or a database:
 * as nobody sees them in a session, they have no place there.
 */
export const HIDDEN_SETTINGS = [
  "standard_conforming_strings",
  "backslash_quote",
  "client_encoding",
  "session_replication_role",
  "session_preload_libraries",
  "local_preload_libraries",
  "dynamic_library_path",
  "role",
] as const;

/**
 * SQL that makes these roles what they should be in one database, whatever they were before. To be run there by a
 * superuser, in one transaction; running it again changes nothing.
 */
export function provisionSql(database: string, roles: readonly ProvisionedRole[]): string {
  const logins = roles.filter(
    (role): role is ProvisionedRole & { may: May } => role.may !== "connect",
  );
  return [
    ...roles.map(roleSql),
    ...logins.map(limitsSql),
    settingsSql(
      database,
      roles.map(({ user }) => user),
    ),
    databaseSql(database, roles),
    schemasSql(logins),
    definersSql(),
    futureSql(logins),
  ].join("\n\n");
}

function roleSql({ user, may, purpose, verifier }: ProvisionedRole): string {
  const attributes = verifier === undefined ? "LOGIN" : `LOGIN PASSWORD ${literal(verifier)}`;
  const lines = [
    `-- ${oneLine(user)}: ${may}, ${oneLine(purpose)}`,
    block(`BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${literal(user)}) THEN
    CREATE ROLE ${identifier(user)} ${attributes};
  END IF;
END`),
    // Twokey's own may be somebody else's, too: where it is there, it stays as it is.
    ...(may === "connect" ? [] : [`ALTER ROLE ${identifier(user)} ${attributes};`]),
  ];
  return lines.join("\n");
}

/** Nothing of a superuser's, no roles beside its own, and, unless it may create them, no objects. */
function limitsSql({ user, may }: ProvisionedRole & { readonly may: May }): string {
  const role = literal(user);
  const owns =
    may === "ddl"
      ? ""
      : `
  IF EXISTS (SELECT FROM pg_catalog.pg_shdepend d
             JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid AND r.rolname = ${role}
             WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.deptype = 'o') THEN
    RAISE EXCEPTION 'role % owns objects, so it may drop them', ${role}
      USING HINT = 'REASSIGN OWNED BY it TO the role that should own them, in each database.';
  END IF;`;
  const memberships = may === "ddl" ? ` AND g.rolname LIKE 'pg\\_%'` : "";
  return block(`DECLARE
  membership record;
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${role}
             AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)) THEN
    ALTER ROLE ${identifier(user)} NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;
  END IF;
  FOR membership IN
    SELECT g.rolname AS name, b.rolname AS grantor
    FROM pg_catalog.pg_auth_members m
    JOIN pg_catalog.pg_roles r ON r.oid = m.member AND r.rolname = ${role}
    JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
    JOIN pg_catalog.pg_roles b ON b.oid = m.grantor
    WHERE true${memberships}
  LOOP
    EXECUTE pg_catalog.format('REVOKE %I FROM ${forFormat(identifier(user))} GRANTED BY %I', membership.name, membership.grantor);
  END LOOP;${owns}
END`);
}

function settingsSql(database: string, users: readonly string[]): string {
  const names = HIDDEN_SETTINGS.map(literal).join(", ");
  return `-- settings that nobody would see
${block(`DECLARE
  stored record;
BEGIN
  FOR stored IN
    SELECT r.rolname AS role, d.datname AS base, pg_catalog.split_part(s.setting, '=', 1) AS name
    FROM pg_catalog.pg_db_role_setting c
    CROSS JOIN LATERAL pg_catalog.unnest(c.setconfig) AS s(setting)
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.setrole
    LEFT JOIN pg_catalog.pg_database d ON d.oid = c.setdatabase
    WHERE pg_catalog.split_part(s.setting, '=', 1) IN (${names})
      AND (r.rolname IN (${users.map(literal).join(", ")}) OR r.rolname IS NULL)
      AND (d.datname = ${literal(database)} OR d.datname IS NULL)
  LOOP
    IF stored.role IS NULL AND stored.base IS NULL THEN
      EXECUTE pg_catalog.format('ALTER ROLE ALL RESET %I', stored.name);
    ELSIF stored.role IS NULL THEN
      EXECUTE pg_catalog.format('ALTER DATABASE %I RESET %I', stored.base, stored.name);
    ELSIF stored.base IS NULL THEN
      EXECUTE pg_catalog.format('ALTER ROLE %I RESET %I', stored.role, stored.name);
    ELSE
      EXECUTE pg_catalog.format('ALTER ROLE %I IN DATABASE %I RESET %I', stored.role, stored.base, stored.name);
    END IF;
  END LOOP;
END`)}`;
}

function databaseSql(database: string, roles: readonly ProvisionedRole[]): string {
  const lines = roles.map(({ user, may }) => {
    const privileges = may === "connect" ? "CONNECT" : PRIVILEGES[may].database;
    return `GRANT ${privileges} ON DATABASE ${identifier(database)} TO ${identifier(user)};`;
  });
  const taken = roles
    .filter(({ may }) => may !== "connect")
    .map(({ user }) => `REVOKE ALL ON DATABASE ${identifier(database)} FROM ${identifier(user)};`);
  return [
    "-- who may connect",
    `REVOKE ALL ON DATABASE ${identifier(database)} FROM PUBLIC;`,
    ...taken,
    ...lines,
  ].join("\n");
}

/** On what there is: everybody loses what PUBLIC has, and each login gets what its level says. */
function schemasSql(logins: readonly (ProvisionedRole & { readonly may: May })[]): string {
  const statements = [
    "REVOKE CREATE ON SCHEMA %1$I FROM PUBLIC",
    "REVOKE ALL ON ALL TABLES IN SCHEMA %1$I FROM PUBLIC",
    "REVOKE ALL ON ALL SEQUENCES IN SCHEMA %1$I FROM PUBLIC",
    ...logins.flatMap(({ user, may }) => {
      const role = forFormat(identifier(user));
      const { schema, table, sequence } = PRIVILEGES[may];
      // Who creates objects owns some, and an owner's privileges are not ours to take.
      const taken =
        may === "ddl"
          ? []
          : [
              `REVOKE ALL ON SCHEMA %1$I FROM ${role}`,
              `REVOKE ALL ON ALL TABLES IN SCHEMA %1$I FROM ${role}`,
              `REVOKE ALL ON ALL SEQUENCES IN SCHEMA %1$I FROM ${role}`,
            ];
      return [
        ...taken,
        `GRANT ${schema} ON SCHEMA %1$I TO ${role}`,
        `GRANT ${table} ON ALL TABLES IN SCHEMA %1$I TO ${role}`,
        `GRANT ${sequence} ON ALL SEQUENCES IN SCHEMA %1$I TO ${role}`,
      ];
    }),
  ];
  return `-- what there is
${block(`DECLARE
  its_name name;
BEGIN
  FOR its_name IN ${OWN_SCHEMAS} LOOP
${statements.map((text) => `    EXECUTE pg_catalog.format(${literal(text)}, its_name);`).join("\n")}
  END LOOP;
END`)}`;
}

/** A function that runs as its owner is a way up for everybody who may call it. */
function definersSql(): string {
  return `-- functions that run as their owner: GRANT EXECUTE, by name, to who needs one
${block(`DECLARE
  its_name text;
BEGIN
  FOR its_name IN
    SELECT pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  LOOP
    EXECUTE 'REVOKE EXECUTE ON ROUTINE ' OPERATOR(pg_catalog.||) its_name OPERATOR(pg_catalog.||) ' FROM PUBLIC';
  END LOOP;
END`)}`;
}

/** On what will be: for everybody who owns something here by now, or may create it. */
function futureSql(logins: readonly (ProvisionedRole & { readonly may: May })[]): string {
  const statements = logins.flatMap(({ user, may }) => {
    const role = forFormat(identifier(user));
    const { schema, table, sequence } = PRIVILEGES[may];
    return [
      [user, `GRANT ${schema} ON SCHEMAS TO ${role}`],
      [user, `GRANT ${table} ON TABLES TO ${role}`],
      [user, `GRANT ${sequence} ON SEQUENCES TO ${role}`],
    ] as const;
  });
  const creators = logins.filter(({ may }) => may === "ddl").map(({ user }) => literal(user));
  return `-- what will be
${block(`DECLARE
  creator name;
BEGIN
  FOR creator IN
    SELECT r.rolname FROM pg_catalog.pg_roles r
    WHERE r.rolname NOT LIKE 'pg\\_%' AND (r.oid IN (
      SELECT c.relowner FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
      UNION SELECT n.nspowner FROM pg_catalog.pg_namespace n
      UNION SELECT d.datdba FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
    )${creators.length === 0 ? "" : ` OR r.rolname IN (${creators.join(", ")})`})
  LOOP
${statements
  .map(([user, text]) => {
    const sql = literal(`ALTER DEFAULT PRIVILEGES FOR ROLE %I ${text}`);
    return `    IF creator <> ${literal(user)} THEN EXECUTE pg_catalog.format(${sql}, creator); END IF;`;
  })
  .join("\n")}
  END LOOP;
END`)}`;
}

const OWN_SCHEMAS =
  "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'";

/** A DO block whose quotes nothing in it can end. */
function block(body: string): string {
  let tag = "$twokey$";
  while (body.includes(tag)) tag = `$${tag.slice(1, -1)}_$`;
  return `DO ${tag}\n${body}\n${tag};`;
}

/** In format(), `%` begins a place to fill. */
function forFormat(text: string): string {
  return text.replaceAll("%", "%%");
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]/g, " ");
}
