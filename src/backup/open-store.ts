import type { BackupStoreConfig } from "../config/backups.ts";
import { assertNever } from "../base/assert-never.ts";
import type { BackupStore } from "./backup-store.ts";
import { FolderStore } from "./folder-store.ts";
import { S3Store } from "./s3-store.ts";
import { SftpStore } from "./sftp-store.ts";

/** Reaches nothing yet; whoever has opened it closes it. */
export function openStore(config: BackupStoreConfig): BackupStore {
  switch (config.kind) {
    case "folder":
      return new FolderStore(config.path);
    case "s3":
      return new S3Store(config);
    case "sftp":
      return new SftpStore(config);
    default:
      return assertNever(config);
  }
}
