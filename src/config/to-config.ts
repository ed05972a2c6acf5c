import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Secret } from "../base/secret.ts";
import type { Place } from "../policy/place.ts";
import { createPolicy, type Policy, type UnparsedTreatment } from "../policy/policy.ts";
import type { Config, Database, ListenTls, PrincipalConfig, Upstream } from "./config.ts";
import { toRule, toTerms } from "./rules.ts";
import type { ConfigText } from "./schema.ts";
import type { SecretSource } from "./secret-source.ts";

/** The checked text as the rest of Twokey reads it: units and paths resolved, names joined up, frozen. */
export function toConfig(
  text: ConfigText,
  { file, readsFiles }: { readonly file: string; readonly readsFiles: boolean },
): Config {
  const absolute = toAbsolute(dirname(file));
  const upstreams = mapValues(text.upstreams, (upstream, name) =>
    toUpstream(name, upstream, absolute),
  );
  const verifierOf = (principal: PrincipalText): Secret | undefined => {
    if (principal.verifier !== undefined) return new Secret(principal.verifier);
    if (principal.verifier_file === undefined || !readsFiles) return undefined;
    return new Secret(readFileSync(absolute(principal.verifier_file), "utf8").trim());
  };
  return deepFreeze<Config>({
    file,
    listen: {
      host: text.listen.host,
      port: text.listen.port,
      unixSocketDirectory: optional(text.listen.unix_socket, absolute),
      tls: toListenTls(text.listen.tls, absolute),
    },
    admin: text.admin,
    upstreams,
    databases: toDatabases(text, upstreams),
    environments: mapValues(text.environments, ({ label }, name) => ({
      name,
      label: label ?? name,
    })),
    roles: text.roles,
    principals: new Map([
      ...mapValues(text.people, toPrincipal("person", verifierOf)),
      ...mapValues(text.workloads, toPrincipal("workload", verifierOf)),
    ]),
    approvals:
      text.approvals === undefined
        ? undefined
        : {
            allowedSignersFile: absolute(text.approvals.allowed_signers),
            revokedKeysFile: optional(text.approvals.revoked_keys, absolute),
          },
    policy: toPolicy(text),
    store:
      text.store.postgres === undefined
        ? { kind: "sqlite", file: absolute(text.store.sqlite ?? "") }
        : { kind: "postgres", url: toSecretSource(text.store.postgres, absolute) },
    audit: {
      directory: absolute(text.audit.directory),
      durability: text.audit.durability,
      parameters: text.audit.parameters,
      rotate: { sizeBytes: text.audit.rotate.size, afterMs: text.audit.rotate.after },
      checkpoint: {
        keyFile: optional(text.audit.checkpoint.key, absolute),
        records: text.audit.checkpoint.records,
        afterMs: text.audit.checkpoint.after,
      },
    },
    limits: {
      startupTimeoutMs: text.limits.startup_timeout,
      maxMessageBytes: text.limits.max_message,
      maxStatementBytes: text.limits.max_statement,
      connections: {
        total: text.limits.connections.total,
        perAddress: text.limits.connections.per_address,
        perPerson: text.limits.connections.per_person,
      },
      idleInTransactionMs: text.limits.idle_in_transaction,
    },
    log: text.log,
  });
}

type Absolute = (path: string) => string;
type PrincipalText = ConfigText["people"][string];
type UpstreamText = ConfigText["upstreams"][string];

function toAbsolute(directory: string): Absolute {
  return (path) => resolve(directory, path);
}

function toUpstream(name: string, text: UpstreamText, absolute: Absolute): Upstream {
  return {
    name,
    hosts: (text.hosts ?? [text.host ?? ""]).map((host) => splitHost(host, text.port)),
    targetSessionAttrs: text.target_session_attrs,
    user: text.user,
    password: optional(text.password, (source) => toSecretSource(source, absolute)),
    tls: {
      mode: text.tls.mode,
      caFile: optional(text.tls.ca, absolute),
      certFile: optional(text.tls.cert, absolute),
      keyFile: optional(text.tls.key, absolute),
      serverName: text.tls.server_name,
    },
    connectTimeoutMs: text.connect_timeout,
  };
}

