import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import type { Secret } from "../base/secret.ts";
import type { DatabaseBackup } from "../config/backups.ts";
import type { Host, Upstream } from "../config/config.ts";
import { credentialOf, type Credential } from "../provision/credentials.ts";
import { openWith } from "../provision/open-session.ts";
import type { ServerSession } from "../provision/server-session.ts";
import { withStoredPassword } from "../provision/stored-password.ts";
import { BackupFailed } from "./backup-failed.ts";
import { SAME_EVERYWHERE } from "./note-sql.ts";

/** A way into one database of a server, with what libpq needs to go the same way. */
export interface ServerLogin {
  readonly upstream: Upstream;
  /** The host that was reached: another of the upstream's knows nothing of this one's snapshots. */
  readonly host: Host;
  readonly user: string;
  readonly password: Secret | undefined;
  readonly database: string;
  readonly session: ServerSession;
  readonly version: string;
  readonly major: number;
}

/** @throws UpstreamRefused, UpstreamUnavailable */
export async function openLogin(
  { upstream, database }: { readonly upstream: Upstream; readonly database: string },
  credential: Credential,
): Promise<ServerLogin> {
  let failure: unknown;
  for (const host of upstream.hosts) {
    try {
      return await withStoredPassword(credential, async (load) => {
        let password: Secret | undefined;
        const session = await openWith(
          { user: credential.user, password: async () => (password = await load()) },
          { upstream: { ...upstream, hosts: [host] }, database },
        );
        return describe(session, { upstream, host, user: credential.user, password, database });
      });
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure instanceof Error ? failure : new BackupFailed("the upstream has no host");
}

/** Who the dump logs in as. */
export function backupCredential(
  { login, database }: DatabaseBackup,
  upstream: Upstream,
): Credential {
  if (login === undefined) return credentialOf(upstream);
  return {
    upstream: upstream.name,
    user: login.user,
    source: login.password,
    name: `backups.databases.${database}.login`,
  };
}

/** As that of another session, in another database. */
export async function openBeside(login: ServerLogin, database: string): Promise<ServerLogin> {
  const { upstream, host, user, password } = login;
  const session = await openWith(
    { user, password: () => Promise.resolve(passwordOf(login)) },
    { upstream: { ...upstream, hosts: [host] }, database },
  );
  return describe(session, { upstream, host, user, password, database });
}

export async function describe(
  session: ServerSession,
  login: Omit<ServerLogin, "session" | "version" | "major">,
): Promise<ServerLogin> {
  try {
    await session.run(SAME_EVERYWHERE);
    const [found] = await session.rows(
      "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version",
      z.object({ number: z.int(), version: z.string() }),
    );
    if (found === undefined) throw new BackupFailed("the server does not tell its version");
    const version = /^\d+\.?\d*/.exec(found.version)?.[0] ?? found.version;
    return { ...login, session, version, major: Math.floor(found.number / 10_000) };
  } catch (error) {
    session.close();
    throw error;
  }
}

/**
 * The environment by which libpq's programs log in the same way. The password is in a file that goes when `use` is done:
 * arguments and environments can be read by others (PostgreSQL docs, "Environment Variables").
 */
export async function withLibpq<T>(
  login: Omit<ServerLogin, "session" | "version" | "major">,
  { clientMajor }: { readonly clientMajor: number },
  use: (environment: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const { upstream, host, user, password, database } = login;
  const folder = await mkdtemp(join(tmpdir(), "twokey-backup-"));
  try {
    const passwordFile = join(folder, "pgpass");
    const escaped = password?.reveal().replaceAll(/[\\:]/g, "\\$&") ?? "";
    await writeFile(passwordFile, `*:*:*:*:${escaped}\n`, { mode: 0o600 });
    return await use({
      ...hostVariables(host),
      ...tlsVariables(upstream.tls, { clientMajor, isUnix: host.kind === "unix" }),
      PGUSER: user,
      PGDATABASE: database,
      PGPASSFILE: passwordFile,
      PGAPPNAME: "twokey backup",
      PGCONNECT_TIMEOUT: String(Math.max(2, Math.ceil(upstream.connectTimeoutMs / 1000))),
      PGOPTIONS: "-c statement_timeout=0 -c lock_timeout=60s",
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function hostVariables(host: Host): Record<string, string> {
  return host.kind === "tcp"
    ? { PGHOST: host.host, PGPORT: String(host.port) }
    : { PGHOST: dirname(host.path), PGPORT: basename(host.path).replace(/^.*\./, "") };
}

const SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

function tlsVariables(
  { mode, caFile, certFile, keyFile, isDirect }: Upstream["tls"],
  { clientMajor, isUnix }: { readonly clientMajor: number; readonly isUnix: boolean },
): Record<string, string> {
  if (isUnix || mode === "disable") return { PGSSLMODE: "disable" };
  const authorities =
    caFile ??
    // `system` is new in 16, and goes with verify-full only.
    (clientMajor >= 16 && mode === "verify-full"
      ? "system"
      : mode.startsWith("verify") && existsSync(SYSTEM_AUTHORITIES)
        ? SYSTEM_AUTHORITIES
        : undefined);
  return {
    PGSSLMODE: mode,
    ...(authorities !== undefined && { PGSSLROOTCERT: authorities }),
    ...(certFile !== undefined && { PGSSLCERT: certFile }),
    ...(keyFile !== undefined && { PGSSLKEY: keyFile }),
    ...(isDirect && clientMajor >= 17 && { PGSSLNEGOTIATION: "direct" }),
  };
}

function passwordOf({ password, user }: Pick<ServerLogin, "password" | "user">): Secret {
  if (password === undefined) throw new BackupFailed(`there is no password for ${user}`);
  return password;
}
