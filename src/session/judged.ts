import type { BoundParameter } from "../approvals/bound-parameters.ts";
import { encodeFragment, type Fragment } from "../audit/record.ts";
import type { Decision } from "../policy/decision.ts";
import {
  EFFECTS,
  type Classification,
  type Effect,
  type ParsedClassification,
} from "../sql/classification.ts";
import type { SessionChange } from "../sql/session.ts";
import { mayChangeFunctions } from "../sql/trust.ts";

/** A text with the decision about it: made once for a text and a session's situation, enforced at every use. */
export interface Judged {
  /** As the frontend sent it; what an approval binds. */
  readonly text: string;
  readonly classification: Classification;
  readonly decision: Decision;
  /** The same would be decided at any other time. */
  readonly isTimeless: boolean;
  /** The gravest of its effects, which metrics count it under. */
  readonly countedAs: Effect;
  /** It can change something, so its record is with the operating system before it is forwarded. */
  readonly canChange: boolean;
  /** It destroys, so its record is on disk before. */
  readonly isDestructive: boolean;
  /** What is forwarded in its place, where comments had to go. */
  readonly rewritten: Buffer | undefined;
  readonly mayChangeLexing: boolean;
  /** After it, what was known of functions is not to be relied on. */
  readonly mayChangeFunctions: boolean;
  /** What the session is never again believed to be without, once the statement is sent. */
  readonly worsens: readonly SessionChange[];
  readonly hasParameters: boolean;
  /** How many COPY FROM STDIN it holds. */
  readonly copiesIn: number;
  /** Unbound, as a `Query` runs it. */
  readonly subject: Subject;
}

/** What is to be run: a text, and the values bound to it where an approval has to bind them. */
export interface Subject {
  readonly judged: Judged;
  /** Type OIDs that the `Parse` named. */
  readonly parameterTypes: readonly number[];
  readonly parameters: "none" | readonly BoundParameter[];
  /** The values as the log wants them. */
  readonly recorded: Fragment | undefined;
  /**
   * Shared by all views of one portal; none for what is not bound. A portal runs once: every further Execute only
   * fetches more rows, so it is not another execution, and one approval is enough for it.
   */
  readonly portal: { isApproved: boolean } | undefined;
}

export function judge(
  text: string,
  classification: Classification,
  { decision, isTimeless }: { readonly decision: Decision; readonly isTimeless: boolean },
): Judged {
  const isParsed = classification.kind === "parsed";
  return withSubject({
    text,
    classification,
    decision,
    isTimeless,
    countedAs: gravest(classification.effects),
    canChange: classification.effects.some((effect) => !HARMLESS.has(effect)),
    isDestructive: !isParsed || classification.destructive,
    rewritten:
      isParsed && classification.text !== text ? Buffer.from(classification.text) : undefined,
    // Views, triggers and functions run code that nobody sees here, which may SET what it likes.
    mayChangeLexing:
      !isParsed ||
      classification.mayChangeLexing ||
      classification.effects.some((effect) => !RUNS_NO_CODE.has(effect)),
    mayChangeFunctions: mayChangeFunctions(classification),
    worsens: isParsed ? worsenedBy(classification) : [],
    hasParameters: isParsed && classification.hasParameters,
    copiesIn: isParsed
      ? classification.statements.filter(({ effects }) => effects.includes("copy_in")).length
      : 0,
  });
}

function worsenedBy({ statements }: ParsedClassification): readonly SessionChange[] {
  return statements
    .flatMap(({ changes }) => changes)
    .filter(
      (change) =>
        (change.kind === "prepared" || change.kind === "defined") &&
        (change.statement.destructive || change.statement.mustRefuse),
    );
}

/** The same judgement of another text, which has the same statements and is forwarded as it is. */
export function withText(judged: Judged, classification: ParsedClassification): Judged {
  return withSubject({
    ...judged,
    text: classification.text,
    classification,
    rewritten: undefined,
  });
}

// The two point at each other, so that a Query needs no allocation of its own.
function withSubject(judged: Omit<Judged, "subject">): Judged {
  const whole = judged as { -readonly [K in keyof Judged]: Judged[K] };
  whole.subject = {
    judged: whole,
    parameterTypes: [],
    parameters: "none",
    recorded: undefined,
    portal: undefined,
  };
  return whole;
}

/** What texts of one shape share: by it, what was made for one of them is found for all. */
export function sharedBy(classification: Classification): object {
  return classification.kind === "parsed" ? classification.statements : classification;
}

/** The members of a statement's audit records, besides its text, that its judgement gives. */
export function judgementFragment(
  { classification, decision, isDestructive }: Judged,
  action: Decision["action"],
): Fragment {
  return encodeFragment({
    effects: classification.effects,
    destructive: isDestructive,
    objects:
      classification.kind === "parsed"
        ? classification.statements.flatMap(({ objects }) => objects)
        : [],
    action,
    rule: decision.rule,
    ...(decision.action === "allow" &&
      decision.observed !== undefined && { observed: decision.observed.action }),
  });
}

// Neither changes anything outside its own session.
const HARMLESS: ReadonlySet<Effect> = new Set(["read", "session", "transaction", "copy_out"]);

const RUNS_NO_CODE: ReadonlySet<Effect> = new Set(["session", "transaction"]);

const BY_GRAVITY: readonly Effect[] = [
  "unparsed",
  "program_execution",
  "file_access",
  "destructive_ddl",
  "delete",
  "admin",
  "privilege",
  "replication",
  "opaque",
  "ddl",
  "write",
  "copy_in",
  "copy_out",
  "session",
  "transaction",
  "read",
] as const satisfies readonly Effect[];

function gravest(effects: readonly Effect[]): Effect {
  return BY_GRAVITY.find((effect) => effects.includes(effect)) ?? EFFECTS[0];
}
