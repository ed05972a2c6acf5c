import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import path from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import pg from "pg";
import { makeBackupId } from "../../src/backup/backup-id.ts";
import type { BackupStore } from "../../src/backup/backup-store.ts";
import { listBackups, type Listing } from "../../src/backup/catalogue.ts";
import { FolderStore } from "../../src/backup/folder-store.ts";
import type { Manifest } from "../../src/backup/manifest.ts";
import { trust } from "../../src/backup/signed-document.ts";
import { takeBackup, type TakeBackup, type TakeParts } from "../../src/backup/take-backup.ts";
import { verifyBackup } from "../../src/backup/verify-backup.ts";
import { Secret } from "../../src/base/secret.ts";
import type { BackupsConfig, DatabaseBackup } from "../../src/config/backups.ts";
import type { Upstream } from "../../src/config/config.ts";
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from "../../src/upstream/embedded-postgres.ts";

/** Debian's server: its pg_dump refuses the embedded one, which is newer. */
const SERVER_PROGRAMS = "/usr/lib/postgresql/15/bin";

export const HAS_SERVER = existsSync(path.join(SERVER_PROGRAMS, "initdb"));

/** A PostgreSQL whose version pg_dump knows, and a folder to back it up into. */
export interface BackupStage {
  readonly directory: string;
  readonly storeDirectory: string;
  readonly store: BackupStore;
  readonly postgres: EmbeddedPostgres;
  readonly password: string;
  readonly upstream: Upstream;
  readonly backups: BackupsConfig;
  readonly recipient: string;
  readonly identityFile: string;
  readonly signingKey: ReturnType<typeof generateKeyPairSync>["privateKey"];
  backupOf(database: string, options?: Partial<DatabaseBackup>): DatabaseBackup;
  take(
    database: string,
    options?: {
      readonly backup?: Partial<DatabaseBackup>;
      readonly what?: Partial<TakeBackup>;
      readonly parts?: Partial<TakeParts>;
    },
  ): Promise<Manifest>;
  list(database: string, store?: BackupStore): Promise<Listing>;
  verify(
    database: string,
    id: string,
    backups?: Partial<BackupsConfig>,
  ): ReturnType<typeof verifyBackup>;
  client<T>(database: string, use: (client: pg.Client) => Promise<T>): Promise<T>;
  env(database: string): NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

export async function openBackupStage({
  settings = {},
}: { readonly settings?: Readonly<Record<string, string>> } = {}): Promise<BackupStage> {
  const directory = mkdtempSync(path.join(tmpdir(), "twokey-backup-test-"));
  const storeDirectory = path.join(directory, "store");
  mkdirSync(storeDirectory);
  const password = randomBytes(12).toString("hex");
  const postgres = await startEmbeddedPostgres({
    superuser: "postgres",
    password: new Secret(password),
    binDir: SERVER_PROGRAMS,
    settings,
  });
  const passwordFile = path.join(directory, "password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const identityFile = path.join(directory, "identity");
  writeFileSync(identityFile, `# for tests\n${identity}\n`, { mode: 0o600 });
  const { privateKey: signingKey } = generateKeyPairSync("ed25519");
  const upstream: Upstream = {
    name: "main",
    hosts: [{ kind: "tcp", host: postgres.host, port: postgres.port }],
    targetSessionAttrs: "any",
    user: "postgres",
    password: { from: "file", path: passwordFile },
    tls: {
      mode: "disable",
      caFile: undefined,
      certFile: undefined,
      keyFile: undefined,
      isDirect: false,
    },
    connectTimeoutMs: 10_000,
  };
  const backups: BackupsConfig = {
    stores: new Map([["folder", { kind: "folder", path: storeDirectory }]]),
    encryption: { recipients: [recipient], identity: { from: "file", path: identityFile } },
    trustedKeyFiles: [],
    programsDirectory: SERVER_PROGRAMS,
    scratch: { kind: "embedded", programsDirectory: SERVER_PROGRAMS },
    databases: new Map(),
  };
  const store = new FolderStore(storeDirectory);
  const trusted = trust([signingKey]);
  const backupOf: BackupStage["backupOf"] = (database, options = {}) => ({
    database,
    store: "folder",
    login: undefined,
    schedule: undefined,
    verifySchedule: undefined,
    timeZone: "UTC",
    jitterMs: 0,
    lateAfterMs: undefined,
    timeoutMs: 600_000,
    bytesPerSecond: undefined,
    compression: "auto",
    keep: { last: 7, daily: 0, weekly: 0, monthly: 0 },
    contents: "all",
    verifiesEach: false,
    ...options,
  });
  const list: BackupStage["list"] = (database, from = store) =>
    listBackups(from, { database, trusted });
  return {
    ...{
      directory,
      storeDirectory,
      store,
      postgres,
      password,
      upstream,
      backups,
      recipient,
      identityFile,
      signingKey,
    },
    backupOf,
    list,
    take: async (database, { backup = {}, what = {}, parts = {} } = {}) => {
      const manifest = await takeBackup(
        {
          id: makeBackupId(new Date(), randomBytes(3).toString("hex")),
          backup: backupOf(database, backup),
          backups,
          upstream,
          serverDatabase: database,
          scope: "database",
          ...what,
        },
        {
          store,
          signingKey,
          signal: new AbortController().signal,
          now: () => new Date(),
          onProgress: () => undefined,
          ...parts,
        },
      );
      if (manifest === undefined) throw new Error("it was not wanted");
      return manifest;
    },
    verify: async (database, id, other = {}) => {
      const known = (await list(database)).good.find(({ manifest }) => manifest.backup === id);
      if (known === undefined) throw new Error(`${id} is not among the good ones`);
      return verifyBackup(known, {
        store,
        backups: { ...backups, ...other },
        signingKey,
        signal: new AbortController().signal,
        now: () => new Date(),
      });
    },
    client: async (database, use) => {
      const client = new pg.Client({
        host: postgres.host,
        port: postgres.port,
        user: "postgres",
        password,
        database,
      });
      await client.connect();
      try {
        return await use(client);
      } finally {
        await client.end();
      }
    },
    env: (database) => ({
      ...process.env,
      PGHOST: postgres.host,
      PGPORT: String(postgres.port),
      PGUSER: "postgres",
      PGPASSWORD: password,
      PGDATABASE: database,
    }),
    stop: async () => {
      await postgres.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
