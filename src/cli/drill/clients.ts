import { spawn } from "node:child_process";
import pg from "pg";
import type { Person } from "../demo/people.ts";
import type { Stage } from "../demo/stage.ts";

/** What a client was told. */
export type Outcome =
  | { readonly kind: "done" }
  | {
      readonly kind: "error";
      readonly sqlstate: string;
      readonly message: string;
      readonly detail: string;
    };

/** Somebody at a database, through the proxy unless another port is said. */
export interface Seat {
  readonly stage: Stage;
  readonly person: Person;
  readonly database: string;
  readonly port?: number;
}

/** As somebody at a terminal would: psql, a simple query. */
export function runWithPsql(seat: Seat, sql: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  const { stage, person, database, port = stage.port } = seat;
  const child = spawn("psql", ["-X", "-q", "-w", "-v", "VERBOSITY=verbose", "-c", sql], {
    env: {
      PATH: env["PATH"],
      LC_ALL: "C",
      PGHOST: stage.host,
      PGPORT: String(port),
      PGUSER: person.name,
      PGPASSWORD: person.password,
      PGDATABASE: database,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) resolve({ kind: "done" });
      const [, sqlstate = "", message = said] = /ERROR: {2}(\w{5}): (.*)/.exec(said) ?? [];
      const [, detail = ""] = /^DETAIL: {2}(.*)/m.exec(said) ?? [];
      resolve({ kind: "error", sqlstate, message, detail });
    });
  });
}

/** As a program would, by node-postgres: a simple query, or with a `name` an extended one of a prepared statement. */
export async function runWithDriver(
  { stage, person, database, port = stage.port }: Seat,
  query: { readonly text: string; readonly name?: string },
): Promise<Outcome> {
  const client = new pg.Client({
    host: stage.host,
    port,
    user: person.name,
    password: person.password,
    database,
  });
  client.on("error", () => undefined); // told by the query that fails with it
  try {
    await client.connect();
    await client.query(query);
    return { kind: "done" };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    const { code: sqlstate = "", message, detail = "" } = error;
    return { kind: "error", sqlstate, message, detail };
  } finally {
    await client.end();
  }
}
