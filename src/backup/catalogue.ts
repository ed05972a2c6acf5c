import { sha256, type Sha256 } from "../base/digest.ts";
import { BackupDamaged, BackupFailed } from "./backup-failed.ts";
import { isBackupId, type BackupId } from "./backup-id.ts";
import { readWhole, type BackupStore } from "./backup-store.ts";
import { parseManifest, parseVerified, type Manifest, type Verified } from "./manifest.ts";
import { openDocument, type TrustedKeys } from "./signed-document.ts";

/** A backup whose manifest holds; its objects are there, as far as their names tell. */
export interface KnownBackup {
  readonly manifest: Manifest;
  readonly manifestSha256: Sha256;
  readonly verified: Verified | undefined;
}

/** What has the name of a backup, and is none: unfinished, damaged, or signed by somebody else. */
interface BrokenBackup {
  readonly id: BackupId;
  readonly why: string;
}

export interface Listing {
  /** Newest first. */
  readonly good: readonly KnownBackup[];
  readonly broken: readonly BrokenBackup[];
}

const MAX_DOCUMENT_BYTES = 1 << 20;
const TIMEOUT_MS = 60_000;
/** Manifests that are read at the same time. */
const AT_ONCE = 16;

/**
 * Reads what a store holds of one database. What doesn't hold is among `broken`, never among `good`.
 *
 * @throws BackupFailed when the store can't be read
 */
export async function listBackups(
  store: BackupStore,
  { database, trusted }: { readonly database: string; readonly trusted: TrustedKeys },
): Promise<Listing> {
  const names = await store.list(`${database}/`);
  const files = new Map<BackupId, Set<string>>();
  for (const name of names) {
    const [, id = "", file = ""] = /^[^/]+\/([^/]+)\/([^/]+)$/.exec(name) ?? [];
    if (!isBackupId(id)) continue;
    const known = files.get(id) ?? new Set();
    files.set(id, known.add(file));
  }
  const good: KnownBackup[] = [];
  const broken: BrokenBackup[] = [];
  const all = [...files];
  const readOne = async ([id, its]: (typeof all)[number]): Promise<void> => {
    try {
      good.push(await readBackup(store, { database, id, files: its, trusted }));
    } catch (error) {
      if (!(error instanceof BackupDamaged)) throw error;
      broken.push({ id, why: error.message });
    }
  };
  for (let at = 0; at < all.length; at += AT_ONCE) {
    await Promise.all(all.slice(at, at + AT_ONCE).map(readOne));
  }
  const newestFirst = (a: string, b: string): number => (a < b ? 1 : a > b ? -1 : 0);
  good.sort((a, b) => newestFirst(a.manifest.snapshot_at, b.manifest.snapshot_at));
  broken.sort((a, b) => newestFirst(a.id, b.id));
  return { good, broken };
}

interface Found {
  readonly database: string;
  readonly id: BackupId;
  readonly files: ReadonlySet<string>;
  readonly trusted: TrustedKeys;
}

async function readBackup(
  store: BackupStore,
  { database, id, files, trusted }: Found,
): Promise<KnownBackup> {
  if (!files.has("manifest.json"))
    throw new BackupDamaged("it has no manifest: it was never finished");
  const bytes = await readDocument(store, `${database}/${id}/manifest.json`);
  const manifest = parseManifest(openDocument(bytes, trusted));
  if (manifest.backup !== id || manifest.database !== database) {
    throw new BackupDamaged(`its manifest is of ${manifest.backup} of ${manifest.database}`);
  }
  const missing = manifest.objects.find(({ name }) => !files.has(name));
  if (missing !== undefined) throw new BackupDamaged(`its ${missing.name} is missing`);
  const manifestSha256 = sha256(bytes);
  if (!files.has("verified.json")) return { manifest, manifestSha256, verified: undefined };
  const proof = await readDocument(store, `${database}/${id}/verified.json`);
  const verified = parseVerified(openDocument(proof, trusted));
  if (verified.backup !== id || verified.manifest !== manifestSha256) {
    throw new BackupDamaged("its proof of verification is of another backup");
  }
  return { manifest, manifestSha256, verified };
}

async function readDocument(store: BackupStore, name: string): Promise<Buffer> {
  const content = store.get(name, AbortSignal.timeout(TIMEOUT_MS));
  return readWhole(content, { maxBytes: MAX_DOCUMENT_BYTES });
}

/** @throws BackupFailed with what is there instead */
export function pickBackup({ good, broken }: Listing, id: BackupId): KnownBackup {
  const found = good.find(({ manifest }) => manifest.backup === id);
  if (found !== undefined) return found;
  const damaged = broken.find((one) => one.id === id);
  if (damaged !== undefined) throw new BackupDamaged(`${id} is no good backup: ${damaged.why}`);
  throw new BackupFailed(`there is no backup ${id}`, { hint: "`twokey backup list` shows all" });
}
