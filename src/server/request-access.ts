import type { Submission } from "../admin/request-routes.ts";
import type { WantedAccess } from "../admin/access-routes.ts";
import { encodeFragment } from "../audit/record.ts";
import type { AccessOffer } from "../config/config.ts";
import type { Principal } from "../policy/principal.ts";
import type { SessionServices } from "../session/services.ts";

type Services = Pick<SessionServices, "route" | "desk" | "audit" | "metrics">;

/** Opens the request for a role, for as long and in such places as the configuration offers it to whoever asks. */
export async function requestAccess(
  person: Principal,
  wanted: WantedAccess,
  { offers, services }: { readonly offers: readonly AccessOffer[]; readonly services: Services },
): Promise<Submission> {
  const { role, seconds, database, reason, client } = wanted;
  const route = services.route(database);
  if (route === undefined) return refused(`there is no database "${database}"`);
  if (person.roles.includes(role)) return refused(`you have the role "${role}" already`);
  const { environment } = route.place;
  const offer = offers.find(
    (one) =>
      one.role === role &&
      (one.environments?.includes(environment) ?? true) &&
      one.forRoles.some((own) => person.roles.includes(own)),
  );
  if (offer === undefined) {
    return refused(
      `the role "${role}" is not to be had for a while in ${environment}`,
      "access, in twokey's configuration, says who may ask for which",
    );
  }
  if (seconds > offer.maxSeconds) {
    return refused(`"${role}" is to be had for at most ${offer.maxSeconds} s`, "ask for less");
  }
  const summary = `the role "${role}" for ${seconds} s`;
  const rule = offer.name;
  const opening = await services.desk.ask({
    requester: person.name,
    roles: person.roles,
    client,
    database,
    environment,
    upstream: route.upstream,
    rule,
    terms: offer.terms,
    statements: [],
    access: { role, seconds },
    summary,
    effects: [],
    reason,
  });
  if (opening.kind === "too_many_open") {
    return refused(
      `${opening.open} requests of ${person.name} are open already`,
      "have them signed, or cancel some",
    );
  }
  services.metrics.request(opening.kind === "opened" ? "created" : "joined");
  if (opening.kind === "opened") {
    services.audit.appendEncoded(
      "request.created",
      encodeFragment({ person: person.name, roles: person.roles, environment, database }),
      encodeFragment(services.audit.statementText("")),
      encodeFragment({
        effects: [],
        destructive: false,
        objects: [],
        action: "require_approval",
        rule,
        access: { role, seconds },
        request: opening.request.id,
      }),
    );
  }
  return opening;
}

function refused(because: string, hint?: string): Submission {
  return { kind: "refused", because, hint };
}
