import { resolve } from "node:path";
import type { BackupId } from "../backup/backup-id.ts";
import { listAt, siteOf, type Site } from "../backup/site.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";

export interface BackupOptions {
  readonly config: string;
  readonly database?: string;
  readonly identity?: string;
  readonly json?: boolean;
}

/** With the private key that was said, over what the file says. */
export function loadFor({ config: file, identity }: BackupOptions, { env }: Terminal): Config {
  const config = loadConfig(file, { env });
  const { encryption } = config.backups;
  if (identity === undefined || encryption === undefined) return config;
  const source = { from: "file" as const, path: resolve(identity) };
  return {
    ...config,
    backups: { ...config.backups, encryption: { ...encryption, identity: source } },
  };
}

/** Whose backup it is. @throws CommandFailed where nobody's */
export async function findSite(
  id: BackupId,
  config: Config,
  database: string | undefined,
): Promise<Site> {
  if (database !== undefined) return siteOf(config, database);
  for (const name of config.backups.databases.keys()) {
    const site = siteOf(config, name);
    const { good, broken } = await listAt(site);
    const isThere =
      good.some(({ manifest }) => manifest.backup === id) || broken.some((one) => one.id === id);
    if (isThere) return site;
  }
  throw new CommandFailed(2, `no store holds a backup ${id}`, {
    hint: "`twokey backup list` shows all",
  });
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function sizeOf(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${UNITS[power] ?? ""}`;
}

/** `2026-11-24 03:00:00Z`. */
export function timeOf(instant: string): string {
  return `${instant.slice(0, 10)} ${instant.slice(11, 19)}Z`;
}
