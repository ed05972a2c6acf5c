import { z } from "zod";
import type { ServerSession } from "../provision/server-session.ts";
import { identifier, literal } from "../provision/sql-text.ts";
import { BackupFailed } from "./backup-failed.ts";
import type { Note } from "./note.ts";

type Described = Note["database"];

/** Makes an empty one like that which was dumped. @throws BackupFailed when there is one of that name already */
export async function createDatabase(
  session: ServerSession,
  name: string,
  { like, keepsLocale }: { readonly like: Described; readonly keepsLocale: boolean },
): Promise<void> {
  const [there] = await session.rows(
    `SELECT FROM pg_database WHERE datname = ${literal(name)}`,
    z.object({}),
  );
  if (there !== undefined) {
    throw new BackupFailed(`database "${name}" exists, and nothing is ever restored over one`, {
      hint: "restore beside it under another name, look at it, then swap the names through Twokey, which asks a second person",
    });
  }
  await session.run(
    `CREATE DATABASE ${identifier(name)} TEMPLATE template0 ENCODING ${literal(like.encoding)} ` +
      (keepsLocale ? locale(like) : "LC_COLLATE 'C' LC_CTYPE 'C'"),
  );
}

function locale({ collate, ctype, provider, locale: its }: Described): string {
  const libc = `LC_COLLATE ${literal(collate)} LC_CTYPE ${literal(ctype)}`;
  if (provider === "i" && its !== null) {
    return `LOCALE_PROVIDER icu ICU_LOCALE ${literal(its)} ${libc}`;
  }
  if (provider === "b" && its !== null) {
    return `LOCALE_PROVIDER builtin BUILTIN_LOCALE ${literal(its)} ${libc}`;
  }
  return libc;
}

/** Settings, privileges and the owner, which a dump of one database leaves out. In one transaction. */
export async function completeDatabase(
  session: ServerSession,
  name: string,
  { settings, privileges, owner }: Described,
): Promise<void> {
  const database = identifier(name);
  const statements = [
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,
    ...privileges.map(
      ([grantee, privilege, isGrantable]) =>
        `GRANT ${keyword(privilege)} ON DATABASE ${database} TO ` +
        `${grantee === "" ? "PUBLIC" : identifier(grantee)}${isGrantable ? " WITH GRANT OPTION" : ""}`,
    ),
    ...settings.map((setting) => {
      const at = setting.indexOf("=");
      return `ALTER DATABASE ${database} SET ${identifier(setting.slice(0, at))} TO ${valueOf(setting, at)}`;
    }),
    `ALTER DATABASE ${database} OWNER TO ${identifier(owner)}`,
  ];
  await session.run(statements.join("; "));
}

/** As pg_dump has it: these settings are lists, stored as they are to be written. */
const LISTS = new Set([
  "datestyle",
  "search_path",
  "temp_tablespaces",
  "session_preload_libraries",
  "local_preload_libraries",
  "unix_socket_directories",
]);

function valueOf(setting: string, at: number): string {
  const value = setting.slice(at + 1);
  const isList = LISTS.has(setting.slice(0, at).toLowerCase());
  if (!isList) return literal(value);
  return (value.match(/"(?:[^"]|"")*"|[^,\s][^,]*/g) ?? [""])
    .map((one) =>
      literal(one.startsWith('"') ? one.slice(1, -1).replaceAll('""', '"') : one.trim()),
    )
    .join(", ");
}

function keyword(privilege: string): string {
  if (!/^[A-Z ]+$/.test(privilege)) throw new BackupFailed(`"${privilege}" is no privilege`);
  return privilege;
}

/**
 * Those that are not there are made, without a way to log in. Some objects can belong to a superuser only.
 *
 * @returns which were
 */
export async function createRoles(
  session: ServerSession,
  roles: Note["roles"],
): Promise<readonly string[]> {
  const there = await session.rows(
    "SELECT rolname AS name FROM pg_roles",
    z.object({ name: z.string() }),
  );
  const known = new Set(there.map(({ name }) => name));
  const missing = roles.filter(({ name }) => !known.has(name));
  for (const role of missing) {
    const may = role.super ? "SUPERUSER" : "NOSUPERUSER";
    await session.run(`CREATE ROLE ${identifier(role.name)} NOLOGIN ${may}`);
  }
  return missing.map(({ name }) => name);
}
