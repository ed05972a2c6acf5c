import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { formatVerifier, makeVerifier } from "../auth/verifier.ts";
import { SQLSTATE, TwokeyError } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";
import type { Config } from "../config/config.ts";
import type { SecretSource } from "../config/secret-source.ts";
import { loadCredential } from "../upstream/credential.ts";
import type { Administrator } from "./administrator.ts";
import { credentialOf } from "./credentials.ts";
import { databaseOf, openAs, openAsAdministrator } from "./open-session.ts";
import { createPasswordFile } from "./password-file.ts";
import { secondLockSql } from "./second-lock-sql.ts";
import { provisionSql, type ProvisionedRole } from "./provision-sql.ts";

const PASSWORD_BYTES = 32;

/**
 * The SQL that makes the roles of a database's logins. Passwords are taken from where the configuration says that they
 * are, and go into it as verifiers only.
 *
 * @param makesPasswords - where a password's file is missing, makes one of its own with a random password; without
 *   it, such a role's password is left alone
 * @throws TwokeyError for a database without logins
 */
export async function planProvision(
  config: Config,
  name: string,
  { makesPasswords }: { readonly makesPasswords: boolean },
): Promise<{ readonly sql: string; readonly withoutPassword: readonly string[] }> {
  const { database, upstream } = databaseOf(config, name);
  if (database.logins.length === 0) {
    throw new TwokeyError(
      SQLSTATE.featureNotSupported,
      `database "${name}" has no logins, so there is no role to make`,
      { hint: `Say in databases.${name}.logins which roles log in as whom, and what they may do.` },
    );
  }
  const own = credentialOf(upstream);
  const wanted: (Omit<ProvisionedRole, "verifier"> & { source: SecretSource | undefined })[] = [
    ...database.logins.map(({ user, may, roles, password }) => ({
      user,
      may,
      purpose: `for ${roles.join(", ")}`,
      source: password,
    })),
  ];
  if (!wanted.some(({ user }) => user === own.user)) {
    wanted.push({
      user: own.user,
      may: "connect",
      purpose: "Twokey itself, which looks whether the server answers",
      source: own.source,
    });
  }
  const roles: ProvisionedRole[] = [];
  for (const { source, ...role } of wanted) {
    roles.push({ ...role, verifier: await verifierOf(source, makesPasswords) });
  }
  const { serverDatabase } = database.place;
  const withoutPassword = roles
    .filter(({ may, verifier }) => may !== "connect" && verifier === undefined)
    .map(({ user }) => user);
  const made = provisionSql(serverDatabase, roles);
  if (database.secondLock === undefined) return { sql: made, withoutPassword };
  const { user, password } = database.secondLock;
  const verifier = await verifierOf(password, makesPasswords);
  return {
    sql: `${made}\n\n${secondLockSql(serverDatabase, { user, verifier })}`,
    withoutPassword: [...withoutPassword, ...(verifier === undefined ? [user] : [])],
  };
}

/**
 * Runs that SQL, all of it or nothing.
 *
 * @param administrator - `undefined`: Twokey's own role, which must be a superuser then
 */
export async function applyProvision(
  config: Config,
  name: string,
  {
    sql,
    administrator,
  }: { readonly sql: string; readonly administrator: Administrator | undefined },
): Promise<void> {
  const { database, upstream } = databaseOf(config, name);
  const where = { upstream, database: database.place.serverDatabase };
  const session =
    administrator === undefined
      ? await openAs(credentialOf(upstream), where)
      : await openAsAdministrator(administrator, where);
  try {
    // Sent as one text, it is one transaction.
    await session.run(sql);
  } finally {
    session.close();
  }
}

async function verifierOf(
  source: SecretSource | undefined,
  makesPasswords: boolean,
): Promise<string | undefined> {
  if (source === undefined) return undefined;
  if (source.from === "file" && !existsSync(source.path)) {
    if (!makesPasswords) return undefined;
    createPasswordFile(source.path, new Secret(randomBytes(PASSWORD_BYTES).toString("base64url")));
  }
  return formatVerifier(await makeVerifier(loadCredential(source)));
}
