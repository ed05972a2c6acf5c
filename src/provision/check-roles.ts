import type { Login } from "../config/config.ts";
import type { Finding } from "./finding.ts";
import type { RoleFact } from "./server-facts.ts";
import { identifier } from "./sql-text.ts";

/** A role that Twokey logs in as; `undefined` where the configuration doesn't say what it may. */
export interface OwnRole {
  readonly user: string;
  readonly may: Login["may"] | undefined;
}

/** Roles that can do more than they are for. */
export function checkRoles(facts: {
  readonly upstream: string;
  readonly database: string;
  readonly serverDatabase: string;
  readonly roles: readonly RoleFact[];
  readonly own: readonly OwnRole[];
}): Finding[] {
  const { upstream, roles, own } = facts;
  const where = `upstream ${upstream}`;
  return [
    ...own.flatMap((role) => {
      const fact = roles.find(({ name }) => name === role.user);
      return fact === undefined ? [missing(role, where)] : checkOwn(role, fact, facts);
    }),
    ...roles
      .filter(({ canLogin, mightyGroups }) => canLogin && mightyGroups.length > 0)
      .map(({ name, mightyGroups }): Finding => ({
        check: "mighty-membership",
        severity: mightyGroups.every((group) => TABLES_ONLY.has(group)) ? "medium" : "critical",
        where,
        what: `${name} is a member of ${mightyGroups.join(", ")}`,
        why: "that reaches past GRANTs, to the server's files and programs or to every table",
        fix: `REVOKE ${mightyGroups.map(identifier).join(", ")} FROM ${identifier(name)}; -- and from the groups that it is in`,
      })),
  ];
}

const TABLES_ONLY = new Set([
  "pg_read_all_data",
  "pg_write_all_data",
  "pg_signal_backend",
  "pg_maintain",
]);

function missing({ user }: OwnRole, where: string): Finding {
  return {
    check: "login-missing",
    severity: "high",
    where,
    what: `role ${user} is not there, or may not log in`,
    why: "nobody whose login it is gets a session",
    fix: "twokey provision --apply makes it",
  };
}

function checkOwn(
  { user, may }: OwnRole,
  role: RoleFact,
  {
    upstream,
    database,
    serverDatabase,
  }: { readonly upstream: string; readonly database: string; readonly serverDatabase: string },
): Finding[] {
  if (!role.canLogin) return [missing({ user, may }, `upstream ${upstream}`)];
  const mighty = Object.entries({
    SUPERUSER: role.isSuperuser,
    CREATEROLE: role.canCreateRole,
    CREATEDB: role.canCreateDatabase,
    REPLICATION: role.canReplicate,
    BYPASSRLS: role.bypassesRowSecurity,
  }).flatMap(([attribute, holds]) => (holds ? [attribute] : []));
  if (mighty.length > 0) {
    return [
      {
        check: "twokey-too-mighty",
        severity: role.isSuperuser ? "critical" : "high",
        where: `upstream ${upstream}`,
        what: `Twokey logs in as ${user}, which has ${mighty.join(", ")}`,
        why: "what no parser sees, such as SQL that a function makes, is stopped by the server's GRANTs alone, and these don't count for it",
        fix: `ALTER ROLE ${identifier(user)} ${mighty.map((attribute) => `NO${attribute}`).join(" ")}; -- and give databases.${database}.logins a role for each level: twokey provision`,
      },
    ];
  }
  if (may === undefined || may === "ddl") return [];
  const excess = [
    ...(may === "read_only" ? role.writable.map((name) => `write ${name}`) : []),
    ...role.creatable.map((name) => `create objects in schema ${name}`),
    ...role.definers.map((name) => `call ${name}, which runs as its owner`),
    ...(role.isOwner ? ["drop or alter what it owns"] : []),
  ];
  if (excess.length === 0) return [];
  return [
    {
      check: "login-exceeds-its-level",
      severity: "high",
      where: `database ${database}`,
      what: `${user}, which is ${may}, can ${excess.join("; ")}`,
      why: "whoever logs in as it could, by a function that no parser sees into",
      fix: `twokey provision --database ${database} --apply${role.isOwner ? `, after REASSIGN OWNED BY ${identifier(user)} TO ... in ${serverDatabase}` : ""}; what was granted by name: REVOKE`,
    },
  ];
}
