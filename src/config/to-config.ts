import { toShip } from "./audit-ship.ts";
import { dirname, resolve } from "node:path";
import type { Place } from "../policy/place.ts";
import { createPolicy, type Policy, type UnparsedTreatment } from "../policy/policy.ts";
import { toAlerts } from "./alerts.ts";
import { toBackups } from "./backups.ts";
import type { Config, Database, ListenTls, Upstream } from "./config.ts";
import { toHabits } from "./habits.ts";
import { parseHost, serverName } from "./host.ts";
import { toPrincipals } from "./principals.ts";
import { toRule, toTerms } from "./rules.ts";
import type { ConfigText } from "./schema.ts";
import type { SecretSource } from "./secret-source.ts";

/** The checked text as the rest of Twokey reads it: units and paths resolved, names joined up, frozen. */
export function toConfig(
  text: ConfigText,
  {
    file,
    readsFiles,
    fromPeopleFile,
  }: {
    readonly file: string;
    readonly readsFiles: boolean;
    readonly fromPeopleFile: readonly string[];
  },
): Config {
  const absolute = toAbsolute(dirname(file));
  const upstreams = mapValues(text.upstreams, (upstream, name) =>
    toUpstream(name, upstream, absolute),
  );
  return deepFreeze<Config>({
    file,
    listen: {
      host: text.listen.host,
      port: text.listen.port,
      unixSocketDirectory: optional(text.listen.unix_socket, absolute),
      tls: toListenTls(text.listen.tls, absolute),
    },
    admin: {
      host: text.admin.host,
      port: text.admin.port,
      publicUrl: text.admin.public_url,
      tls: optional(text.admin.tls, ({ cert, key }) => ({
        certFile: absolute(cert),
        keyFile: absolute(key),
      })),
      metricsToken: optional(text.admin.metrics.token, (source) =>
        toSecretSource(source, absolute),
      ),
      operators: text.admin.operators,
    },
    upstreams,
    databases: toDatabases(text, upstreams, absolute),
    environments: Object.keys(text.environments),
    greeting: new Set(namesWhere(text.environments, ({ greeting }) => greeting)),
    readOnly: mapValues(text.environments, ({ read_only: roles }) => roles),
    roles: text.roles,
    principals: toPrincipals(text, { directory: dirname(file), readsFiles }),
    peopleFile: optional(text.people_file, (path) => ({
      path: absolute(path),
      names: new Set(fromPeopleFile),
    })),
    tokens: Object.entries(text.tokens).map(([name, issuer]) => ({
      name,
      issuer: issuer.issuer,
      audiences: issuer.audience,
      algorithms: issuer.algorithms,
      keys: toTokenKeys(issuer.keys, absolute),
      clockSkewMs: issuer.clock_skew,
      maxAgeMs: issuer.max_age,
      scope: issuer.scope,
      groups: optional(issuer.groups, ({ claim, roles }) => ({
        claim,
        roles: new Map(Object.entries(roles)),
      })),
      caFile: optional(issuer.ca, absolute),
    })),
    approvals: {
      allowedSignersFile: optional(text.approvals.allowed_signers, absolute),
      revokedKeysFile: optional(text.approvals.revoked_keys, absolute),
      requestsExpireMs: text.approvals.requests_expire,
      remindOfReviewsMs: text.approvals.remind_of_reviews,
      maxOpenRequests: text.approvals.max_open_requests,
    },
    access: text.access.map(({ name, role, environments, ...offer }) => ({
      name,
      role,
      environments,
      forRoles: offer.for_roles,
      maxSeconds: offer.max_for / 1000,
      terms: toTerms(offer.approval, text.approvals.defaults),
    })),
    catalogue: {
      functions: new Map(Object.entries(text.catalogue.functions)),
      operators: new Set(text.catalogue.operators),
      types: new Set(text.catalogue.types),
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
      literals: text.audit.literals,
      rotate: { sizeBytes: text.audit.rotate.size, afterMs: text.audit.rotate.after },
      compress: text.audit.compress,
      keep: { ageMs: text.audit.keep.for, bytes: text.audit.keep.size },
      ship: toShip(text.audit.ship, {
        absolute,
        secret: (source) => toSecretSource(source, absolute),
      }),
      checkpoint: {
        keyFile: absolute(text.audit.checkpoint.key),
        records: text.audit.checkpoint.records,
        afterMs: text.audit.checkpoint.after,
        anchorFile: optional(text.audit.checkpoint.anchor, absolute),
      },
      selfVerify: {
        everyMs: text.audit.self_verify.every,
        wholeEveryMs: text.audit.self_verify.whole,
      },
    },
    alerts: toAlerts(text.alerts, {
      absolute,
      secret: (source) => toSecretSource(source, absolute),
    }),
    backups: toBackups(text.backups, {
      absolute,
      secret: (source) => toSecretSource(source, absolute),
    }),
    habits: toHabits(text.habits, absolute),
    limits: {
      startupTimeoutMs: text.limits.startup_timeout,
      maxMessageBytes: text.limits.max_message,
      maxStatementBytes: text.limits.max_statement,
      connections: {
        total: text.limits.connections.total,
        perAddress: text.limits.connections.per_address,
        perPerson: text.limits.connections.per_person,
      },
      logins: {
        perPerson: text.limits.logins.per_person,
        perAddress: text.limits.logins.per_address,
        windowMs: text.limits.logins.window,
        lockForMs: text.limits.logins.lock_for,
        shortLivedMs: text.limits.logins.short_lived,
        delayMs: text.limits.logins.delay,
      },
      maxNamedObjects: text.limits.named_objects,
      idleInTransactionMs: text.limits.idle_in_transaction,
    },
    log: text.log,
  });
}

