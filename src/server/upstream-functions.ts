import { z } from "zod";
import type { QualifiedName } from "../sql/classification.ts";
import { ServerSession } from "../provision/server-session.ts";
import type { Route } from "../session/services.ts";
import type { FunctionCatalogue } from "../session/session-functions.ts";
import type { Log } from "../telemetry/log.ts";

/** Of a database: names of functions that only read, if the server's catalogue is right. */
export interface ReadingFunctions {
  /** By schema: each function of the name there. */
  readonly named: ReadonlyMap<string, ReadonlySet<string>>;
  /** Each function of the name, in whatever schema. */
  readonly everywhere: ReadonlySet<string>;
}

export interface UpstreamFunctionsOptions {
  readonly database: string;
  readonly load: () => Promise<ReadingFunctions>;
  readonly log: Log;
}

const REFRESH_MS = 60_000;
/** Up to so much sooner, so that databases don't ask all at once. */
const JITTER_MS = 15_000;
/** A busy session's DDL must not have us read the catalogue all the time. */
const LEAST_MS = 500;

/**
 * Knows what the catalogue said when it was last read; nothing, from when a change is sent through us until the
 * catalogue has been read after it, or where it can't be read.
 */
export class UpstreamFunctions implements FunctionCatalogue {
  readonly #options: UpstreamFunctionsOptions;
  readonly #changing = new Set<object>();
  #known: ReadingFunctions | undefined;
  /** Of what is known: what was read before a change is not about what is there now. */
  #generation = 0;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasFailed = false;
  #isClosed = false;

  constructor(options: UpstreamFunctionsOptions) {
    this.#options = options;
  }

  readonly trusts = ({ schema, name }: QualifiedName): boolean => {
    if (this.#known === undefined) return false;
    return schema === undefined
      ? this.#known.everywhere.has(name)
      : this.#known.named.get(schema)?.has(name) === true;
  };

  changing(who: object): void {
    this.#changing.add(who);
    this.#forget();
  }

  settled(who: object): void {
    if (!this.#changing.delete(who)) return;
    this.#forget();
    if (this.#changing.size === 0) this.#plan(LEAST_MS);
  }

  /** Reads the catalogue now. Never rejects: what can't be read is not known. */
  refresh(): Promise<void> {
    this.#running ??= this.#refresh().finally(() => {
      this.#running = undefined;
      const isOutdated = !this.#hasFailed && this.#known === undefined && this.#changing.size === 0;
      this.#plan(isOutdated ? LEAST_MS : REFRESH_MS - Math.random() * JITTER_MS);
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #refresh(): Promise<void> {
    const { load, log, database } = this.#options;
    const generation = this.#generation;
    try {
      const loaded = await load();
      this.#hasFailed = false;
      if (generation === this.#generation && this.#changing.size === 0) this.#known = loaded;
    } catch (error) {
      this.#known = undefined;
      if (!this.#hasFailed) {
        log.warn(
          { err: error, database },
          "the catalogue of functions can't be read, so functions that are not PostgreSQL's own are opaque",
        );
      }
      this.#hasFailed = true;
    }
  }

  #forget(): void {
    this.#generation += 1;
    this.#known = undefined;
  }

  #plan(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.refresh(), delayMs).unref();
  }
}

const DEADLINE_MS = 5000;

const PARAMETERS = new Map([
  ["application_name", "twokey functions"],
  ["client_encoding", "UTF8"],
  ["standard_conforming_strings", "on"],
  ["default_transaction_read_only", "on"],
  ["search_path", "pg_catalog"],
  ["statement_timeout", "4s"],
]);

/** @throws UpstreamRefused, UpstreamUnavailable; ConnectionRefused where we have no login ourselves */
export async function readFunctions(connect: Route["connect"]): Promise<ReadingFunctions> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const session = new ServerSession(await connect("twokey", PARAMETERS, deadline));
  const cutOff = (): void => {
    session.destroy();
  };
  deadline.addEventListener("abort", cutOff);
  try {
    const rows = await session.rows(READING_FUNCTIONS, row);
    const named = new Map<string, Set<string>>();
    for (const { schema, name } of rows) {
      const names = named.get(schema) ?? new Set();
      named.set(schema, names.add(name));
    }
    const everywhere = rows.filter((each) => each.everywhere).map(({ name }) => name);
    return { named, everywhere: new Set(everywhere) };
  } finally {
    deadline.removeEventListener("abort", cutOff);
    session.close();
  }
}

const row = z.object({ schema: z.string(), name: z.string(), everywhere: z.boolean() });

/**
 * The server holds SQL and PL/pgSQL of stable and immutable functions to reading. Not so what is run around the call:
 * defaults of arguments, checks of an argument's domain; nor a cast, which a type's name may stand for.
 */
const READING_FUNCTIONS = `
  WITH functions AS (
    SELECT n.nspname, p.proname,
           p.prokind = 'f' AND p.provolatile IN ('i', 's') AND l.lanname IN ('sql', 'plpgsql')
           AND p.pronargdefaults = 0
           AND NOT EXISTS (
             SELECT FROM unnest(p.proargtypes) AS a(type) JOIN pg_type t ON t.oid = a.type
             WHERE t.typnamespace <> 'pg_catalog'::regnamespace AND t.typtype <> 'e')
           AND NOT EXISTS (SELECT FROM pg_type t WHERE t.typname = p.proname) AS reads
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_language l ON l.oid = p.prolang
  ), names AS (
    SELECT nspname, proname, bool_and(reads) AS here,
           bool_and(bool_and(reads)) OVER (PARTITION BY proname) AS everywhere
    FROM functions GROUP BY nspname, proname
  )
  SELECT nspname::text AS schema, proname::text AS name, everywhere FROM names WHERE here`;
