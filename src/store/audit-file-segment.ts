import fs from "node:fs";
import path from "node:path";
import { syncDirectory } from "./durable-files.ts";

const COPY_BYTES = 1 << 20;
const COMPARED_BYTES = 4096;

/**
 * The file that a chain is being written to. Every write goes to a place of its own, which moves on only once all of it
 * has succeeded: writing the same bytes again after a failure completes what was half written.
 */
export class AuditSegment {
  readonly path: string;
  #fd: number;
  #identity: Identity;
  #position: number;
  #syncedPosition: number;

  private constructor(filePath: string, fd: number, position: number) {
    this.path = filePath;
    this.#fd = fd;
    this.#identity = fs.fstatSync(fd);
    this.#position = position;
    this.#syncedPosition = position;
  }

  /** @throws Error when there is such a file already, or as `fs` does */
  static create(filePath: string): AuditSegment {
    const segment = new AuditSegment(filePath, fs.openSync(filePath, "wx+", 0o600), 0);
    try {
      syncDirectory(path.dirname(filePath));
    } catch (error) {
      segment.close();
      throw error;
    }
    return segment;
  }

  static resume(filePath: string, position: number): AuditSegment {
    return new AuditSegment(filePath, fs.openSync(filePath, "r+"), position);
  }

  get position(): number {
    return this.#position;
  }

  /** When the file was made, in milliseconds since 1970, as far as the file system tells. */
  get createdMs(): number {
    return this.#identity.birthtimeMs;
  }

  /**
   * Hands bytes to the operating system: a killed process does not lose them any more.
   *
   * @throws Error as `fs` does, or when the file is no longer where readers look for it
   */
  write(bytes: Uint8Array): void {
    writeAll(this.#fd, bytes, this.#position);
    this.checkPlace();
    this.#position += bytes.length;
  }

  /** Waits until everything written before the call is on disk. */
  async sync(): Promise<void> {
    const position = this.#position;
    await new Promise<void>((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    this.#syncedPosition = position;
  }

  syncNow(): void {
    fs.fdatasyncSync(this.#fd);
    this.#syncedPosition = this.#position;
  }

  /** @throws Error when the file is no longer where readers look for it, or that can't be told */
  checkPlace(): void {
    if (!this.isInPlace()) throw new Error(`"${this.path}" was removed or replaced`);
  }

  /** Whether the path still leads to this very file. */
  isInPlace(): boolean {
    const found = fs.statSync(this.path, { throwIfNoEntry: false });
    return found?.ino === this.#identity.ino && found.dev === this.#identity.dev;
  }

  /**
   * Makes the file fit for writing again after a failure.
   *
   * @throws Error as `fs` does, or when another file has taken its place
   */
  repair(): void {
    if (this.isInPlace()) this.#adopt(fs.openSync(this.path, "r+"));
    else if (fs.existsSync(this.path)) this.#adoptReplacement();
    else this.#restore();
    // After a failed fdatasync the kernel may count lost pages as written (PostgreSQL wiki, "Fsync Errors"):
    // only writing them again makes the next fdatasync mean something.
    const unsynced = readAll(this.#fd, this.#syncedPosition, this.#position);
    writeAll(this.#fd, unsynced, this.#syncedPosition);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #adopt(fd: number): void {
    fs.closeSync(this.#fd);
    this.#fd = fd;
    this.#identity = fs.fstatSync(fd);
  }

  /** A remounted or restored folder: the same file by content, under another identity. */
  #adoptReplacement(): void {
    const fd = fs.openSync(this.path, "r+");
    try {
      const from = Math.max(0, this.#position - COMPARED_BYTES);
      const ours = readAll(this.#fd, from, this.#position);
      if (!ours.equals(readAll(fd, from, this.#position))) throw new Error("its end differs");
    } catch (cause) {
      fs.closeSync(fd);
      throw new Error(`another file has taken the place of "${this.path}"`, { cause });
    }
    this.#adopt(fd);
  }

  /** The file was removed, but while we hold it open its content is still there. */
  #restore(): void {
    const unfinished = `${this.path}.part`;
    const fd = fs.openSync(unfinished, "w+", 0o600);
    try {
      for (let at = 0; at < this.#position; at += COPY_BYTES) {
        writeAll(fd, readAll(this.#fd, at, Math.min(at + COPY_BYTES, this.#position)), at);
      }
      fs.fsyncSync(fd);
      fs.renameSync(unfinished, this.path);
      syncDirectory(path.dirname(this.path));
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    this.#adopt(fd);
    this.#syncedPosition = this.#position;
  }
}

interface Identity {
  readonly birthtimeMs: number;
  readonly ino: number;
  readonly dev: number;
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    const written = fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
    if (written === 0) throw new Error("nothing was written");
    done += written;
  }
}

function readAll(fd: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  let done = 0;
  while (done < bytes.length) {
    const read = fs.readSync(fd, bytes, done, bytes.length - done, from + done);
    if (read === 0) throw new Error(`the file ends at byte ${from + done}, not ${to}`);
    done += read;
  }
  return bytes;
}
