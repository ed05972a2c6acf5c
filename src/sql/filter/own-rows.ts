import type { Node, SelectStmt } from "libpg-query";
import { constantOf } from "../constants.ts";
import { innerScope, sourcesOf, targetColumn, withCtes } from "../scope.ts";
import type { Source } from "../scope.ts";
import { as, columnParts, entryOf, stringsOf, uncast } from "../tree.ts";
import { verdictOf } from "./filter-scope.ts";
import type { FilterScope } from "./filter-scope.ts";

/** The target's columns that a tested value consists of. */
export function rowColumns(test: Node, scope: FilterScope): readonly string[] | undefined {
  const parts = as(test, "RowExpr")?.args ?? [test];
  const columns = parts.map((part) => {
    const column = as(part, "ColumnRef");
    return column === undefined ? undefined : targetColumn(column, scope);
  });
  return columns.every((column) => column !== undefined) ? columns : undefined;
}

/** True when `select` yields, for every row of the target, these columns of it: an unreduced set of its own rows. */
export function yieldsOwn(
  select: SelectStmt,
  columns: readonly string[],
  scope: FilterScope,
): boolean {
  const ctes = withCtes(scope.ctes, select.withClause);
  if (select.op === "SETOP_UNION") {
    return [select.larg, select.rarg].some(
      (arm) => arm !== undefined && yieldsOwn(arm, columns, { ...scope, ctes }),
    );
  }
  if (select.op !== "SETOP_NONE" || isReduced(select, scope)) return false;
  const [item, ...more] = select.fromClause ?? [];
  if (item === undefined || more.length > 0) return false;
  const kept = keptWhole(item);
  if (kept === undefined) return false;
  const [entry] = sourcesOf([kept]);
  const [alias, source] = entry ?? [undefined, undefined];
  const outputs = (select.targetList ?? []).map((target) => as(target, "ResTarget"));
  const inner = outputs.map((output) => {
    const parts = columnParts(as(output?.val, "ColumnRef") ?? {});
    // Behind a join a bare name may be the other side's.
    const isOfKept = parts.length > 1 ? parts.at(-2) === alias : kept === item;
    return isOfKept ? parts.at(-1) : undefined;
  });
  const isStar = inner.length === 1 && inner[0] === "*";
  const wanted = isStar ? columns : inner;
  const named = columns.every((column, index) => {
    if (isStar) return true;
    return (outputs[index]?.name ?? inner[index]) === column || inner[index] === column;
  });
  if (!named || (!isStar && wanted.length !== columns.length)) return false;
  if (!wanted.every((column) => column !== undefined)) return false;
  return sourceYieldsOwn(source, wanted, columns, { ...scope, ctes });
}

/** The FROM item all of whose rows are there: itself, or what stands left of a LEFT JOIN; other joins lose some. */
function keptWhole(item: Node): Node | undefined {
  const join = as(item, "JoinExpr");
  if (join === undefined) return item;
  return join.jointype === "JOIN_LEFT" && join.larg !== undefined
    ? keptWhole(join.larg)
    : undefined;
}

function sourceYieldsOwn(
  source: Source,
  wanted: readonly string[],
  columns: readonly string[],
  scope: FilterScope,
): boolean {
  if (source === undefined) return false;
  if (!("relname" in source)) return yieldsOwn(source as SelectStmt, wanted, scope);
  const cte = source.schemaname === undefined ? scope.ctes.get(source.relname ?? "") : undefined;
  if (cte !== undefined) {
    const ctes = new Map([...scope.ctes].filter(([name]) => name !== source.relname));
    return yieldsOwn(cte, wanted, { ...scope, ctes });
  }
  return isTarget(source, scope) && wanted.every((column, index) => column === columns[index]);
}

function isTarget(
  source: { relname?: string; schemaname?: string },
  { table }: FilterScope,
): boolean {
  if (table === undefined || source.relname !== table.relname) return false;
  // `users` and `public.users` are taken for the same table.
  return (
    source.schemaname === table.schemaname ||
    source.schemaname === undefined ||
    table.schemaname === undefined
  );
}

