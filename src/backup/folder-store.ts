import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import { BackupFailed, reasonOf } from "./backup-failed.ts";
import type { BackupStore } from "./backup-store.ts";

const PART = ".part";

/** A folder, such as a mounted file server. Files are on disk (fsync) before they get their name. */
export class FolderStore implements BackupStore {
  readonly description: string;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    this.description = `folder ${root}`;
  }

  async put(name: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const target = this.#at(name);
    const part = `${target}${PART}`;
    try {
      // The root is never made: where a file server is not mounted, this machine's disk would fill instead.
      if (!(await stat(this.#root)).isDirectory()) throw new Error("it is no folder");
      await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
      const file = await open(part, "w", 0o600);
      try {
        for await (const chunk of content) {
          signal.throwIfAborted();
          await file.writeFile(chunk);
        }
        signal.throwIfAborted();
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, target);
      await syncFolder(path.dirname(target));
    } catch (cause) {
      await rm(part, { force: true }).catch(() => undefined); // its name says that it is no backup
      throw this.#failed("written to", cause);
    }
  }

  async *get(name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      yield* createReadStream(this.#at(name), { signal, highWaterMark: 1 << 20 });
    } catch (cause) {
      throw this.#failed("read", cause);
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    try {
      const entries = await readdir(this.#root, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile() && !entry.name.endsWith(PART))
        .map((entry) => path.relative(this.#root, path.join(entry.parentPath, entry.name)))
        .map((name) => name.split(path.sep).join("/"))
        .filter((name) => name.startsWith(prefix));
    } catch (cause) {
      throw this.#failed("listed", cause);
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await rm(this.#at(name), { force: true });
      // Its folder goes with the last file of a backup.
      await rmdir(path.dirname(this.#at(name))).catch(() => undefined);
    } catch (cause) {
      throw this.#failed("cleaned", cause);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #at(name: string): string {
    return path.join(this.#root, ...name.split("/"));
  }

  #failed(done: string, cause: unknown): BackupFailed {
    if (cause instanceof BackupFailed) return cause;
    return new BackupFailed(`${this.description} can't be ${done}: ${reasonOf(cause)}`, { cause });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
