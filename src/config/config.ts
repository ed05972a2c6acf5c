import type { ShipConfig } from "./audit-ship.ts";
import type { Secret } from "../base/secret.ts";
import type { ApprovalTerms } from "../policy/decision.ts";
import type { Policy } from "../policy/policy.ts";
import type { NamedPlace } from "../policy/named-place.ts";
import type { Place } from "../policy/place.ts";
import type { CatalogueExtension } from "../sql/catalogue.ts";
import type { LogLevel } from "../telemetry/log.ts";
import type { AlertsConfig } from "./alerts.ts";
import type { BackupsConfig } from "./backups.ts";
import type { HabitsConfig } from "./habits.ts";
import type { ConfigText } from "./schema.ts";
import type { SecretSource } from "./secret-source.ts";

/** Everything Twokey is told, once and for good. All paths are absolute. */
export interface Config {
  readonly file: string;
  readonly listen: {
    readonly host: string;
    readonly port: number;
    readonly unixSocketDirectory: string | undefined;
    readonly tls: ListenTls;
  };
  readonly admin: {
    readonly host: string;
    readonly port: number;
    readonly publicUrl: string | undefined;
    readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
    readonly metricsToken: SecretSource | undefined;
    /** Roles whose people see every session and request. */
    readonly operators: readonly string[];
  };
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly databases: ReadonlyMap<string, Database>;
  readonly environments: readonly string[];
  /** Where a NOTICE at log-in says where one is. */
  readonly greeting: ReadonlySet<string>;
  /** By environment, the roles whose sessions only read. */
  readonly readOnly: ReadonlyMap<string, readonly string[]>;
  readonly roles: readonly string[];
  /** People and workloads, by the name that they log in with. */
  readonly principals: ReadonlyMap<string, PrincipalConfig>;
  /** Where some of the principals stand, and which at the start: the running proxy takes a changed file up. */
  readonly peopleFile: { readonly path: string; readonly names: ReadonlySet<string> } | undefined;
  readonly tokens: readonly TokenIssuerConfig[];
  readonly approvals: Approvals;
  readonly access: readonly AccessOffer[];
  readonly catalogue: CatalogueExtension;
  readonly policy: Policy;
  readonly store:
    | { readonly kind: "sqlite"; readonly file: string }
    | { readonly kind: "postgres"; readonly url: SecretSource };
  readonly audit: {
    readonly directory: string;
    readonly durability: "normal" | "strict";
    readonly parameters: "none" | "hash" | "full";
    readonly literals: "keep" | "mask";
    readonly rotate: { readonly sizeBytes: number; readonly afterMs: number };
    readonly compress: boolean;
    /** Of closed files; without limits, for ever. */
    readonly keep: { readonly ageMs: number | undefined; readonly bytes: number | undefined };
    readonly ship: ReadonlyMap<string, ShipConfig>;
    readonly checkpoint: {
      /** Made when it is not there. */
      readonly keyFile: string;
      readonly records: number;
      readonly afterMs: number;
      readonly anchorFile: string | undefined;
    };
    readonly selfVerify: { readonly everyMs: number; readonly wholeEveryMs: number };
  };
  readonly alerts: AlertsConfig;
  readonly backups: BackupsConfig;
  readonly habits: HabitsConfig;
  readonly limits: Limits;
  readonly log: { readonly level: LogLevel };
}

export type ListenTls =
  | { readonly mode: "off" }
  | {
      readonly mode: "allow" | "require";
      readonly certFile: string;
      readonly keyFile: string;
      readonly clientCaFile: string | undefined;
      readonly clientCrlFile: string | undefined;
    };

export interface Upstream {
  readonly name: string;
  /** In the order in which they are tried. */
  readonly hosts: readonly Host[];
  readonly targetSessionAttrs: ConfigText["upstreams"][string]["target_session_attrs"];
  readonly user: string;
  readonly password: SecretSource | undefined;
  readonly tls: {
    readonly mode: ConfigText["upstreams"][string]["tls"]["mode"];
    readonly caFile: string | undefined;
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
    readonly isDirect: boolean;
  };
  readonly connectTimeoutMs: number;
  readonly rotation?:
    | { readonly everyMs: number | undefined; readonly handTo: readonly string[] | undefined }
    | undefined;
  /** Where what the server keeps of passwords is read, for those who log in there as themselves. */
  readonly verifiers?:
    | {
        readonly user: string;
        readonly password: SecretSource;
        readonly database: string;
        readonly query: string;
        readonly refreshMs: number;
      }
    | undefined;
  /** As the application's name. */
  readonly showsPerson?: boolean;
}

