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
import { matches, type Rule, type Situation } from "./rule.ts";
import { strictest } from "./strictness.ts";

export interface DecisionInput {
  readonly classification: Classification;
  readonly principal: Principal;
  readonly client: Client;
  /** The database that the session is connected to. */
  readonly place: Place;
  /** The other databases on the same server: what reaches beyond one database is judged by their rules, too. */
  readonly neighbours: readonly Place[];
  readonly at: Date;
}

/**
 * What may happen to a text. For each statement, in each environment that it reaches, the first rule that matches
 * decides, and none means refusal; of all these decisions the strictest stands for the whole text.
 */
export function decide(policy: Policy, input: DecisionInput): Decision {
  const { classification, place } = input;
  if (classification.kind === "unparsed") return decideUnparsed(policy, input, classification);
  if (classification.mustRefuse) return blockReadsDifferently(classification, place);
  return (
    classification.statements
      .flatMap((statement, index) =>
        [place, ...placesBeside(statement, input.neighbours, place)].map((reached) =>
          decideStatement(policy, { ...input, statement, place: reached }, index),
        ),
      )
      .reduce(strictestOr, undefined) ?? allow("builtin:empty", place)
  );
}

function strictestOr(first: Decision | undefined, second: Decision): Decision {
  return first === undefined ? second : strictest(first, second);
}

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
  if (rule !== undefined) return outcomeOf(rule, place, index);
  return block(place, {
    rule: "builtin:no-rule",
    statement: index,
    message: `no rule allows ${statement.effects.join(", ")} to ${principal.name} in ${place.environment}`,
    hint: "somebody whose role allows it can run it, or a rule can be added",
  });
}

function outcomeOf(
  { name: rule, outcome }: Rule,
  place: Place,
  statement: number | undefined,
): Decision {
  if (outcome.action === "allow") return allow(rule, place);
  return { ...outcome, rule, environment: place.environment, statement };
}

/** A text that nobody could read may do anything, so it is judged in every place that it might reach. */
function decideUnparsed(
  policy: Policy,
  input: DecisionInput,
  { cause, message }: UnparsedClassification,
): Decision {
  const { place, neighbours } = input;
  // Only a syntax error is a matter of taste: the rest was not read to its end, so nobody knows what would be signed.
  if (cause !== "syntax") {
    return block(place, {
      rule: "builtin:unparsed",
      statement: undefined,
      message,
      hint: UNREADABLE_HINTS[cause],
    });
  }
  return [place, ...neighbours]
    .map((reached) => decideSyntaxError(policy, { ...input, place: reached }, message))
    .reduce(strictest);
}

const UNREADABLE_HINTS = {
  too_large: "send it in smaller pieces, or load the rows with COPY",
  too_deep: "nest it less deeply",
  timed_out: "send it in smaller pieces",
  failed: undefined,
} as const satisfies Record<Exclude<UnparsedClassification["cause"], "syntax">, string | undefined>;

function decideSyntaxError(policy: Policy, input: DecisionInput, message: string): Decision {
  const { place } = input;
  const treatment = policy.unparsed.get(place.environment) ?? { action: "block" };
  const told = {
    rule: "builtin:unparsed",
    statement: undefined,
    message: `PostgreSQL's grammar does not read it: ${message}`,
    hint: undefined,
  };
  switch (treatment.action) {
    case "ask_rules":
      return decideStatement(policy, { ...input, statement: UNPARSED_STATEMENT }, undefined);
    case "require_approval":
      return { ...treatment, ...told, environment: place.environment };
    case "block":
      return block(place, told);
    default:
      return assertNever(treatment);
  }
}

const UNPARSED_STATEMENT: Situation["statement"] = {
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

function allow(rule: string, { environment }: Place): Decision {
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
