import { assertNever } from "../base/assert-never.ts";
import {
  EFFECTS,
  type Classification,
  type ParsedClassification,
  type UnparsedClassification,
} from "../sql/classification.ts";
import type { Client } from "./client.ts";
import type { Decision } from "./decision.ts";
import { placesBeside, type Place } from "./place.ts";
import type { Policy } from "./policy.ts";
import type { Principal } from "./principal.ts";
import { firstThatWrites } from "./read-only.ts";
import { matches, type Rule, type Situation } from "./rule.ts";
import { strictest } from "./strictness.ts";

export interface DecisionInput {
  readonly classification: Classification;
  readonly principal: Principal;
  readonly client: Client;
  /** The database that the session is connected to. */
  readonly place: Place;
  /** The session only reads, whatever the rules say. */
  readonly isReadOnly?: boolean | undefined;
  /** The other databases on the same server: what reaches beyond one database is judged by their rules, too. */
  readonly neighbours: readonly Place[];
  readonly at: Date;
}

/**
 * What may happen to a text. For each statement, in each environment that it reaches, the first rule that matches
 * decides, and none means refusal; of all these decisions the strictest stands for the whole text.
 */
export function decide(policy: Policy, input: DecisionInput): Decision {
  return decideTimed(policy, input).decision;
}

/** As {@link decide}; `isTimeless` where the same would be decided at any other time, so that it may be kept. */
export function decideTimed(
  policy: Policy,
  input: DecisionInput,
): { readonly decision: Decision; readonly isTimeless: boolean } {
  let isTimeless = true;
  const now = (): Date => {
    isTimeless = false;
    return input.at;
  };
  const decision = decideText(policy, input, now);
  return { decision, isTimeless };
}

function decideText(policy: Policy, input: DecisionInput, now: Clock): Decision {
  const { classification, principal, client, place: home, neighbours } = input;
  if (classification.kind === "unparsed") {
    const decision = decideUnparsed(policy, classification, input, now);
    return input.isReadOnly === true ? strictest(decision, blockInReadOnly(0, home)) : decision;
  }
  const { mustRefuse, statements } = classification;
  if (mustRefuse || statements.some((statement) => statement.mustRefuse)) {
    return blockReadsDifferently(classification, home);
  }
  const writing = input.isReadOnly === true ? firstThatWrites(classification) : undefined;
  if (writing !== undefined) return blockInReadOnly(writing, home);
  let strictestYet: Decision | undefined;
  for (const [index, statement] of statements.entries()) {
    for (const place of [home, ...placesBeside(statement, neighbours, home)]) {
      const situation = { statement, place, principal, client, now };
      const decision = decideStatement(policy, situation, index);
      strictestYet = strictestYet === undefined ? decision : strictest(strictestYet, decision);
    }
  }
  return strictestYet ?? allow("builtin:empty", home);
}

type Clock = Situation["now"];

function decideStatement(
  policy: Policy,
  situation: Situation,
  index: number | undefined,
): Decision {
  const { statement, place, principal } = situation;
  const unknown = statement.effects.find((effect) => !EFFECTS.includes(effect));
  if (unknown !== undefined) {
    return block(place, {
      rule: "builtin:unknown-effect",
      statement: index,
      message: `no rule can judge the effect ${unknown}`,
    });
  }
  const rule = policy.rules.find((candidate) => matches(candidate, situation));
  if (rule !== undefined) return watched(policy, outcomeOf(rule, situation, index));
  const refusal = block(place, {
    rule: "builtin:no-rule",
    statement: index,
    message: `no rule allows ${statement.effects.join(", ")} to ${principal.name} in ${place.environment}`,
    hint: "somebody whose role allows it can run it, or a rule can be added",
  });
  return watched(policy, refusal);
}

/**
 * Where rules are only watched, what they decide passes. What Twokey itself refuses does not: text that it can't read,
 * or after which it could read no other, would blind it in the same session.
 */
function watched({ observed }: Policy, decision: Decision): Decision {
  if (decision.action === "allow" || observed?.has(decision.environment) !== true) return decision;
  const { rule, environment } = decision;
  return { action: "allow", rule, environment, observed: decision };
}

