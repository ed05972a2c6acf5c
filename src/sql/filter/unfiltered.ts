import type { BooleanTest, Node } from "libpg-query";
import { certainTruth } from "../certain-truth.ts";
import { booleanOf, constantOf } from "../constants.ts";
import type { Scope } from "../scope.ts";
import { entryOf } from "../tree.ts";
import { caseVerdict, coalesceVerdict } from "./branches.ts";
import { nullTestVerdict } from "./comparison.ts";
import { conditionKey } from "./equal-expressions.ts";
import { expressionVerdict } from "./expression.ts";
import { verdictOf } from "./filter-scope.ts";
import type { FilterScope } from "./filter-scope.ts";
import { dependence, dependsOnTarget } from "./row-dependence.ts";
import { subLinkVerdict } from "./subquery.ts";
import { constantVerdict, opposite } from "./verdict.ts";
import type { Verdict } from "./verdict.ts";

/** True when a DELETE or UPDATE with this condition may reach every row of its target. */
export function isUnfiltered(where: Node | undefined, scope: Scope): boolean {
  const verdict = where === undefined ? "every" : verdictOf(where, { ...scope, judge }, false);
  return verdict === "every" || verdict === "free";
}

/**
 * That a condition picks no row, which lets a statement through, is believed of what depends on no row only where
 * PostgreSQL can't but agree: our folding is not its own.
 */
function judge(node: Node, scope: FilterScope, negated: boolean): Verdict {
  const verdict = plausibleVerdict(node, scope, negated);
  if (verdict !== "none" || dependsOnTarget(node, scope)) return verdict;
  const truth = certainTruth(node, scope.trusts);
  return truth === null || truth === negated ? "none" : "free";
}

function plausibleVerdict(node: Node, scope: FilterScope, negated: boolean): Verdict {
  const constant = constantOf(node);
  if (constant !== undefined) return constantVerdict(booleanOf(constant), negated);
  const [name, fields] = entryOf(node) ?? ["", {}];
  switch (name) {
    case "BoolExpr": {
      const { boolop, args = [] } = fields as { boolop?: string; args?: readonly Node[] };
      const [first] = args;
      if (boolop === "NOT_EXPR")
        return first === undefined ? "some" : verdictOf(first, scope, !negated);
      return combine((boolop === "OR_EXPR") !== negated ? "or" : "and", args, scope, negated);
    }
    case "NullTest": {
      const { arg, nulltesttype } = fields as { arg?: Node; nulltesttype?: string };
      return nullTestVerdict(arg, scope, (nulltesttype === "IS_NULL") === negated);
    }
    case "BooleanTest":
      return booleanTestVerdict(fields, scope, negated);
    case "A_Expr":
      return expressionVerdict(fields, scope, negated);
    case "SubLink":
      return subLinkVerdict(fields, scope, negated);
    case "CoalesceExpr":
      return coalesceVerdict((fields["args"] ?? []) as readonly Node[], scope, negated);
    case "CaseExpr":
      return caseVerdict(node, scope, negated);
    case "CollateClause":
    case "TypeCast": {
      const arg = (fields as { arg?: Node }).arg;
      return arg === undefined ? "some" : verdictOf(arg, scope, negated);
    }
    case "CurrentOfExpr":
      return "some";
    default:
      return dependence(node, scope);
  }
}

function combine(
  how: "and" | "or",
  args: readonly Node[],
  scope: FilterScope,
  negated: boolean,
): Verdict {
  const verdicts = args.map((arg) => verdictOf(arg, scope, negated));
  const absorbing = how === "or" ? "every" : "none";
  if (verdicts.includes(absorbing) || hasComplements(args, scope)) return absorbing;
  if (verdicts.includes("some")) return "some";
  if (verdicts.includes("free")) return "free";
  return how === "or" ? "none" : "every";
}

/** Two of them are each other's opposite: `x OR NOT x`, `x AND NOT x`. */
function hasComplements(args: readonly Node[], scope: FilterScope): boolean {
  const keys = new Set(args.map((arg) => conditionKey(arg, scope, false)));
  return args.some((arg) => keys.has(conditionKey(arg, scope, true)));
}

function booleanTestVerdict(
  { arg, booltesttype }: BooleanTest,
  scope: FilterScope,
  negated: boolean,
): Verdict {
  if (arg === undefined) return "some";
  switch (booltesttype) {
    case "IS_TRUE":
      return isTrueVerdict(arg, scope, { not: false, missing: negated });
    case "IS_NOT_TRUE":
      return isTrueVerdict(arg, scope, { not: false, missing: !negated });
    case "IS_FALSE":
      return isTrueVerdict(arg, scope, { not: true, missing: negated });
    case "IS_NOT_FALSE":
      return isTrueVerdict(arg, scope, { not: true, missing: !negated });
    case "IS_UNKNOWN":
      return nullTestVerdict(arg, scope, negated);
    case "IS_NOT_UNKNOWN":
      return nullTestVerdict(arg, scope, !negated);
    default:
      return "some";
  }
}

/** `(x) IS TRUE`, or with `missing` `IS NOT TRUE`: every row for which `NOT x` holds, and those for which x is null. */
function isTrueVerdict(
  arg: Node,
  scope: FilterScope,
  { not, missing }: { readonly not: boolean; readonly missing: boolean },
): Verdict {
  if (!missing) return verdictOf(arg, scope, not);
  if (verdictOf(arg, scope, !not) === "every") return "every";
  return opposite(verdictOf(arg, scope, not));
}
