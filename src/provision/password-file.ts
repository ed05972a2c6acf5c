import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { Secret } from "../base/secret.ts";

// While a password is being changed there are two files: PATH, which holds the one before, and PATH.next. Both are on
// disk before the server hears of the new one, so whoever reads both can log in at every moment, a crash included.

/** The password to come; `undefined` when none is being changed. */
export function readNext(path: string): Secret | undefined {
  return readOptional(nextOf(realpathSync(path)));
}

/**
 * Puts the password to come on disk beside the one in use, for the same owner's eyes only.
 *
 * @throws Error of the file system; nothing is left behind then
 */
export function writeNext(path: string, password: Secret): void {
  const current = realpathSync(path);
  const { uid, gid } = statSync(current);
  writeWhole(nextOf(current), password, { uid, gid });
}

/** The password to come becomes the one in use, in one step. */
export function adoptNext(path: string): void {
  const current = realpathSync(path);
  renameSync(nextOf(current), current);
  syncDirectory(current);
}

export function dropNext(path: string): void {
  rmSync(nextOf(realpathSync(path)), { force: true });
}

/** @throws Error when the file is there already */
export function createPasswordFile(path: string, password: Secret): void {
  writeWhole(path, password, undefined);
}

function nextOf(path: string): string {
  return `${path}.next`;
}

function writeWhole(
  path: string,
  password: Secret,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): void {
  const file = openSync(path, "wx", 0o600);
  try {
    // Whatever the umask; and Twokey, which often is another account than root, has to read it.
    fchmodSync(file, 0o600);
    if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
    writeSync(file, `${password.reveal()}\n`);
    fsyncSync(file);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  syncDirectory(path);
}

function syncDirectory(path: string): void {
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function readOptional(path: string): Secret | undefined {
  try {
    return new Secret(readFileSync(path, "utf8").replace(/\r?\n$/, ""));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
