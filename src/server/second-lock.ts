import { createHash } from "node:crypto";
import { z } from "zod";
import { SQLSTATE, UpstreamUnavailable } from "../base/errors.ts";
import type { Database, Upstream } from "../config/config.ts";
import { openAs } from "../provision/open-session.ts";
import type { ServerSession } from "../provision/server-session.ts";
import type { Clearance } from "../session/clearance.ts";
import type { UpstreamLink } from "../upstream/connect.ts";

const lockedSchema = z.object({ locked: z.boolean() });

/**
 * Clears statements for the server's second lock (`provision/second-lock-sql.ts`): an advisory lock each, held by a role
 * that no session logs in as, for as long as the statement runs. One connection for all sessions of a database; when it is
 * lost, the server forgets its locks, and what was cleared is refused.
 */
export class SecondLock {
  readonly #database: Database;
  readonly #upstream: Upstream;
  readonly #lock: NonNullable<Database["secondLock"]>;
  #session: Promise<ServerSession> | undefined;
  /** One statement at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(database: Database, upstream: Upstream, lock: NonNullable<Database["secondLock"]>) {
    this.#database = database;
    this.#upstream = upstream;
    this.#lock = lock;
  }

  /** For the session that this link belongs to. */
  for(link: UpstreamLink): Clearance {
    const pid = link.key?.processId;
    return {
      clear: async (text) => {
        if (pid === undefined) throw cannot("the server gave no process id for this session");
        const key = clearanceKey(pid, text);
        await this.#take(key, link);
        return () => {
          this.#release(key);
        };
      },
    };
  }

  close(): void {
    void this.#session?.then(
      (session) => {
        session.close();
      },
      () => undefined,
    );
  }

  async #take(key: bigint, link: UpstreamLink): Promise<void> {
    const query = `SELECT pg_catalog.pg_try_advisory_lock_shared(${key}) AS locked`;
    const attempt = () => this.#inTurn(link, (session) => session.rows(query, lockedSchema));
    try {
      // The connection may have been lost since it was last used.
      const [row] = await attempt().catch(attempt);
      if (row?.locked === true) return;
    } catch (cause) {
      throw cannot("the second lock's role can't clear it", cause);
    }
    throw cannot("somebody else holds the lock by which it would be cleared");
  }

  #release(key: bigint): void {
    const query = `SELECT pg_catalog.pg_advisory_unlock_shared(${key}) AS locked`;
    // A connection that is lost has released it already.
    this.#inTurn(undefined, (session) => session.rows(query, lockedSchema)).catch(() => undefined);
  }

  #inTurn<T>(
    link: UpstreamLink | undefined,
    work: (session: ServerSession) => Promise<T>,
  ): Promise<T> {
    const turn = this.#last.then(async () => {
      const session = await this.#open(link);
      try {
        return await work(session);
      } catch (error) {
        this.#session = undefined;
        session.close();
        throw error;
      }
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #open(link: UpstreamLink | undefined): Promise<ServerSession> {
    if (this.#session !== undefined) return this.#session;
    if (link === undefined) return Promise.reject(new Error("the connection is gone"));
    const { user, password: source } = this.#lock;
    const { place } = this.#database;
    const name = `databases.${place.database}.second_lock`;
    // The server of this very session, of several: the lock counts on no other.
    const upstream = {
      ...this.#upstream,
      hosts: [link.address],
      targetSessionAttrs: "any" as const,
    };
    const opened = openAs(
      { upstream: upstream.name, user, source, name },
      { upstream, database: place.serverDatabase },
    );
    this.#session = opened;
    opened.catch(() => {
      this.#session = undefined;
    });
    return opened;
  }
}

/** INVARIANT: as the trigger computes it: the first eight bytes of SHA-256, big-endian, two's complement. */
export function clearanceKey(pid: number, text: string): bigint {
  return createHash("sha256").update(`${pid}:${text}`).digest().readBigInt64BE(0);
}

function cannot(why: string, cause?: unknown): UpstreamUnavailable {
  return new UpstreamUnavailable(
    SQLSTATE.connectionFailure,
    `it could not be cleared for the second lock: ${why}`,
    { hint: "The operator of Twokey has to look at databases.NAME.second_lock.", cause },
  );
}
