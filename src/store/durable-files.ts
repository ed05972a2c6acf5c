import fs from "node:fs";
import path from "node:path";

/** Writes a file so that after a crash it is there whole or not at all. */
export function writeDurably(filePath: string, content: Uint8Array): void {
  const unfinished = `${filePath}.part`;
  const fd = fs.openSync(unfinished, "w", 0o600);
  try {
    fs.writeFileSync(fd, content);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(unfinished, filePath);
  syncDirectory(path.dirname(filePath));
}

/** A new name is on disk only when its directory is. */
export function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
