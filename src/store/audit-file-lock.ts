import path from "node:path";
import Database from "libsql";
import { AuditUnavailable } from "../base/errors.ts";

export interface DirectoryLock {
  release(): void;
}

/**
 * Keeps a second writer out of a directory, until released or until this process ends, however it does.
 *
 * Node has no `flock`, and a file with a process id lies: in a container every writer is process 1. SQLite's
 * exclusive transaction is a lock of the kernel on all platforms, so the killed leave none behind.
 *
 * @throws AuditUnavailable when another writer has it, or the file can't be made
 */
export function lockDirectory(directory: string): DirectoryLock {
  let database: Database.Database | undefined;
  try {
    database = new Database(path.join(directory, "writer.lock"));
    // Nothing is ever written to it: no journal is needed, and none is left lying about.
    database.exec("PRAGMA journal_mode=OFF");
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database?.close();
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "SQLITE_BUSY";
    throw new AuditUnavailable(
      isTaken
        ? `another process writes the audit log in "${directory}"`
        : `audit directory "${directory}" can't be locked`,
      { cause, hint: isTaken ? "Give each writer a directory of its own." : undefined },
    );
  }
  const held = database;
  return { release: () => held.close() };
}
