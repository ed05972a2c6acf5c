import { decideTimed } from "../policy/decide.ts";
import type { Place } from "../policy/place.ts";
import type { Policy } from "../policy/policy.ts";
import { onlyReads, type Principal } from "../policy/principal.ts";
import type { Classification } from "../sql/classification.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Classifier } from "./classifier.ts";
import { judge, sharedBy, withText, type Judged, type Subject } from "./judged.ts";
import { undecodableRefusal, type Refusal } from "./refusal.ts";
import type { SessionFunctions } from "./session-functions.ts";
import type { SessionSql } from "./session-sql.ts";
import type { Situation } from "./situation.ts";

export interface JudgingOptions {
  readonly situation: Situation;
  readonly policy: () => Policy;
  readonly asOfNow: (principal: Principal, place: Place) => Principal;
  readonly classifier: Classifier;
  readonly sql: SessionSql;
  /** `undefined` where no function is trusted but PostgreSQL's own. */
  readonly functions: SessionFunctions | undefined;
  readonly metrics: Metrics;
  readonly now: () => Date;
}

/** One session's judgements of texts: what is it, and may it? Each is made once, for as long as it holds. */
export class Judging {
  readonly #options: JudgingOptions;
  /** By their statements, which texts of one shape share. */
  #judgements = new WeakMap<object, Judged>();
  #policy: Policy;
  #principal: Principal;

  constructor(options: JudgingOptions) {
    this.#options = options;
    this.#policy = options.policy();
    this.#principal = options.situation.principal;
  }

  /** The policy has changed since something was judged last. */
  get isOutOfDate(): boolean {
    return this.#options.policy() !== this.#policy;
  }

  /** @param bytes - of the text, as it came */
  read(bytes: Buffer): Judged | Refusal | Promise<Judged> {
    const { classifier, sql } = this.#options;
    const startedAtMs = performance.now();
    const text = sql.decode(bytes);
    if (text === undefined) return undecodableRefusal();
    const classification = classifier.classify(text, sql.session);
    return classification instanceof Promise
      ? classification.then((late) => this.#judgeSince(startedAtMs, text, late))
      : this.#judgeSince(startedAtMs, text, classification);
  }

  #judgeSince(startedAtMs: number, text: string, classification: Classification): Judged {
    const judged = this.#judge(text, classification);
    this.#options.metrics.decisionTook((performance.now() - startedAtMs) / 1000);
    return judged;
  }

  #judge(text: string, classified: Classification): Judged {
    this.#lookAround();
    const classification = this.#trusting(classified) ?? classified;
    const key = sharedBy(classification);
    const known = this.#judgements.get(key);
    if (known?.text === text) return known;
    if (known !== undefined && classification.kind === "parsed" && classification.text === text) {
      return withText(known, classification);
    }
    const decided = this.#decide(classification);
    const { decision } = decided;
    // Whom to trust is asked at each use.
    const isTimeless = decided.isTimeless && classification === classified;
    const judged = judge(text, classification, { decision, isTimeless });
    if (isTimeless) this.#judgements.set(key, judged);
    return judged;
  }

  /** Not in a session that only reads: what a trusted function calls could take that away from it. */
  #trusting(classified: Classification): Classification | undefined {
    const { functions, situation } = this.#options;
    if (functions === undefined || onlyReads(this.#principal, situation.readOnlyRoles)) {
      return undefined;
    }
    return functions.trusting(classified);
  }

  /** What was decided holds no longer once the policy is another, or the roles that somebody has for a while. */
  #lookAround(): void {
    const policy = this.#options.policy();
    const principal = this.#principalNow();
    if (policy === this.#policy && principal === this.#principal) return;
    this.#policy = policy;
    this.#principal = principal;
    this.#judgements = new WeakMap();
  }

  #principalNow(): Principal {
    const { asOfNow, situation } = this.#options;
    return asOfNow(situation.principal, situation.place);
  }

  #decide(classification: Classification): ReturnType<typeof decideTimed> {
    const { situation, now } = this.#options;
    const { client, place, neighbours } = situation;
    const principal = this.#principal;
    const isReadOnly = onlyReads(principal, situation.readOnlyRoles);
    return decideTimed(this.#policy, {
      classification,
      principal,
      client,
      place,
      isReadOnly,
      neighbours,
      at: now(),
    });
  }

  /** The subject in the session, under the policy and at the time of its execution, not those of its `Parse`. */
  current(subject: Subject): Subject | Promise<Subject> {
    const { judged } = subject;
    const { classifier, sql, policy } = this.#options;
    if (!dependsOnSession(judged)) {
      const isSame = policy() === this.#policy && this.#principalNow() === this.#principal;
      if (isSame && judged.isTimeless) return subject;
      return this.#inPlaceOf(subject, judged.classification);
    }
    const classification = classifier.classify(judged.text, sql.session);
    return classification instanceof Promise
      ? classification.then((late) => this.#inPlaceOf(subject, late))
      : this.#inPlaceOf(subject, classification);
  }

  #inPlaceOf(subject: Subject, classification: Classification): Subject {
    const current = this.#judge(subject.judged.text, classification);
    return current === subject.judged ? subject : { ...subject, judged: current };
  }
}

function dependsOnSession({ classification }: Judged): boolean {
  return classification.kind === "parsed" && classification.dependsOnSession;
}
