import { z } from "zod";
import { parseVerifier, type ScramVerifier } from "../auth/verifier.ts";
import type { Config, Upstream } from "../config/config.ts";
import { openAs } from "../provision/open-session.ts";
import type { Log } from "../telemetry/log.ts";

const rowSchema = z.object({ name: z.string(), verifier: z.string() });

/**
 * What the servers keep of the passwords of those who are to log in with their password there. Read again and again by
 * an administrator's log-in; somebody whose password was changed meanwhile gets in with the new one after the next time.
 */
export class UpstreamVerifiers {
  readonly #config: Config;
  readonly #log: Log;
  readonly #byUpstream = new Map<string, ReadonlyMap<string, ScramVerifier>>();

  constructor(config: Config, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  /** @param database - as frontends name it */
  of(name: string, database: string): ScramVerifier | undefined {
    const upstream = this.#config.databases.get(database)?.upstream;
    return upstream === undefined ? undefined : this.#byUpstream.get(upstream)?.get(name);
  }

  /** A server that can't be asked leaves what was known of it as it is. */
  async refresh(): Promise<void> {
    const upstreams = [...this.#config.upstreams.values()];
    await Promise.all(upstreams.map((upstream) => this.#refreshOne(upstream)));
  }

  async #refreshOne(upstream: Upstream): Promise<void> {
    const { name, verifiers } = upstream;
    if (verifiers === undefined) return;
    try {
      const { user, password: source, database, query } = verifiers;
      const credential = { upstream: name, user, source, name: `upstreams.${name}.verifiers` };
      const session = await openAs(credential, { upstream, database });
      try {
        const rows = await session.rows(query, rowSchema);
        const known = rows.flatMap((row): [string, ScramVerifier][] => {
          const verifier = parseVerifier(row.verifier);
          return verifier === undefined ? [] : [[row.name, verifier]];
        });
        this.#byUpstream.set(name, new Map(known));
      } finally {
        session.close();
      }
    } catch (error) {
      this.#log.error(
        { err: error, upstream: name },
        "the passwords of those who log in with the upstream's can't be read; what was read before counts",
      );
    }
  }
}
