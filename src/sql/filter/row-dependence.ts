import type { A_Expr, Node, SelectStmt } from "libpg-query";
import { innerScope, targetColumn } from "../scope.ts";
import type { Scope } from "../scope.ts";
import { as, childrenOf, columnParts, entryOf } from "../tree.ts";

export function dependsOnTarget(node: Node, scope: Scope): boolean {
  const select = as(node, "SelectStmt");
  if (select !== undefined) return selectDepends(select, scope);
  const column = as(node, "ColumnRef");
  if (column !== undefined) return targetColumn(column, scope) !== undefined;
  const expression = as(node, "A_Expr");
  if (expression !== undefined && scope.inner && comparesAcross(expression, scope)) return true;
  return childrenOf(node).some((child) => dependsOnTarget(child, scope));
}

function selectDepends(select: SelectStmt, outer: Scope): boolean {
  const scope = innerScope(outer, select);
  return [select.larg, select.rarg].some((arm) => arm !== undefined && selectDepends(arm, scope))
    ? true
    : childrenOf({ SelectStmt: select }).some((child) => dependsOnTarget(child, scope));
}

/**
 * In a subquery over one table, a comparison of two differently named columns of which one has no qualifier: it
 * can't be known from the text whose that one is, and the usual meaning is the outer row's.
 */
function comparesAcross(expression: A_Expr, scope: Scope): boolean {
  if (expression.kind !== "AEXPR_OP" || scope.items !== 1) return false;
  const columns = [expression.lexpr, expression.rexpr].map((side) => as(side, "ColumnRef"));
  const [left, right] = columns.map((column) => columnParts(column ?? {}));
  if (left === undefined || right === undefined) return false;
  if (left.length === 0 || right.length === 0) return false;
  return (left.length === 1 || right.length === 1) && left.at(-1) !== right.at(-1);
}

export function dependence(node: Node, scope: Scope): "some" | "free" {
  return dependsOnTarget(node, scope) ? "some" : "free";
}

export function contains(
  node: Node,
  found: (name: string, fields: Readonly<Record<string, unknown>>) => boolean,
): boolean {
  const entry = entryOf(node);
  if (entry === undefined) return false;
  return found(...entry) || childrenOf(node).some((child) => contains(child, found));
}
