import { approvedStatement } from "../approvals/document.ts";
import type { Submission, Wanted } from "../admin/request-routes.ts";
import { encodeFragment } from "../audit/record.ts";
import { decide } from "../policy/decide.ts";
import type { Decision } from "../policy/decision.ts";
import type { Principal } from "../policy/principal.ts";
import { EFFECTS, type Classification } from "../sql/classification.ts";
import { NEW_SESSION } from "../sql/session.ts";
import { judge, statementFragment, summaryOf, type Judged } from "../session/judged.ts";
import type { Route, SessionServices } from "../session/services.ts";

type NeedsApproval = Extract<Decision, { action: "require_approval" }>;
type Services = Pick<SessionServices, "route" | "policy" | "desk" | "audit" | "metrics" | "now">;

/** Opens, ahead of time, the request that running these statements would open. */
export async function submitRequest(
  requester: Principal,
  wanted: Wanted,
  services: Services,
): Promise<Submission> {
  const route = services.route(wanted.database);
  if (route === undefined) return refused(`there is no database "${wanted.database}"`);
  const judged: Judged[] = [];
  for (const sql of wanted.statements) {
    const classification = await route.classifier.classify(sql, NEW_SESSION);
    const decision = decideAhead(requester, classification, {
      route,
      services,
      client: wanted.client,
    });
    if (decision.action === "block") {
      return refused(
        `rule "${decision.rule}" refuses ${summaryOf(classification, decision.statement)}`,
        decision.hint,
      );
    }
    judged.push(judge(sql, classification, { decision, isTimeless: false }));
  }
  const needing = judged.filter(({ decision }) => decision.action === "require_approval");
  const [first] = needing;
  if (first === undefined) return refused("policy allows it as it is: run it");
  // One request is signed under one rule, and used under that rule.
  if (
    needing.length !== judged.length ||
    needing.some(({ decision }) => decision.rule !== first.decision.rule)
  ) {
    return refused("its statements fall under different rules", "submit them apart");
  }
  const decision = first.decision as NeedsApproval;
  const { place, upstream } = route;
  const opening = await services.desk.ask({
    requester: requester.name,
    roles: requester.roles,
    client: wanted.client,
    database: place.database,
    environment: decision.environment,
    upstream,
    rule: decision.rule,
    terms: decision.terms,
    statements: judged.map(({ text }) => approvedStatement(text, "none")),
    summary: summaryOf(first.classification, decision.statement),
    effects: EFFECTS.filter((effect) =>
      judged.some(({ classification }) =>
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
    services.audit.appendEncoded(
      "request.created",
      encodeFragment({
        person: requester.name,
        roles: requester.roles,
        environment: place.environment,
        database: place.database,
      }),
      statementFragment(first, services.audit.statementText(first.text), "require_approval"),
      encodeFragment({ request: opening.request.id }),
    );
  }
  return opening;
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