function outcomeOf(
  { name: rule, outcome }: Rule,
  { place, statement }: Situation,
  index: number | undefined,
): Decision {
  if (outcome.action === "allow") {
    const { backup } = outcome;
    return backup === undefined ? allow(rule, place) : { ...allow(rule, place), backup };
  }
  const decision = { rule, environment: place.environment, statement: index };
  if (outcome.action === "block") return { ...outcome, ...decision };
  const { recycleSeconds } = outcome.terms;
  const terms = { ...outcome.terms, recycleSeconds: isMovable(statement) ? recycleSeconds : 0 };
  return { ...outcome, ...decision, terms };
}

/** Whole tables, schemas and databases can be moved aside; of everything else a drop is a drop. */
function isMovable({ node, objects }: Situation["statement"]): boolean {
  if (node === "DropdbStmt") return true;
  return node === "DropStmt" && objects.every(({ kind }) => kind === "table" || kind === "schema");
}

/** A text that nobody could read may do anything, so it is judged in every place that it might reach. */
function decideUnparsed(
  policy: Policy,
  { cause, message }: UnparsedClassification,
  { principal, client, place: home, neighbours }: DecisionInput,
  now: Clock,
): Decision {
  // Only a syntax error is a matter of taste: the rest was not read to its end, so nobody knows what would be signed.
  if (cause !== "syntax") {
    return block(home, {
      rule: "builtin:unparsed",
      statement: undefined,
      message,
      hint: UNREADABLE_HINTS[cause],
    });
  }
  return [home, ...neighbours]
    .map((place) => {
      const situation = { statement: UNPARSED_STATEMENT, place, principal, client, now };
      return decideSyntaxError(policy, situation, message);
    })
    .reduce(strictest);
}

const UNREADABLE_HINTS = {
  too_large: "send it in smaller pieces, or load the rows with COPY",
  too_deep: "nest it less deeply",
  timed_out: "send it in smaller pieces",
  failed: undefined,
} as const satisfies Record<Exclude<UnparsedClassification["cause"], "syntax">, string | undefined>;

function decideSyntaxError(policy: Policy, situation: Situation, message: string): Decision {
  const { place } = situation;
  const treatment = policy.unparsed.get(place.environment) ?? { action: "block" };
  const told = {
    rule: "builtin:unparsed",
    statement: undefined,
    message: `PostgreSQL's grammar does not read it: ${message}`,
    hint: undefined,
  };
  switch (treatment.action) {
    case "ask_rules":
      return decideStatement(policy, situation, undefined);
    case "require_approval":
      return { ...treatment, ...told, environment: place.environment };
    case "block":
      return block(place, told);
    default:
      return assertNever(treatment);
  }
}

const UNPARSED_STATEMENT: Situation["statement"] = {
  node: undefined,
  effects: ["unparsed"],
  destructive: true,
  objects: [],
  warnings: [],
};

function blockReadsDifferently({ statements }: ParsedClassification, place: Place): Decision {
  const culprit = statements.findIndex(({ mustRefuse }) => mustRefuse);
  return block(place, {
    rule: "builtin:reads-differently",
    statement: culprit < 0 ? undefined : culprit,
    message: "afterwards the server would read text differently from twokey",
    hint: "leave standard_conforming_strings on, and choose a client_encoding such as UTF8",
  });
}

function blockInReadOnly(statement: number, place: Place): Decision {
  return block(place, {
    rule: "builtin:read-only",
    statement,
    message:
      "this session only reads, and nothing may change that or run code that nobody has looked at",
    hint: "functions that only compute can be listed as harmless in the catalogue of twokey's configuration",
  });
}

function allow(rule: string, { environment }: Place): Extract<Decision, { action: "allow" }> {
  return { action: "allow", rule, environment };
}

function block(
  { environment }: Place,
  {
    hint,
    ...why
  }: { rule: string; statement: number | undefined; message: string; hint?: string | undefined },
): Decision {
  return { action: "block", environment, ...why, hint };
}