function isReduced(select: SelectStmt, scope: FilterScope): boolean {
  const { whereClause, havingClause, limitCount, limitOffset, distinctClause } = select;
  // DISTINCT ON (…) keeps one row of many; plain DISTINCT is a list of one empty node.
  if (distinctClause?.some((node) => entryOf(node) !== undefined) === true) return true;
  if (limitCount !== undefined && constantOf(limitCount) !== null) return true;
  if (limitOffset !== undefined && constantOf(limitOffset) !== 0) return true;
  const inner: FilterScope = { ...innerScope(scope, select), target: undefined, inner: false };
  return [whereClause, havingClause].some(
    (condition) => condition !== undefined && verdictOf(condition, inner, false) !== "every",
  );
}

/** `EXISTS (SELECT … FROM users AS u WHERE u.id = users.id)`: each row finds itself. */
export function holdsOwnRow(select: SelectStmt, scope: FilterScope): boolean {
  const [item, ...more] = select.fromClause ?? [];
  const relation = as(item, "RangeVar");
  if (relation === undefined || more.length > 0 || !isTarget(relation, scope)) return false;
  if (select.limitOffset ?? select.havingClause ?? select.groupClause) return false;
  const inner = innerScope(scope, select);
  const own = relation.alias?.aliasname ?? relation.relname;
  return conjuncts(select.whereClause).every((condition) => {
    if (verdictOf(condition, inner, false) === "every") return true;
    const equality = as(condition, "A_Expr");
    if (equality === undefined || stringsOf(equality.name).at(-1) !== "=") return false;
    const sidesOf = [equality.lexpr, equality.rexpr].map((side) => as(side, "ColumnRef") ?? {});
    const names = sidesOf.map((side) => columnParts(side).at(-1));
    const outer = sidesOf.filter((side) => targetColumn(side, inner) !== undefined);
    const isOwn = sidesOf.some(
      (side) => columnParts(side).length === 1 || columnParts(side).at(-2) === own,
    );
    return names[0] === names[1] && names[0] !== undefined && outer.length === 1 && isOwn;
  });
}

function conjuncts(condition: Node | undefined): readonly Node[] {
  if (condition === undefined) return [];
  const both = as(condition, "BoolExpr");
  return both?.boolop === "AND_EXPR" ? (both.args ?? []).flatMap(conjuncts) : [condition];
}

/** `users.id = u.id` where u is the whole target once more, and nothing else is asked of u. */
export function joinsItself(left: Node, right: Node, scope: FilterScope): boolean {
  if (scope.inner) return false;
  const [a, b] = [as(left, "ColumnRef"), as(right, "ColumnRef")];
  if (a === undefined || b === undefined) return false;
  const [own, other] = targetColumn(a, scope) === undefined ? [b, a] : [a, b];
  const column = targetColumn(own, scope);
  const parts = columnParts(other);
  const alias = parts.at(-2);
  if (column === undefined || alias === undefined || parts.at(-1) !== column) return false;
  if (scope.asked.get(alias) !== 1) return false;
  const source = scope.others.get(alias);
  return sourceYieldsOwn(source, [column], [column], scope);
}

/** `tableoid = 'users'::regclass`: the table that the statement is about, compared with itself. */
export function isOwnTable(left: Node, right: Node, scope: FilterScope): boolean {
  const column = [left, right]
    .map((side) => as(uncast(side), "ColumnRef"))
    .find((side) => side !== undefined && targetColumn(side, scope) === "tableoid");
  const name = [left, right].map((side) => constantOf(uncast(side))).find(isText);
  if (column === undefined || name === undefined) return false;
  const [relname, schemaname] = name.replaceAll('"', "").split(".").reverse();
  return isTarget(
    {
      ...(relname === undefined ? {} : { relname }),
      ...(schemaname === undefined ? {} : { schemaname }),
    },
    scope,
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
