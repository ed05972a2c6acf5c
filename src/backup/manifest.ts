/**
 * What a store holds of one backup, under `DATABASE/ID/`:
 *
 * | name            | content                                                                                          |
 * | --------------- | ------------------------------------------------------------------------------------------------ |
 * | `dump`          | pg_dump's custom format, compressed, then encrypted (age, https://age-encryption.org/v1)          |
 * | `note`          | what was seen in the dump's snapshot (`note.ts`), JSON, gzip, encrypted likewise                   |
 * | `manifest.json` | this document, written last: without it there is no backup                                         |
 * | `verified.json` | what the newest restore test compared; only there once one succeeded                               |
 *
 * Both documents are signed (`signed-document.ts`) by the Twokey that wrote them. An example of the first, folded:
 *
 *   {"backup":"B-20261124T030000Z-9f86d0","compression":"zstd","contents":"sample","database":"shop",
 *   "encryption":"age","engine":"pg_dump 15.18","finished_at":"2026-11-24T03:02:11Z","format":1,"key":"5f0a…",
 *   "objects":[{"bytes":81264,"name":"dump","sha256":"9f86…"},{"bytes":2211,"name":"note","sha256":"60b7…"}],
 *   "rows":120000,"scope":"database","server":"15.18","server_database":"shop","signature":"u8Q…",
 *   "snapshot_at":"2026-11-24T03:00:00Z","tables":12}
 */
import { z } from "zod";
import type { Json } from "../base/canonical-json.ts";
import { parseSha256, type Sha256 } from "../base/digest.ts";
import { BackupDamaged } from "./backup-failed.ts";
import { parseBackupId } from "./backup-id.ts";

const instant = z.iso.datetime();
const count = z.int().min(0);
const digest = z.string().transform((text): Sha256 => parseSha256(text));

const manifestSchema = z.strictObject({
  format: z.literal(1),
  key: digest,
  backup: z.string().transform(parseBackupId),
  database: z.string(),
  server_database: z.string(),
  /** The whole database, or these tables, qualified and quoted as SQL has them. */
  scope: z.union([z.literal("database"), z.array(z.string()).min(1)]),
  engine: z.string(),
  /** Version of the server that was dumped. */
  server: z.string(),
  compression: z.enum(["zstd", "in-dump", "none"]),
  encryption: z.enum(["age", "none"]),
  contents: z.enum(["all", "sample", "counts"]),
  /** Everything that was committed before is in it. */
  snapshot_at: instant,
  finished_at: instant,
  objects: z.array(z.strictObject({ name: z.string(), bytes: count, sha256: digest })),
  tables: count,
  rows: count,
});

/** A backup that is whole. */
export type Manifest = Readonly<z.output<typeof manifestSchema>>;

const verifiedSchema = z.strictObject({
  format: z.literal(1),
  key: digest,
  backup: z.string().transform(parseBackupId),
  /** SHA-256 of the manifest's bytes. */
  manifest: digest,
  verified_at: instant,
  /** Version of the server that it was restored on. */
  server: z.string(),
  duration_ms: count,
  /** How many objects of the schema, tables, rows and checksums of contents were compared. */
  compared: z.strictObject({ objects: count, tables: count, rows: count, checksums: count }),
});

/** A restore of it was compared with what was noted in its snapshot, and nothing differed. */
export type Verified = Readonly<z.output<typeof verifiedSchema>>;
export type Compared = Verified["compared"];

/** @throws BackupDamaged */
export function parseManifest(document: Readonly<Record<string, Json>>): Manifest {
  return parsed(manifestSchema, document, "a manifest");
}

/** @throws BackupDamaged */
export function parseVerified(document: Readonly<Record<string, Json>>): Verified {
  return parsed(verifiedSchema, document, "a proof of verification");
}

export function objectOf({ objects, backup }: Manifest, name: string): Manifest["objects"][number] {
  const found = objects.find((one) => one.name === name);
  if (found === undefined) throw new BackupDamaged(`${backup} has no ${name}`);
  return found;
}

function parsed<T>(schema: z.ZodType<T>, document: unknown, what: string): T {
  const { success, data } = schema.safeParse(document);
  if (!success) throw new BackupDamaged(`${what} is not of a form that this version reads`);
  return data;
}
