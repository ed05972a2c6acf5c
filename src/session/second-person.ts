import type { Demand } from "../approvals/covers.ts";
import { approvedStatement } from "../approvals/document.ts";
import type { Request } from "../approvals/request.ts";
import type { Decision } from "../policy/decision.ts";
import { summaryOf } from "../sql/summary-of.ts";
import { frozenBy } from "../policy/freeze.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { ApprovalDesk, TakenUse } from "./approval-desk.ts";
import type { Holds } from "./holds.ts";
import type { Subject } from "./judged.ts";
import {
  canceledRefusal,
  closedRefusal,
  tooLongToSign,
  tooManyRequestsRefusal,
  unsignedRefusal,
  waitingNotice,
  type Refusal,
} from "./refusal.ts";
import type { SessionRecorder } from "./session-recorder.ts";
import type { Situation } from "./situation.ts";

export type NeedsApproval = Extract<Decision, { action: "require_approval" }>;

export interface SecondPersonOptions {
  readonly situation: Situation;
  readonly desk: ApprovalDesk;
  readonly holds: Holds;
  readonly recorder: SessionRecorder;
  readonly metrics: Metrics;
  /** What the session ran before. */
  readonly recent: () => NonNullable<Request["asked"]["recent"]>;
  readonly now: () => Date;
}

/** What an approver can be expected to read; the document that is signed holds the text whole. */
const MAX_SIGNED_BYTES = 256 * 1024;

/** Where a statement needs a second person: has somebody signed, and what happens where nobody has. */
export class SecondPerson {
  readonly #options: SecondPersonOptions;

  constructor(options: SecondPersonOptions) {
    this.#options = options;
  }

  /** Whether it could run now. Uses nothing up. */
  async hasSigned(subject: Subject, decision: NeedsApproval): Promise<boolean> {
    const coverage = await this.#options.desk.look(this.#demand(subject, decision));
    return coverage.kind === "covered";
  }

  /** Takes one use of a signature, if there is one. */
  async take(subject: Subject, decision: NeedsApproval): Promise<TakenUse | undefined> {
    const taken = await this.#options.desk.take(this.#demand(subject, decision));
    if (taken !== undefined) this.#options.metrics.approval("used");
    return taken;
  }

  /**
   * Opens a request, on record, or joins the one that is open for the same; then waits for it to be signed where the
   * rule says so and waiting does no harm.
   *
   * @returns what to refuse with; `undefined` once it is signed
   * @throws AuditUnavailable
   */
  async ask(subject: Subject, decision: NeedsApproval): Promise<Refusal | undefined> {
    const { desk, recorder, metrics, holds } = this.#options;
    const { classification, text } = subject.judged;
    if (Buffer.byteLength(text) > MAX_SIGNED_BYTES) {
      recorder.refused(subject);
      return tooLongToSign(decision, { classification, maxBytes: MAX_SIGNED_BYTES });
    }
    const opening = await desk.ask(this.#asked(subject, decision));
    if (opening.kind === "too_many_open") {
      recorder.refused(subject);
      return tooManyRequestsRefusal(decision, opening.open);
    }
    const { kind, request } = opening;
    metrics.request(kind === "opened" ? "created" : "joined");
    recorder.refused(subject, request.id);
    if (kind === "opened") recorder.requested(subject, request.id);
    if (decision.terms.waits === "refuse" || !holds.isPossible) {
      return this.#unsigned(subject, decision, request);
    }
    return this.#hold(subject, decision, { request, isOurs: kind === "opened" });
  }

  #unsigned({ judged }: Subject, decision: NeedsApproval, request: Request): Refusal {
    const { situation, now } = this.#options;
    const { roles, kind } = situation.principal;
    const { breakGlass, freezes } = decision.terms;
    return unsignedRefusal(decision, {
      classification: judged.classification,
      request,
      freeze: frozenBy(freezes, now())?.name,
      mayGoAlone: kind === "person" && breakGlass.some((role) => roles.includes(role)),
    });
  }

  async #hold(
    subject: Subject,
    decision: NeedsApproval,
    { request, isOurs }: { readonly request: Request; readonly isOurs: boolean },
  ): Promise<Refusal | undefined> {
    const { desk, holds, situation } = this.#options;
    const { classification } = subject.judged;
    const notice = waitingNotice(decision, { classification, request });
    const seconds = decision.terms.holdSeconds;
    const { value: latest, end } = await holds.hold({ notice, seconds }, (signal) =>
      desk.awaitSigned(request.id, signal),
    );
    if (latest?.state.kind === "approved") return undefined;
    if (end === undefined)
      return closedRefusal(decision, { classification, request: latest ?? request });
    if (end === "timed_out") return this.#unsigned(subject, decision, request);
    // Whoever has gone shall not be signed for; others who asked for the same still wait for it.
    if (isOurs && latest?.timesAsked === 1)
      await desk.withdraw(request.id, situation.principal.name);
    return canceledRefusal();
  }

  #demand({ judged, parameters }: Subject, decision: NeedsApproval): Demand {
    const { principal, place, upstream } = this.#options.situation;
    return {
      requester: principal.name,
      database: place.database,
      environment: decision.environment,
      upstream,
      rule: decision.rule,
      sql: judged.text,
      parameters,
      terms: decision.terms,
    };
  }

  #asked(
    { judged, parameters }: Subject,
    decision: NeedsApproval,
  ): Parameters<ApprovalDesk["ask"]>[0] {
    const { principal, client, address, place, upstream } = this.#options.situation;
    return {
      requester: principal.name,
      roles: principal.roles,
      client: [address, client.applicationName].filter((part) => part !== "").join(" "),
      database: place.database,
      environment: decision.environment,
      upstream,
      rule: decision.rule,
      terms: decision.terms,
      statements: [approvedStatement(judged.text, toBeSigned(parameters, decision))],
      summary: summaryOf(judged.classification, decision.statement),
      effects: judged.classification.effects,
      recent: this.#options.recent(),
      reason: "",
    };
  }
}

function toBeSigned(
  parameters: Subject["parameters"],
  { terms }: NeedsApproval,
): Subject["parameters"] | "any" {
  return parameters !== "none" && terms.parameters === "any" ? "any" : parameters;
}
