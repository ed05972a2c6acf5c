import { execFile, spawnSync } from "node:child_process";
import type { Login } from "./raw-client.ts";

interface RanPsql {
  /** psql's own exit status; -1 when it was stopped for taking longer than `timeoutMs`. */
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

interface PsqlRun {
  readonly login: Login;
  readonly file: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly timeoutMs?: number;
}

export function hasPsql(): boolean {
  return spawnSync("psql", ["--version"]).error === undefined;
}

/** Runs a script file with everything echoed, knowing nothing of the machine's own settings. */
export function runPsql({
  login,
  file,
  variables = {},
  environment = {},
  args = [],
  timeoutMs = 60_000,
}: PsqlRun): Promise<RanPsql> {
  const settings = Object.entries(variables).flatMap(([name, value]) => ["-v", `${name}=${value}`]);
  return new Promise((resolve) => {
    execFile(
      "psql",
      ["-X", "-a", ...args, ...settings, "-f", file],
      {
        env: {
          PATH: process.env["PATH"],
          PGHOST: login.host,
          PGPORT: String(login.port),
          PGUSER: login.user,
          PGPASSWORD: login.password,
          PGDATABASE: login.database,
          PGSSLMODE: "disable",
          LC_ALL: "C.UTF-8",
          ...environment,
        },
        encoding: "latin1",
        maxBuffer: 1e9,
        timeout: timeoutMs,
      },
      (error, out, err) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ status, out, err });
      },
    );
  });
}

/**
 * Without what differs from one connection to the next: process ids, a new large object's OID, the time of \watch, and
 * the name by which one logged in.
 */
export function masked(output: string): string {
  return output
    .replaceAll(/(server process with PID) \d+/g, "$1 N")
    .replaceAll(/^lo_(import|unlink) \d+$/gm, "lo_$1 N")
    .replaceAll(/(large object) \d+/g, "$1 N")
    .replaceAll(/^.+( \(every [\d.]+s\))$/gm, "then$1")
    .replaceAll(/^(You are now connected to database "\w+" as user) "\w+"/gm, '$1 "U"');
}
