import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { BackupEncryption } from "../config/backups.ts";
import { BackupDamaged, BackupFailed, reasonOf } from "./backup-failed.ts";
import { readWhole, type BackupStore } from "./backup-store.ts";
import { decrypted } from "./encryption.ts";
import { objectOf, type Manifest } from "./manifest.ts";
import { measured } from "./measured.ts";
import { parseNote, type Note } from "./note.ts";

const expand = promisify(gunzip);

const MAX_NOTE_BYTES = 512 << 20;

/**
 * One object of a backup as it is stored, checked against its manifest at its end.
 *
 * @throws BackupDamaged in place of the end when a byte is not as it was written
 */
export async function* storedObject(
  store: BackupStore,
  manifest: Manifest,
  {
    name,
    signal,
    onBytes,
  }: {
    readonly name: string;
    readonly signal: AbortSignal;
    readonly onBytes?: (bytes: number) => void;
  },
): AsyncGenerator<Uint8Array> {
  const { bytes, sha256 } = objectOf(manifest, name);
  const stored = store.get(`${manifest.database}/${manifest.backup}/${name}`, signal);
  const { content, measure } = measured(stored, { onBytes });
  yield* content;
  if (measure.bytes !== bytes) {
    throw new BackupDamaged(
      `${name} of ${manifest.backup} has ${measure.bytes} bytes instead of ${bytes}`,
    );
  }
  if (measure.digest() !== sha256) {
    throw new BackupDamaged(`${name} of ${manifest.backup} is damaged: its SHA-256 is another`);
  }
}

/** Every byte of a backup is as it was written. @throws BackupDamaged, BackupFailed */
export async function checkIntegrity(
  store: BackupStore,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> {
  for (const { name } of manifest.objects) {
    await drained(storedObject(store, manifest, { name, signal }));
  }
}

/** @throws BackupDamaged, BackupFailed */
export async function readNote(
  store: BackupStore,
  manifest: Manifest,
  {
    encryption,
    signal,
  }: { readonly encryption: BackupEncryption | undefined; readonly signal: AbortSignal },
): Promise<Note> {
  const stored = storedObject(store, manifest, { name: "note", signal });
  const content =
    manifest.encryption === "none" ? stored : decrypted(stored, identityOf(encryption));
  try {
    const bytes = await readWhole(content, { maxBytes: MAX_NOTE_BYTES });
    return parseNote((await expand(bytes, { maxOutputLength: MAX_NOTE_BYTES })).toString("utf8"));
  } catch (cause) {
    if (cause instanceof BackupFailed) throw cause;
    throw new BackupDamaged(`the note of ${manifest.backup} can't be read: ${reasonOf(cause)}`, {
      cause,
    });
  }
}

/** @throws BackupFailed where the private key is not here */
export function identityOf(
  encryption: BackupEncryption | undefined,
): NonNullable<BackupEncryption["identity"]> {
  if (encryption?.identity !== undefined) return encryption.identity;
  throw new BackupFailed("the private key that opens backups is not here", {
    hint: "say --identity FILE, or name it as backups.encryption.identity",
  });
}

/** Reads to the end, for what is checked on the way. */
export async function drained(content: AsyncIterable<unknown>): Promise<void> {
  const iterator = content[Symbol.asyncIterator]();
  while ((await iterator.next()).done !== true);
}