type Absolute = (path: string) => string;
type UpstreamText = ConfigText["upstreams"][string];

function toAbsolute(directory: string): Absolute {
  return (path) => resolve(directory, path);
}

function toUpstream(name: string, text: UpstreamText, absolute: Absolute): Upstream {
  return {
    name,
    hosts: (text.hosts ?? [text.host ?? ""]).map((host) => parseHost(host, text.port)),
    targetSessionAttrs: text.target_session_attrs,
    user: text.user,
    password: optional(text.password, (source) => toSecretSource(source, absolute)),
    tls: {
      mode: text.tls.mode,
      caFile: optional(text.tls.ca, absolute),
      certFile: optional(text.tls.cert, absolute),
      keyFile: optional(text.tls.key, absolute),
      isDirect: text.tls.direct,
    },
    connectTimeoutMs: text.connect_timeout,
    verifiers: optional(text.verifiers, ({ password, refresh, ...rest }) => ({
      ...rest,
      password: toSecretSource(password, absolute),
      refreshMs: refresh,
    })),
    rotation: optional(text.rotate, ({ every, hand_to: handTo }) => ({ everyMs: every, handTo })),
    showsPerson: text.application_name === "person",
  };
}

function toDatabases(
  text: ConfigText,
  upstreams: ReadonlyMap<string, Upstream>,
  absolute: Absolute,
): ReadonlyMap<string, Database> {
  const places = mapValues(text.databases, ({ database, environment }, name): Place => ({
    database: name,
    serverDatabase: database ?? name,
    environment,
  }));
  const serversOf = (name: string): string[] =>
    (upstreams.get(text.databases[name]?.upstream ?? "")?.hosts ?? []).map(serverName);
  return mapValues(text.databases, ({ upstream, dialect, logins, second_lock: lock }, name) => {
    const servers = serversOf(name);
    const neighbours = [...places.values()].filter(
      ({ database }) =>
        database !== name && serversOf(database).some((server) => servers.includes(server)),
    );
    const place = places.get(name);
    if (place === undefined) throw new Error(`database ${name} has no place`);
    return {
      upstream,
      dialect,
      trustsVolatility:
        dialect === "postgresql" &&
        text.environments[place.environment]?.unknown_functions === "trust_volatility",
      place,
      neighbours,
      logins: logins.map((login) => ({
        ...login,
        password: toSecretSource(login.password, absolute),
      })),
      secondLock: optional(lock, ({ user, password }) => ({
        user,
        password: toSecretSource(password, absolute),
      })),
    };
  });
}

function toPolicy(text: ConfigText): Policy {
  const { defaults } = text.approvals;
  return createPolicy({
    observed: new Set(namesWhere(text.environments, ({ mode }) => mode === "observe")),
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
    clientCrlFile: optional(text.client_crl, absolute),
  };
}

function toTokenKeys(
  keys: ConfigText["tokens"][string]["keys"],
  absolute: Absolute,
): Config["tokens"][number]["keys"] {
  if (keys?.url !== undefined) return { from: "url", url: keys.url };
  if (keys?.file !== undefined) return { from: "file", path: absolute(keys.file) };
  return { from: "discovery" };
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

function namesWhere<T>(
  record: Readonly<Record<string, T>>,
  holds: (value: T) => boolean,
): string[] {
  return Object.entries(record).flatMap(([name, value]) => (holds(value) ? [name] : []));
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
