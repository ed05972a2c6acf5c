import { mkdirSync } from "node:fs";
import path from "node:path";
import type { RequestStore } from "../approvals/request-store.ts";
import { Secret } from "../base/secret.ts";
import type { Config } from "../config/config.ts";
import { readSecret } from "../config/secret-source.ts";
import { openPostgresRequestStore } from "../store/requests-postgres.ts";
import { openSqliteRequestStore } from "../store/requests-sqlite.ts";

/** Opens the store that the configuration names. */
export async function openRequestStore({ store, approvals }: Config): Promise<RequestStore> {
  const maxOpenPerRequester = approvals.maxOpenRequests;
  if (store.kind === "sqlite") {
    mkdirSync(path.dirname(store.file), { recursive: true, mode: 0o700 });
    return openSqliteRequestStore({ file: store.file, maxOpenPerRequester });
  }
  const url = new URL(readSecret(store.url).reveal());
  return openPostgresRequestStore({
    connection: {
      host: decodeURIComponent(url.hostname),
      port: url.port === "" ? 5432 : Number(url.port),
      user: decodeURIComponent(url.username),
      password: new Secret(decodeURIComponent(url.password)),
      database: decodeURIComponent(url.pathname.slice(1)),
      schema: url.searchParams.get("schema") ?? "twokey",
      tls: url.searchParams.get("sslmode") === "disable" ? false : { rejectUnauthorized: true },
    },
    maxOpenPerRequester,
  });
}
