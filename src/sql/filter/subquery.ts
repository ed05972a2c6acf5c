import type { Node, SelectStmt, SubLink } from "libpg-query";
import { constantOf } from "../constants.ts";
import { innerScope, targetColumn } from "../scope.ts";
import { as, stringsOf } from "../tree.ts";
import { comparisonVerdict } from "./comparison.ts";
import { verdictOf } from "./filter-scope.ts";
import type { FilterScope } from "./filter-scope.ts";
import { holdsOwnRow, rowColumns, yieldsOwn } from "./own-rows.ts";
import { dependence, dependsOnTarget } from "./row-dependence.ts";
import { soleValue, yieldsOneRow } from "./subquery-shape.ts";
import { any, opposite } from "./verdict.ts";
import type { Verdict } from "./verdict.ts";

export function subLinkVerdict(link: SubLink, scope: FilterScope, negated: boolean): Verdict {
  const select = as(link.subselect, "SelectStmt");
  if (select === undefined) return "some";
  switch (link.subLinkType) {
    case "EXISTS_SUBLINK": {
      const verdict = existsVerdict(select, scope);
      return negated ? opposite(verdict) : verdict;
    }
    case "ANY_SUBLINK":
      return setVerdict(
        link,
        link.testexpr,
        stringsOf(link.operName).at(-1) ?? "=",
        "any",
        scope,
        negated,
      );
    case "ALL_SUBLINK":
      return setVerdict(
        link,
        link.testexpr,
        stringsOf(link.operName).at(-1) ?? "=",
        "all",
        scope,
        negated,
      );
    case "EXPR_SUBLINK": {
      const value = soleValue(select);
      if (value !== undefined) return verdictOf(value, innerScope(scope, select), negated);
      return isEmpty(select, scope) ? "none" : dependence({ SubLink: link }, scope);
    }
    default:
      return dependence({ SubLink: link }, scope);
  }
}

function existsVerdict(select: SelectStmt, scope: FilterScope): Verdict {
  const inner = innerScope(scope, select);
  if (select.op === "SETOP_UNION") {
    return any(
      [select.larg, select.rarg].map((arm) =>
        arm === undefined ? "none" : existsVerdict(arm, inner),
      ),
    );
  }
  if (isEmpty(select, scope)) return "none";
  if (select.valuesLists !== undefined || yieldsOneRow(select)) return "every";
  if (select.fromClause === undefined && select.op === "SETOP_NONE") {
    return select.whereClause === undefined ? "every" : verdictOf(select.whereClause, inner, false);
  }
  if (holdsOwnRow(select, scope)) return "every";
  return correlation(select, scope);
}

/**
 * Whether the rows that a subquery finds are others for another row of the target. A mention of the target's columns
 * that is true for every row, or that stands in the select list, changes nothing about that.
 */
function correlation(select: SelectStmt, scope: FilterScope): "some" | "free" {
  const { op, fromClause, whereClause, withClause } = select;
  if (op !== "SETOP_NONE" || withClause !== undefined) {
    return dependence({ SelectStmt: select }, scope);
  }
  const inner = innerScope(scope, select);
  if (whereClause !== undefined && verdictOf(whereClause, inner, false) === "some") return "some";
  const others = [
    select.havingClause,
    select.limitCount,
    select.limitOffset,
    ...(fromClause ?? []),
  ];
  return others.some((node) => node !== undefined && dependsOnTarget(node, inner))
    ? "some"
    : "free";
}

/** No rows, by its form. */
function isEmpty(select: SelectStmt, scope: FilterScope): boolean {
  const outside: FilterScope = { ...innerScope(scope, select), inner: true };
  const never = (condition: Node | undefined): boolean =>
    condition !== undefined && verdictOf(condition, outside, false) === "none";
  if (select.op === "SETOP_UNION") {
    return [select.larg, select.rarg].every((arm) => arm === undefined || isEmpty(arm, scope));
  }
  if (constantOf(select.limitCount) === 0 && select.limitCount !== undefined) return true;
  return (never(select.whereClause) && !yieldsOneRow(select)) || never(select.havingClause);
}

/** `test op ANY (subquery)` and `test op ALL (subquery)`. */
export function setVerdict(
  link: SubLink,
  test: Node | undefined,
  operator: string,
  quantifier: "any" | "all",
  scope: FilterScope,
  negated: boolean,
): Verdict {
  const select = as(link.subselect, "SelectStmt");
  if (select === undefined || test === undefined) return "some";
  if (isEmpty(select, scope)) return (quantifier === "any") === negated ? "every" : "none";
  const value = soleValue(select);
  if (value !== undefined) {
    return comparisonVerdict(operator, test, value, innerScope(scope, select), negated);
  }
  const isMembership = quantifier === "any" && operator === "=";
  const isAbsence = quantifier === "all" && (operator === "<>" || operator === "!=");
  const columns = rowColumns(test, scope);
  if (
    (isMembership || isAbsence) &&
    columns !== undefined &&
    yieldsTested(select, columns, scope)
  ) {
    return correlation(select, scope);
  }
  if ((isMembership || isAbsence) && columns !== undefined && yieldsOwn(select, columns, scope)) {
    return isMembership === negated ? "none" : "every";
  }
  return dependsOnTarget(test, scope) || dependsOnTarget({ SelectStmt: select }, scope)
    ? "some"
    : "free";
}

/** `users.id IN (SELECT users.id FROM banned)`: the tested value itself, as often as the subquery finds anything. */
function yieldsTested(select: SelectStmt, columns: readonly string[], scope: FilterScope): boolean {
  const { targetList = [], fromClause } = select;
  if (fromClause === undefined || targetList.length !== columns.length) return false;
  const inner = innerScope(scope, select);
  return targetList.every((target, index) => {
    const column = as(as(target, "ResTarget")?.val, "ColumnRef");
    return column !== undefined && targetColumn(column, inner) === columns[index];
  });
}
