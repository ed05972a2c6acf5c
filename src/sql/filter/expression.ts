import type { A_Expr } from "libpg-query";
import { constantOf } from "../constants.ts";
import { as, stringsOf, uncast } from "../tree.ts";
import {
  betweenVerdict,
  comparisonVerdict,
  distinctVerdict,
  itemsOf,
  membershipVerdict,
} from "./comparison.ts";
import type { FilterScope } from "./filter-scope.ts";
import { dependence } from "./row-dependence.ts";
import { setVerdict } from "./subquery.ts";
import { all, any } from "./verdict.ts";
import type { Verdict } from "./verdict.ts";

export function expressionVerdict(
  expression: A_Expr,
  scope: FilterScope,
  negated: boolean,
): Verdict {
  const { kind, lexpr, rexpr } = expression;
  const operator = stringsOf(expression.name).at(-1) ?? "";
  switch (kind) {
    case "AEXPR_OP":
    case "AEXPR_LIKE":
    case "AEXPR_ILIKE":
    case "AEXPR_SIMILAR":
      return comparisonVerdict(operator, lexpr, rexpr, scope, negated);
    case "AEXPR_DISTINCT":
      return distinctVerdict(lexpr, rexpr, scope, negated);
    case "AEXPR_NOT_DISTINCT":
      return distinctVerdict(lexpr, rexpr, scope, !negated);
    case "AEXPR_IN":
      return membershipVerdict(lexpr, itemsOf(rexpr), scope, (operator === "<>") !== negated);
    case "AEXPR_OP_ANY":
    case "AEXPR_OP_ALL":
      return arrayVerdict(expression, operator, scope, negated);
    case "AEXPR_BETWEEN":
    case "AEXPR_BETWEEN_SYM":
      return betweenVerdict(lexpr, itemsOf(rexpr), scope, negated);
    case "AEXPR_NOT_BETWEEN":
    case "AEXPR_NOT_BETWEEN_SYM":
      return betweenVerdict(lexpr, itemsOf(rexpr), scope, !negated);
    default:
      return dependence({ A_Expr: expression }, scope);
  }
}

/** `x op ANY (array)` and `x op ALL (array)`. */
function arrayVerdict(
  expression: A_Expr,
  operator: string,
  scope: FilterScope,
  negated: boolean,
): Verdict {
  const { kind, lexpr, rexpr } = expression;
  const isAny = kind === "AEXPR_OP_ANY";
  const array = uncast(rexpr);
  const link = as(array, "SubLink");
  if (link?.subLinkType === "ARRAY_SUBLINK") {
    return setVerdict(link, lexpr, operator, isAny ? "any" : "all", scope, negated);
  }
  const literal = constantOf(array);
  const isEmpty = typeof literal === "string" && /^\s*\{\s*\}\s*$/.test(literal);
  const isArray = as(array, "A_ArrayExpr") !== undefined;
  if (!isArray && !isEmpty) return dependence({ A_Expr: expression }, scope);
  const verdicts = itemsOf(array).map((item) =>
    comparisonVerdict(operator, lexpr, item, scope, negated),
  );
  return isAny === negated ? all(verdicts) : any(verdicts);
}
