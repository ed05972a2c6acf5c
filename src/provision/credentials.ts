import type { Config, Database, Login, Upstream } from "../config/config.ts";
import type { SecretSource } from "../config/secret-source.ts";
import { serverName } from "../config/host.ts";
import type { Principal } from "../policy/principal.ts";

/** One way for Twokey to log in on a server. */
export interface Credential {
  readonly upstream: string;
  readonly user: string;
  readonly source: SecretSource | undefined;
  /** Of the setting that says so. */
  readonly name: string;
}

/** Twokey's own on an upstream: by it, everybody logs in where a database has no logins. */
export function credentialOf({ name, user, password }: Upstream): Credential {
  return { upstream: name, user, source: password, name: `upstreams.${name}` };
}

/** By which a principal logs in; `undefined` for one who has no login there. */
export function loginOf(
  { roles }: Principal,
  { logins, place, upstream }: Database,
  own: Upstream,
): Credential | undefined {
  if (logins.length === 0) return credentialOf(own);
  const index = logins.findIndex((login) => login.roles.some((role) => roles.includes(role)));
  const login = logins[index];
  return login === undefined ? undefined : ofLogin(login, index, { upstream, place });
}

/** All of them; a role that several settings name is there once for each. */
export function credentialsOf({ upstreams, databases }: Config): readonly Credential[] {
  return [
    ...[...upstreams.values()].map(credentialOf),
    ...[...databases.values()].flatMap((database) => [
      ...database.logins.map((login, index) => ofLogin(login, index, database)),
      ...ofSecondLock(database),
    ]),
  ];
}

/** Whether both are at the same server, as far as names tell. */
export function isSameServer(one: Upstream, other: Upstream): boolean {
  const names = one.hosts.map(serverName);
  return other.hosts.some((host) => names.includes(serverName(host)));
}

function ofSecondLock({ upstream, place, secondLock }: Database): readonly Credential[] {
  if (secondLock === undefined) return [];
  const { user, password: source } = secondLock;
  return [{ upstream, user, source, name: `databases.${place.database}.second_lock` }];
}

function ofLogin(
  { user, password }: Login,
  index: number,
  { upstream, place }: Pick<Database, "upstream" | "place">,
): Credential {
  return { upstream, user, source: password, name: `databases.${place.database}.logins.${index}` };
}
