import type { Node, SelectStmt } from "libpg-query";
import { isAggregate } from "../catalogue.ts";
import { as, qualifiedName } from "../tree.ts";

/** The one expression that a subquery without FROM or conditions yields. */
export function soleValue(select: SelectStmt): Node | undefined {
  const { fromClause, whereClause, havingClause, limitCount, limitOffset } = select;
  if (fromClause ?? whereClause ?? havingClause ?? limitCount ?? limitOffset) return undefined;
  const rows = select.valuesLists;
  if (rows !== undefined) {
    const items = as(rows[0], "List")?.items;
    return rows.length === 1 && items?.length === 1 ? items[0] : undefined;
  }
  const targets = select.targetList ?? [];
  return targets.length === 1 ? as(targets[0], "ResTarget")?.val : undefined;
}

/** An aggregate without GROUP BY gives a row whatever it finds. */
export function yieldsOneRow({
  targetList,
  groupClause,
  havingClause,
  limitCount,
  limitOffset,
}: SelectStmt): boolean {
  if (groupClause ?? havingClause ?? limitCount ?? limitOffset) return false;
  return (targetList ?? []).some((target) => {
    const call = as(as(target, "ResTarget")?.val, "FuncCall");
    return (
      call !== undefined &&
      call.over === undefined &&
      isAggregate(qualifiedName(call.funcname).name)
    );
  });
}