export type Host =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export interface Database {
  readonly upstream: string;
  readonly dialect: "postgresql" | "redshift";
  /** Functions that its catalogue calls stable or immutable count as reading. */
  readonly trustsVolatility: boolean;
  readonly place: Place;
  /** The other databases on the same server, whatever their upstream is called here. */
  readonly neighbours: readonly Place[];
  /** The first that names one of a principal's roles is its; none at all means that all are the upstream's user. */
  readonly logins: readonly Login[];
  /** Who clears what may be dropped, where the server drops nothing else. */
  readonly secondLock?: { readonly user: string; readonly password: SecretSource } | undefined;
}

/** Who some roles are on the server, and what the server lets that role do. */
export interface Login {
  readonly roles: readonly string[];
  readonly user: string;
  readonly password: SecretSource;
  readonly may: "read_only" | "read_write" | "ddl";
}

/** By what a client certificate names a person: its subject's common name, or a name in subjectAltName. */
export interface CertificateSubject {
  readonly kind: "common_name" | "email" | "dns";
  readonly name: string;
}

/** By what a token names a person: who issued it, and all that it must say. */
interface TokenSubject {
  readonly issuer: string;
  readonly claims: ReadonlyMap<string, string | number | boolean>;
}

interface TokenIssuerConfig {
  readonly name: string;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly algorithms: ConfigText["tokens"][string]["algorithms"];
  readonly keys:
    | { readonly from: "discovery" }
    | { readonly from: "url"; readonly url: string }
    | { readonly from: "file"; readonly path: string };
  readonly clockSkewMs: number;
  readonly maxAgeMs: number | undefined;
  readonly scope: string;
  readonly groups:
    { readonly claim: string; readonly roles: ReadonlyMap<string, string> } | undefined;
  readonly caFile: string | undefined;
}

export interface PrincipalConfig {
  readonly kind: "person" | "workload";
  readonly name: string;
  readonly roles: readonly string[];
  readonly asksFor: ConfigText["people"][string]["asks_for"];
  /** As PostgreSQL stores it: `SCRAM-SHA-256$…` or `md5…`. `undefined`: may sign, but not log in with a password. */
  readonly verifier: Secret | undefined;
  readonly certificates: readonly CertificateSubject[];
  readonly tokens: readonly TokenSubject[];
  readonly onlyReads: boolean;
  readonly places: readonly NamedPlace[];
  readonly isDisabled: boolean;
  readonly expiresAt: Date | undefined;
}

/** A role that some may have for a while, if others sign. */
export interface AccessOffer {
  readonly name: string;
  readonly role: string;
  /** Whoever has one of these may ask. */
  readonly forRoles: readonly string[];
  /** `undefined`: all. */
  readonly environments: readonly string[] | undefined;
  readonly maxSeconds: number;
  readonly terms: ApprovalTerms;
}

interface Approvals {
  /** Always there where a rule asks for an approval. */
  readonly allowedSignersFile: string | undefined;
  readonly revokedKeysFile: string | undefined;
  readonly requestsExpireMs: number;
  readonly maxOpenRequests: number;
  readonly remindOfReviewsMs: number;
}

interface Limits {
  readonly startupTimeoutMs: number;
  readonly maxMessageBytes: number;
  readonly maxStatementBytes: number;
  readonly connections: {
    readonly total: number;
    readonly perAddress: number;
    readonly perPerson: number;
  };
  /** Prepared statements, portals and unanswered messages of one session, together. */
  readonly maxNamedObjects: number;
  readonly logins: {
    readonly perPerson: number;
    readonly perAddress: number;
    readonly windowMs: number;
    readonly lockForMs: number;
    readonly shortLivedMs: number;
    readonly delayMs: number;
  };
  /** `undefined` leaves it to the server. */
  readonly idleInTransactionMs: number | undefined;
}
