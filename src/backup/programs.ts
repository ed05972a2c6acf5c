import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { BackupFailed, reasonOf } from "./backup-failed.ts";

const run = promisify(execFile);

/** A program that was found, and proved to run. */
export interface Program {
  readonly file: string;
  /** As it prints it: `15.18`. */
  readonly version: string;
  readonly major: number;
}

/**
 * pg_dump or pg_restore, from that folder or where PATH finds it.
 *
 * @param serverMajor - pg_dump refuses servers newer than itself (PostgreSQL docs, "pg_dump")
 * @throws BackupFailed that says what to install
 */
export async function findProgram(
  name: "pg_dump" | "pg_restore",
  {
    directory,
    serverMajor,
  }: { readonly directory: string | undefined; readonly serverMajor: number },
): Promise<Program> {
  const file = directory === undefined ? whereIs(name) : join(directory, name);
  const hint =
    `install PostgreSQL's client programs of version ${serverMajor} or newer (Debian: postgresql-client-${serverMajor}), ` +
    "and name their folder as backups.programs where PATH has others";
  if (file === undefined) throw new BackupFailed(`there is no ${name} on this machine`, { hint });
  let version: string;
  try {
    const { stdout } = await run(file, ["--version"], { timeout: 10_000 });
    version = /\(PostgreSQL\) (\d\S*)/.exec(stdout)?.[1] ?? "";
  } catch (cause) {
    throw new BackupFailed(`${file} does not run: ${reasonOf(cause)}`, { hint, cause });
  }
  const major = Number.parseInt(version, 10);
  if (Number.isNaN(major)) throw new BackupFailed(`${file} does not say its version`, { hint });
  if (name === "pg_dump" && major < serverMajor) {
    throw new BackupFailed(`${file} is ${version}, and the server is ${serverMajor}`, {
      detail: "pg_dump refuses servers newer than itself.",
      hint,
    });
  }
  return { file, version, major };
}

/** @returns where PATH has it */
export function whereIs(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
