import type { BackupsText } from "./backups-schema.ts";
import type { SecretSource } from "./secret-source.ts";

export interface BackupsConfig {
  readonly stores: ReadonlyMap<string, BackupStoreConfig>;
  /** `undefined`: in the clear, as the file says in so many words. */
  readonly encryption: BackupEncryption | undefined;
  /** Public keys of other Twokeys, PEM. */
  readonly trustedKeyFiles: readonly string[];
  readonly programsDirectory: string | undefined;
  readonly scratch: ScratchConfig;
  readonly databases: ReadonlyMap<string, DatabaseBackup>;
}

export interface BackupEncryption {
  /** `age1…`, as typage and age(1) take them. */
  readonly recipients: readonly string[];
  readonly identity: SecretSource | undefined;
}

export type ScratchConfig =
  | { readonly kind: "embedded"; readonly programsDirectory: string | undefined }
  | { readonly kind: "server"; readonly url: SecretSource };

export type BackupStoreConfig =
  | { readonly kind: "folder"; readonly path: string }
  | {
      readonly kind: "s3";
      readonly endpoint: string;
      readonly bucket: string;
      readonly prefix: string;
      readonly region: string;
      readonly accessKey: SecretSource;
      readonly secretKey: SecretSource;
      readonly encryption: "none" | "AES256" | "aws:kms";
      readonly lock:
        { readonly mode: "governance" | "compliance"; readonly forMs: number } | undefined;
      readonly partBytes: number;
    }
  | {
      readonly kind: "sftp";
      readonly host: string;
      readonly port: number;
      readonly user: string;
      readonly key: SecretSource;
      readonly hostKey: string;
      readonly directory: string;
    };

/** How one database is backed up. */
export interface DatabaseBackup {
  readonly database: string;
  readonly store: string;
  readonly login: { readonly user: string; readonly password: SecretSource } | undefined;
  readonly schedule: string | undefined;
  readonly verifySchedule: string | undefined;
  readonly timeZone: string;
  readonly jitterMs: number;
  readonly lateAfterMs: number | undefined;
  readonly timeoutMs: number;
  readonly bytesPerSecond: number | undefined;
  readonly compression: "auto" | "zstd" | "gzip" | "none";
  readonly keep: Keep;
  readonly contents: "all" | "sample" | "counts";
  readonly verifiesEach: boolean;
}

/** How many backups stay: the newest, and the newest of each day, ISO week and month. */
export interface Keep {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

interface SecretText {
  env?: string | undefined;
  file?: string | undefined;
}

interface Resolve {
  readonly absolute: (path: string) => string;
  readonly secret: (text: SecretText) => SecretSource;
}

export function toBackups(text: BackupsText, resolve: Resolve): BackupsConfig {
  const { encryption, programs, scratch } = text;
  return {
    stores: new Map(
      Object.entries(text.stores).map(([name, store]) => [name, toStore(store, resolve)]),
    ),
    encryption:
      encryption === undefined || encryption === "off"
        ? undefined
        : {
            recipients: encryption.recipients,
            identity: encryption.identity && resolve.secret(encryption.identity),
          },
    trustedKeyFiles: text.trusted_keys.map(resolve.absolute),
    programsDirectory: programs === undefined ? undefined : resolve.absolute(programs),
    scratch:
      scratch?.url === undefined
        ? {
            kind: "embedded",
            programsDirectory:
              scratch?.programs === undefined ? undefined : resolve.absolute(scratch.programs),
          }
        : { kind: "server", url: resolve.secret(scratch.url) },
    databases: new Map(
      Object.entries(text.databases).map(([database, its]) => [
        database,
        toDatabase(database, its, resolve),
      ]),
    ),
  };
}

function toStore(text: BackupsText["stores"][string], resolve: Resolve): BackupStoreConfig {
  switch (text.kind) {
    case "folder":
      return { kind: "folder", path: resolve.absolute(text.path) };
    case "s3":
      return {
        kind: "s3",
        endpoint: text.endpoint.replace(/\/+$/, ""),
        bucket: text.bucket,
        prefix: text.prefix,
        region: text.region,
        accessKey: resolve.secret(text.access_key),
        secretKey: resolve.secret(text.secret_key),
        encryption: text.encryption,
        lock: text.lock && { mode: text.lock.mode, forMs: text.lock.for },
        partBytes: text.part,
      };
    case "sftp":
      return {
        kind: "sftp",
        host: text.host,
        port: text.port,
        user: text.user,
        key: resolve.secret(text.key),
        hostKey: text.host_key,
        directory: text.directory.replace(/(?<=.)\/+$/, ""),
      };
  }
}

function toDatabase(
  database: string,
  text: BackupsText["databases"][string],
  { secret }: Resolve,
): DatabaseBackup {
  return {
    database,
    store: text.store,
    login: text.login && { user: text.login.user, password: secret(text.login.password) },
    schedule: text.schedule,
    verifySchedule: text.verify,
    timeZone: text.time_zone,
    jitterMs: text.jitter,
    lateAfterMs: text.late_after,
    timeoutMs: text.timeout,
    bytesPerSecond: text.bandwidth,
    compression: text.compression,
    keep: text.keep,
    contents: text.contents,
    verifiesEach: text.verify_each,
  };
}
