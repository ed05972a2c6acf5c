import {
  closeSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { dirname } from "node:path";
import { CommandFailed } from "./command-failed.ts";

/**
 * Replaces a file's text in one step: whoever reads it sees the old or the new, whole. The new one is written beside
 * it first, as `FILE.new`, which also keeps two edits from going on at once. Only its owner can read the outcome.
 *
 * @param edit - the new text; what it throws leaves the file as it is. An absent file is empty.
 */
export function editFile(path: string, edit: (text: string) => string): void {
  const target = exists(path) === undefined ? path : realpathSync(path); // a link stays a link
  const beside = `${target}.new`;
  const handle = openAlone(beside);
  try {
    try {
      const before = exists(target);
      writeFileSync(handle, edit(before === undefined ? "" : readFileSync(target, "utf8")));
      giveToOwner(handle, before ?? statSync(dirname(target)));
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(beside, target);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  syncDirectory(dirname(target));
}

function openAlone(path: string): number {
  try {
    return openSync(path, "wx", 0o600);
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
    throw new CommandFailed(2, `${path} is there already`, {
      hint: "somebody else is editing; if nobody is, an edit was killed: remove that file",
      cause,
    });
  }
}

function exists(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** What root edits for a proxy that runs as somebody else has to stay readable to it. */
function giveToOwner(handle: number, { uid, gid }: Stats): void {
  if (process.getuid?.() === 0) fchownSync(handle, uid, gid);
}

/** A rename that a power cut undoes would bring back whom it disabled. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
