import type { Config, Database, Upstream } from "../config/config.ts";
import { connectUpstream, type UpstreamOptions } from "../upstream/connect.ts";
import { readTls } from "../upstream/read-tls.ts";
import type { Administrator } from "./administrator.ts";
import type { Credential } from "./credentials.ts";
import { ServerSession } from "./server-session.ts";
import { withStoredPassword } from "./stored-password.ts";

// Set for the session, so that nothing stored for a role or database bends what we run: names resolve in the
// catalogue alone, strings read as we write them.
const PARAMETERS = new Map([
  ["application_name", "twokey provision"],
  ["client_encoding", "UTF8"],
  ["standard_conforming_strings", "on"],
  ["search_path", "pg_catalog"],
  ["default_transaction_read_only", "off"],
  ["statement_timeout", "60s"],
  ["lock_timeout", "10s"],
]);

type LogIn = Pick<UpstreamOptions, "user" | "password">;

/** As Twokey itself would log in. @throws UpstreamRefused, UpstreamUnavailable */
export function openAs(
  { user, source, name }: Credential,
  where: { readonly upstream: Upstream; readonly database: string },
): Promise<ServerSession> {
  return withStoredPassword({ source, name }, (password) => openWith({ user, password }, where));
}

/** As an administrator of the server, at the host that their URL names or else at the upstream's. */
export function openAsAdministrator(
  { user, password, host }: Administrator,
  { upstream, database }: { readonly upstream: Upstream; readonly database: string },
): Promise<ServerSession> {
  const hosts = host === undefined ? upstream.hosts : [host];
  return openWith(
    { user, password: () => Promise.resolve(password) },
    { upstream: { ...upstream, hosts }, database },
  );
}

/** @throws UpstreamRefused (28P01) when the password is not this */
export async function openWith(
  logIn: LogIn,
  { upstream, database }: { readonly upstream: Upstream; readonly database: string },
): Promise<ServerSession> {
  const link = await connectUpstream({
    ...logIn,
    hosts: upstream.hosts,
    targetSession: upstream.targetSessionAttrs,
    tls: readTls(upstream.tls),
    database,
    parameters: PARAMETERS,
    minorVersion: 0,
    timeoutMs: upstream.connectTimeoutMs,
  });
  return new ServerSession(link);
}

/** @throws Error for a database that the configuration doesn't name */
export function databaseOf(
  { databases, upstreams, file }: Config,
  name: string,
): { readonly database: Database; readonly upstream: Upstream } {
  const database = databases.get(name);
  const upstream = database && upstreams.get(database.upstream);
  if (database === undefined || upstream === undefined) {
    throw new Error(`no database "${name}" in ${file}`);
  }
  return { database, upstream };
}
