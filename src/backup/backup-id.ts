import type { Brand } from "../base/brand.ts";

/** Of a backup: `B-`, when it began in UTC, and six hex digits: `B-20261124T030000Z-9f86d0`. */
export type BackupId = Brand<string, "BackupId">;

/** @param random - six hex digits */
export function makeBackupId(at: Date, random: string): BackupId {
  const time = at.toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
  return parseBackupId(`B-${time}-${random}`);
}

/** @throws Error for what is none; what it lets pass is safe in a path and on a terminal */
export function parseBackupId(text: string): BackupId {
  if (!isBackupId(text))
    throw new Error(
      `"${text.slice(0, 80)}" is no backup; they look like B-20261124T030000Z-9f86d0`,
    );
  return text;
}

export function isBackupId(text: string): text is BackupId {
  return /^B-\d{8}T\d{6}Z-[0-9a-f]{6}$/.test(text);
}
