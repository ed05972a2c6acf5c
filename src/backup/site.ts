import { createPublicKey, randomBytes, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import type { BackupsConfig, BackupStoreConfig, DatabaseBackup } from "../config/backups.ts";
import type { Config, Upstream } from "../config/config.ts";
import { isLoopback } from "../config/host.ts";
import { openSigningKey } from "../store/audit-file-key.ts";
import { BackupFailed } from "./backup-failed.ts";
import { makeBackupId, type BackupId } from "./backup-id.ts";
import type { BackupStore } from "./backup-store.ts";
import { listBackups, pickBackup, type Listing } from "./catalogue.ts";
import type { Manifest, Verified } from "./manifest.ts";
import { openStore } from "./open-store.ts";
import { checkIntegrity } from "./read-backup.ts";
import { expired } from "./retention.ts";
import { trust } from "./signed-document.ts";
import { takeBackup, type Progress, type TableName } from "./take-backup.ts";
import { verifyBackup } from "./verify-backup.ts";

/** Everything about the backups of one database. Plain data: it goes to a worker thread as it is. */
export interface Site {
  readonly database: string;
  readonly serverDatabase: string;
  readonly environment: string;
  readonly upstream: Upstream;
  readonly backup: DatabaseBackup;
  readonly store: BackupStoreConfig;
  readonly backups: Pick<
    BackupsConfig,
    "encryption" | "programsDirectory" | "scratch" | "trustedKeyFiles"
  >;
  readonly signingKeyFile: string;
}

/** @throws BackupFailed for a database that isn't backed up */
export function siteOf(config: Config, name: string): Site {
  const { backups, databases, upstreams, audit } = config;
  const backup = backups.databases.get(name);
  const database = databases.get(name);
  const upstream = upstreams.get(database?.upstream ?? "");
  const store = backups.stores.get(backup?.store ?? "");
  if (
    backup === undefined ||
    database === undefined ||
    upstream === undefined ||
    store === undefined
  ) {
    throw new BackupFailed(`database "${name}" is not backed up`, {
      hint: `say how under backups.databases.${name}`,
    });
  }
  const { encryption, programsDirectory, scratch, trustedKeyFiles } = backups;
  return {
    database: name,
    serverDatabase: database.place.serverDatabase,
    environment: database.place.environment,
    upstream,
    backup,
    store,
    backups: { encryption, programsDirectory, scratch, trustedKeyFiles },
    signingKeyFile: audit.checkpoint.keyFile,
  };
}

/** A backup on the machine of its database is lost with it. @returns what to say about it */
export function placeWarning({ store, upstream, database }: Site): string | undefined {
  if (store.kind !== "folder") return undefined;
  const isHere = upstream.hosts.some((host) => host.kind === "unix" || isLoopback(host.host));
  if (!isHere) return undefined;
  return `backups of ${database} go to ${store.path} on the machine of the database itself: unless that is mounted from another, they are lost with it`;
}

export interface TakeOptions {
  readonly id?: BackupId | undefined;
  readonly scope?: "database" | readonly TableName[] | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Not taken where there is a whole one of a later snapshot by then. */
  readonly unlessNewerThan?: Date | undefined;
}

/** @returns `undefined` when there was a newer one */
export async function takeAt(site: Site, options: TakeOptions): Promise<Manifest | undefined> {
  const { upstream, serverDatabase, backup, backups } = site;
  const { unlessNewerThan } = options;
  return withStore(site, (store) =>
    takeBackup(
      {
        id: options.id ?? newBackupId(),
        scope: options.scope ?? "database",
        ...{ upstream, serverDatabase, backup, backups },
      },
      {
        store,
        signingKey: openSigningKey(site.signingKeyFile),
        signal: AbortSignal.any([options.signal, AbortSignal.timeout(backup.timeoutMs)]),
        now: () => new Date(),
        onProgress: options.onProgress ?? (() => undefined),
        isStillWanted:
          unlessNewerThan &&
          (async () => {
            const { good } = await list(site, store);
            const newest = good.find(({ manifest }) => manifest.scope === "database");
            return newest === undefined || new Date(newest.manifest.snapshot_at) <= unlessNewerThan;
          }),
      },
    ),
  );
}

export function newBackupId(): BackupId {
  return makeBackupId(new Date(), randomBytes(3).toString("hex"));
}

export function listAt(site: Site): Promise<Listing> {
  return withStore(site, (store) => list(site, store));
}

export interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: ((bytesRead: number) => void) | undefined;
}

export async function verifyAt(
  site: Site,
  id: BackupId,
  { signal, onProgress }: VerifyOptions,
): Promise<Verified> {
  return withStore(site, async (store) =>
    verifyBackup(pickBackup(await list(site, store), id), {
      store,
      backups: site.backups,
      signingKey: openSigningKey(site.signingKeyFile),
      signal: AbortSignal.any([signal, AbortSignal.timeout(site.backup.timeoutMs)]),
      now: () => new Date(),
      ...(onProgress && { onProgress }),
    }),
  );
}

/** Every stored byte is as it was written; needs no key. @throws BackupDamaged */
export async function checkAt(site: Site, id: BackupId, signal: AbortSignal): Promise<Manifest> {
  return withStore(site, async (store) => {
    const { manifest } = pickBackup(await list(site, store), id);
    await checkIntegrity(store, manifest, signal);
    return manifest;
  });
}

/** Deletes what `keep` doesn't keep. @returns which went */
export async function pruneAt(site: Site): Promise<readonly BackupId[]> {
  return withStore(site, async (store) => {
    const ids = expired(await list(site, store), site.backup.keep, new Date());
    const names = ids.length === 0 ? [] : await store.list(`${site.database}/`);
    for (const id of ids) {
      const own = names.filter((name) => name.startsWith(`${site.database}/${id}/`));
      // The manifest goes first, so that half a backup is never taken for one.
      const first = own.filter((name) => name.endsWith("/manifest.json"));
      for (const name of new Set([...first, ...own])) await store.remove(name);
    }
    return ids;
  });
}

async function list(site: Site, store: BackupStore): Promise<Listing> {
  const own = openSigningKey(site.signingKeyFile);
  const others = site.backups.trustedKeyFiles.map(readPublicKey);
  return listBackups(store, { database: site.database, trusted: trust([own, ...others]) });
}

function readPublicKey(file: string): KeyObject {
  const key = createPublicKey(readFileSync(file));
  if (key.asymmetricKeyType !== "ed25519") throw new BackupFailed(`${file} is no Ed25519 key`);
  return key;
}

export async function withStore<T>(
  { store: config }: Pick<Site, "store">,
  use: (store: BackupStore) => Promise<T>,
): Promise<T> {
  const store = openStore(config);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}