/** `db1`, `db1:5433`, `[2001:db8::1]:5433`, `2001:db8::1` (as `host` only) or `/var/run/postgresql`. */
function splitHost(text: string, defaultPort: number): Upstream["hosts"][number] {
  const [, host = text, port] = /^(\[.+\]|[^:]+):(\d+)$/.exec(text) ?? [];
  return {
    host: host.replace(/^\[|\]$/g, ""),
    port: port === undefined ? defaultPort : Number(port),
  };
}

function toDatabases(
  text: ConfigText,
  upstreams: ReadonlyMap<string, Upstream>,
): ReadonlyMap<string, Database> {
  const places = mapValues(text.databases, ({ database, environment }, name): Place => ({
    database: name,
    serverDatabase: database ?? name,
    environment,
  }));
  const serversOf = (name: string): string[] =>
    (upstreams.get(text.databases[name]?.upstream ?? "")?.hosts ?? []).map(
      ({ host, port }) => `${host.toLowerCase()} ${port}`,
    );
  return mapValues(text.databases, ({ upstream, dialect }, name) => {
    const servers = serversOf(name);
    const neighbours = [...places.values()].filter(
      ({ database }) =>
        database !== name && serversOf(database).some((server) => servers.includes(server)),
    );
    const place = places.get(name);
    if (place === undefined) throw new Error(`database ${name} has no place`);
    return { upstream, dialect, place, neighbours };
  });
}

function toPrincipal(
  kind: PrincipalConfig["kind"],
  verifierOf: (text: PrincipalText) => Secret | undefined,
): (text: PrincipalText, name: string) => PrincipalConfig {
  return (text, name) => ({
    kind,
    name,
    roles: text.roles,
    verifier: verifierOf(text),
    isDisabled: text.disabled,
    expiresAt: text.expires,
  });
}

function toPolicy(text: ConfigText): Policy {
  const defaults = text.approvals?.defaults ?? {};
  return createPolicy({
    rules: text.rules.map((rule) => toRule(rule, defaults)),
    unparsed: mapValues(text.environments, ({ unparsed }): UnparsedTreatment => {
      if (unparsed !== "require_approval") return { action: unparsed };
      return { action: unparsed, terms: toTerms({}, defaults) };
    }),
  });
}

function toListenTls(text: ConfigText["listen"]["tls"], absolute: Absolute): ListenTls {
  if (text?.cert === undefined || text.key === undefined || text.mode === "off") {
    return { mode: "off" };
  }
  return {
    mode: text.mode,
    certFile: absolute(text.cert),
    keyFile: absolute(text.key),
    clientCaFile: optional(text.client_ca, absolute),
  };
}

function toSecretSource(
  { env, file }: { env?: string | undefined; file?: string | undefined },
  absolute: Absolute,
): SecretSource {
  return env === undefined
    ? { from: "file", path: absolute(file ?? "") }
    : { from: "env", name: env };
}

function optional<T, U>(value: T | undefined, change: (value: T) => U): U | undefined {
  return value === undefined ? undefined : change(value);
}

function mapValues<T, U>(
  record: Readonly<Record<string, T>>,
  change: (value: T, name: string) => U,
): Map<string, U> {
  return new Map(Object.entries(record).map(([name, value]) => [name, change(value, name)]));
}

/** Freezes plain objects, arrays and what Maps hold; a Map itself is kept from change by its type. */
function deepFreeze<T>(value: T): T {
  if (value instanceof Map) {
    value.forEach(deepFreeze);
  } else if (Array.isArray(value) || (value as object | null)?.constructor === Object) {
    Object.values(value as object).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
