import type { Request } from "../approvals/request.ts";
import { toDocument, type Impact, type NewestBackup } from "../impact/impact.ts";
import { measureImpact, type MeasureOptions } from "../impact/measure.ts";
import { APPLICATION_NAME } from "../impact/server-facts.ts";
import type { Json } from "../base/canonical-json.ts";
import { placesBeside } from "../policy/place.ts";
import type { Principal } from "../policy/principal.ts";
import { ServerSession } from "../provision/server-session.ts";
import type { Route } from "../session/services.ts";
import type { Classification } from "../sql/classification.ts";
import { CAUTIOUS_SESSION } from "../sql/session.ts";

const DEADLINE_MS = 5000;

/** Nobody can make us measure more often than this: it costs the server something. */
const KEEP_MS = 5000;
const MAX_KEPT = 100;

const PARAMETERS = new Map([
  ["application_name", APPLICATION_NAME],
  ["client_encoding", "UTF8"],
  ["standard_conforming_strings", "on"],
  ["default_transaction_read_only", "on"],
  ["statement_timeout", "2s"],
  ["lock_timeout", "500ms"],
]);

export interface ImpactsOptions {
  readonly route: (database: string) => Route | undefined;
  readonly findPrincipal: (name: string) => Principal | undefined;
  readonly backup: (database: string) => Promise<NewestBackup>;
  readonly now: () => Date;
}

/** What requests would do, measured when somebody looks. */
export class Impacts {
  readonly #options: ImpactsOptions;
  readonly #kept = new Map<string, { readonly until: number; readonly impact: Promise<Impact> }>();

  constructor(options: ImpactsOptions) {
    this.#options = options;
  }

  /** As it stands in a document. */
  async ofRequest(request: Request): Promise<Readonly<Record<string, Json>>> {
    const now = this.#options.now();
    for (const [id, { until }] of this.#kept) if (until <= now.getTime()) this.#kept.delete(id);
    const kept = this.#kept.get(request.id);
    if (kept !== undefined) return toDocument(await kept.impact);
    const impact = this.#measure(request, now);
    if (this.#kept.size < MAX_KEPT) {
      this.#kept.set(request.id, { until: now.getTime() + KEEP_MS, impact });
    }
    return toDocument(await impact);
  }

  async #measure({ asked }: Request, now: Date): Promise<Impact> {
    const { route: findRoute, findPrincipal, backup } = this.#options;
    const route = findRoute(asked.database);
    if (route === undefined) return measureImpact([], { ...NOWHERE, now });
    const statements = await Promise.all(
      asked.statements.map(({ sql }) =>
        Promise.resolve(route.classifier.classify(sql, CAUTIOUS_SESSION)),
      ),
    );
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    return measureImpact(statements, {
      open: async (who) => {
        const requester = findPrincipal(asked.requester);
        if (who === "requester" && requester === undefined) throw new Error("no such requester");
        const own = new Map([...PARAMETERS, ["search_path", "pg_catalog"]]);
        const link = await (who === "twokey" || requester === undefined
          ? route.connect("twokey", own, deadline)
          : route.connect({ principal: requester, upstream: undefined }, PARAMETERS, deadline));
        // What hangs is cut off, and told as unknown.
        deadline.addEventListener("abort", () => {
          link.connection.destroy();
        });
        return new ServerSession(link);
      },
      backup: () => backup(reachedBy(statements, route) ?? asked.database),
      now,
    });
  }
}

/** The one other database that is named, as by DROP DATABASE typed elsewhere: its backup is what matters. */
function reachedBy(
  classifications: readonly Classification[],
  { place, neighbours }: Route,
): string | undefined {
  const statements = classifications.flatMap((each) =>
    each.kind === "parsed" ? each.statements : [],
  );
  const places = statements.flatMap((statement) => placesBeside(statement, neighbours, place));
  const names = new Set(places.map(({ database }) => database));
  return names.size === 1 ? [...names][0] : undefined;
}

const NOWHERE: Omit<MeasureOptions, "now"> = {
  open: () => Promise.reject(new Error("the database is not configured any more")),
  backup: () =>
    Promise.resolve({ state: "unknown", because: "the database is not configured any more" }),
};
