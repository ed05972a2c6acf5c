import type { KeyObject } from "node:crypto";
import type { BackupsConfig } from "../config/backups.ts";
import { BackupDamaged } from "./backup-failed.ts";
import type { BackupStore } from "./backup-store.ts";
import type { KnownBackup } from "./catalogue.ts";
import { loadDump } from "./load-dump.ts";
import { parseVerified, type Verified } from "./manifest.ts";
import { compareNotes, takeNote } from "./note.ts";
import { readNote } from "./read-backup.ts";
import { withScratch } from "./scratch.ts";
import { keyId, signDocument } from "./signed-document.ts";

export interface VerifyParts {
  readonly store: BackupStore;
  readonly backups: Pick<BackupsConfig, "encryption" | "programsDirectory" | "scratch">;
  readonly signingKey: KeyObject;
  readonly signal: AbortSignal;
  readonly now: () => Date;
  readonly onProgress?: (bytesRead: number) => void;
}

/**
 * Restores a backup into a scratch database, compares that with what was noted in the dump's snapshot, and only when
 * nothing differs says so in the store.
 *
 * @throws BackupDamaged with what is not as it was; BackupFailed when it can't be told
 */
export async function verifyBackup(
  { manifest, manifestSha256 }: KnownBackup,
  { store, backups, signingKey, signal, now, onProgress }: VerifyParts,
): Promise<Verified> {
  const startedAt = now().getTime();
  const { encryption, programsDirectory, scratch } = backups;
  const noted = await readNote(store, manifest, { encryption, signal });
  const { server, comparison } = await withScratch(
    scratch,
    { like: noted, signal },
    async (login) => {
      const load = {
        manifest,
        encryption,
        programsDirectory,
        into: login,
        keepsTablespaces: false,
        signal,
        ...(onProgress && { onBytes: onProgress }),
      };
      if (manifest.scope === "database") {
        await loadDump(store, { ...load, part: { kind: "all" } });
      } else {
        // Rows of other tables are missing, which foreign keys would ask for.
        await loadDump(store, { ...load, part: { kind: "schema" } });
        await loadDump(store, { ...load, part: { kind: "rows", of: "all" } });
      }
      const restored = await takeNote(login.session, {
        contents: manifest.contents,
        serverMajor: login.major,
        only: manifest.scope === "database" ? undefined : manifest.scope,
      });
      return { server: login.version, comparison: compareNotes(noted, restored) };
    },
  );
  if (comparison.kind === "different") {
    throw new BackupDamaged(`${manifest.backup} restores, but not as it was`, {
      detail: comparison.differences.join("\n"),
      hint: "a change of the schema while the dump began can do that; take another one, and verify it",
    });
  }
  const document = {
    format: 1 as const,
    backup: manifest.backup,
    manifest: manifestSha256,
    verified_at: now().toISOString(),
    server,
    duration_ms: now().getTime() - startedAt,
    compared: comparison.compared,
  };
  signal.throwIfAborted();
  const name = `${manifest.database}/${manifest.backup}/verified.json`;
  await store.put(name, only(signDocument(document, signingKey)), signal);
  return parseVerified({ ...document, key: keyId(signingKey) });
}

async function* only(bytes: Buffer): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}
