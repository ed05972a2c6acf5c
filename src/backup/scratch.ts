import { randomBytes } from "node:crypto";
import { z } from "zod";
import { Secret } from "../base/secret.ts";
import type { ScratchConfig } from "../config/backups.ts";
import type { Upstream } from "../config/config.ts";
import { readAdministrator } from "../provision/administrator.ts";
import { openWith } from "../provision/open-session.ts";
import type { ServerSession } from "../provision/server-session.ts";
import { identifier } from "../provision/sql-text.ts";
import { startEmbeddedPostgres } from "../upstream/embedded-postgres.ts";
import { BackupFailed } from "./backup-failed.ts";
import { createDatabase, createRoles } from "./new-database.ts";
import type { Note } from "./note.ts";
import { describe, openBeside, type ServerLogin } from "./server-login.ts";

/**
 * Lends an empty database, on a PostgreSQL of its own or on a server kept for that, with the roles that a restore needs.
 * Whatever comes of it, it is gone afterwards.
 *
 * @param like - what was noted of the database that is to be restored
 */
export async function withScratch<T>(
  scratch: ScratchConfig,
  { like, signal }: { readonly like: Note; readonly signal: AbortSignal },
  use: (login: ServerLogin) => Promise<T>,
): Promise<T> {
  if (scratch.kind === "server") {
    const { from } = scratch.url;
    const place = from === "env" ? `env:${scratch.url.name}` : `file:${scratch.url.path}`;
    const { user, password, host } = readAdministrator(place, process.env);
    if (host === undefined) throw new BackupFailed("backups.scratch.url names no host");
    return withDatabase(upstreamAt(host, "prefer"), { user, password, like, isKept: true }, use);
  }
  const password = new Secret(randomBytes(18).toString("hex"));
  const server = await startEmbeddedPostgres({
    superuser: "twokey",
    password,
    binDir: scratch.programsDirectory,
    // What is thrown away needn't be safe, only quick.
    settings: {
      full_page_writes: "off",
      synchronous_commit: "off",
      max_wal_size: "4GB",
      autovacuum: "off",
    },
    signal,
  });
  try {
    const upstream = upstreamAt({ kind: "tcp", host: server.host, port: server.port }, "disable");
    return await withDatabase(upstream, { user: "twokey", password, like, isKept: false }, use);
  } finally {
    await server.stop();
  }
}

interface Making {
  readonly user: string;
  readonly password: Secret;
  readonly like: Note;
  /** The server goes on afterwards; and it is an administrator's, with the locales of theirs. */
  readonly isKept: boolean;
}

async function withDatabase<T>(
  upstream: Upstream,
  { user, password, like, isKept }: Making,
  use: (login: ServerLogin) => Promise<T>,
): Promise<T> {
  const [host] = upstream.hosts;
  if (host === undefined) throw new BackupFailed("the scratch server has no host");
  const session = await openWith(
    { user, password: () => Promise.resolve(password) },
    { upstream, database: "postgres" },
  );
  const server = await describe(session, { upstream, host, user, password, database: "postgres" });
  const name = `twokey_scratch_${randomBytes(6).toString("hex")}`;
  let made: readonly string[] = [];
  try {
    made = await createRoles(session, like.roles);
    await createDatabase(session, name, { like: like.database, keepsLocale: isKept });
    const login = await openBeside(server, name);
    try {
      return await use(login);
    } finally {
      if (isKept) await dropSubscriptions(login.session);
      login.session.close();
    }
  } finally {
    if (isKept) {
      await session.run(`DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE)`);
      for (const role of made) await session.run(`DROP ROLE ${identifier(role)}`);
    }
    session.close();
  }
}

/** They keep their database from being dropped. Restored ones are disabled and never had a slot of their own. */
async function dropSubscriptions(session: ServerSession): Promise<void> {
  const found = await session.rows(
    "SELECT subname AS name FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
    z.object({ name: z.string() }),
  );
  for (const { name } of found) {
    const subscription = identifier(name);
    await session.run(`ALTER SUBSCRIPTION ${subscription} SET (slot_name = NONE)`);
    await session.run(`DROP SUBSCRIPTION ${subscription}`);
  }
}

function upstreamAt(host: Upstream["hosts"][number], mode: Upstream["tls"]["mode"]): Upstream {
  return {
    name: "scratch",
    hosts: [host],
    targetSessionAttrs: "any",
    user: "",
    password: undefined,
    tls: { mode, caFile: undefined, certFile: undefined, keyFile: undefined, isDirect: false },
    connectTimeoutMs: 10_000,
  };
}
