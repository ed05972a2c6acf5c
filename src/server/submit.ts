import { approvedStatement } from "../approvals/document.ts";
import type { Submission, Wanted } from "../admin/request-routes.ts";
import { encodeFragment } from "../audit/record.ts";
import { decide } from "../policy/decide.ts";
import type { Decision } from "../policy/decision.ts";
import { strictest } from "../policy/strictness.ts";
import type { Principal } from "../policy/principal.ts";
import { EFFECTS, type Classification } from "../sql/classification.ts";
import { CAUTIOUS_SESSION } from "../sql/session.ts";
import { judge, judgementFragment, type Judged } from "../session/judged.ts";
import { recordedText } from "../session/recorded-text.ts";
import { summaryOf } from "../sql/summary-of.ts";
import type { Route, SessionServices } from "../session/services.ts";

type NeedsApproval = Extract<Decision, { action: "require_approval" }>;
type Needing = Judged & { readonly decision: NeedsApproval };

interface Services extends Pick<
  SessionServices,
  "route" | "policy" | "desk" | "audit" | "recorded" | "metrics" | "now"
> {
  readonly findPrincipal: (name: string) => Principal | undefined;
}

/**
 * Opens, ahead of time, the request that running these statements would open. Of several, those that need a signature
 * are one request, in their order; the others may run anyway. It is signed under terms that satisfy them all.
 */
export async function submitRequest(
  person: Principal,
  wanted: Wanted,
  services: Services,
): Promise<Submission> {
  const route = services.route(wanted.database);
  if (route === undefined) return refused(`there is no database "${wanted.database}"`);
  const requester = requesterOf(person, wanted, services);
  if (requester === undefined) {
    return refused(
      `there is no workload "${wanted.requester ?? ""}"`,
      "people ask in their own name",
    );
  }
  const needing: Needing[] = [];
  let decision: NeedsApproval | undefined;
  for (const sql of wanted.statements) {
    const classification = await route.classifier.classify(sql, CAUTIOUS_SESSION);
    const own = decideAhead(requester, classification, { route, services, client: wanted.client });
    if (own.action === "allow") continue;
    // Of the two the first where they are equal: a list is named after the first that needs a signature.
    const all = decision === undefined || own.action === "block" ? own : strictest(decision, own);
    if (all.action !== "require_approval" || own.action !== "require_approval") {
      const why = all.action === "block" ? all : undefined;
      return refused(
        `rule "${all.rule}" refuses ${summaryOf(classification, why?.statement)}`,
        why?.hint,
      );
    }
    if (decision !== undefined && own.environment !== decision.environment) {
      return refused("its statements reach different environments", "submit them apart");
    }
    const judged = judge(sql, classification, { decision: own, isTimeless: false });
    if (judged.hasParameters && own.terms.parameters === "exact") {
      return refused(
        `rule "${own.rule}" has the values of ${summaryOf(classification, own.statement)} signed for, which only its run tells`,
        "run it, and have the request signed that its refusal opens",
      );
    }
    decision = all;
    needing.push({ ...judged, decision: own });
  }
  const [first] = needing;
  if (first === undefined || decision === undefined) {
    return refused("policy allows it as it is: run it");
  }
  const opening = await services.desk.ask({
    requester: requester.name,
    ...(requester === person ? {} : { submitter: person.name }),
    roles: requester.roles,
    client: wanted.client,
    database: route.place.database,
    environment: decision.environment,
    upstream: route.upstream,
    rule: decision.rule,
    terms: decision.terms,
    statements: needing.map(({ text, hasParameters }) =>
      approvedStatement(text, hasParameters ? "any" : "none"),
    ),
    summary: summaryOfAll(needing),
    effects: EFFECTS.filter((effect) =>
      needing.some(({ classification }) =>
        (classification.effects as readonly string[]).includes(effect),
      ),
    ),
    reason: wanted.reason,
  });
  if (opening.kind === "too_many_open") {
    return refused(
      `${opening.open} requests of ${requester.name} are open already`,
      "have them signed, or cancel some",
    );
  }
  services.metrics.request(opening.kind === "opened" ? "created" : "joined");
  if (opening.kind === "opened") {
    const { environment, database } = route.place;
    services.audit.appendEncoded(
      "request.created",
      encodeFragment({ person: person.name, roles: person.roles, environment, database }),
      recordedText(services.audit, first.text, services.recorded.literals).fragment,
      judgementFragment(first, "require_approval"),
      encodeFragment({ request: opening.request.id }),
    );
  }
  return opening;
}

/** People ask for themselves and for workloads; for another person, nobody does. */
function requesterOf(
  person: Principal,
  wanted: Wanted,
  { findPrincipal }: Services,
): Principal | undefined {
  if (wanted.requester === undefined || wanted.requester === person.name) return person;
  const requester = findPrincipal(wanted.requester);
  return requester?.kind === "workload" ? requester : undefined;
}

function summaryOfAll(needing: readonly Needing[]): string {
  const [first] = needing;
  if (first === undefined) return "";
  const summary = summaryOf(first.classification, first.decision.statement);
  return needing.length === 1 ? summary : `${summary} and ${needing.length - 1} more`;
}

function decideAhead(
  principal: Principal,
  classification: Classification,
  context: { readonly route: Route; readonly services: Services; readonly client: string },
): Decision {
  const { route, services, client } = context;
  return decide(services.policy(), {
    classification,
    principal,
    client: { address: undefined, applicationName: client, hasTls: true, method: "token" },
    place: route.place,
    neighbours: route.neighbours,
    at: services.now(),
  });
}

function refused(because: string, hint?: string): Submission {
  return { kind: "refused", because, hint };
}
