import type {
  ColumnRef,
  CommonTableExpr,
  Node,
  RangeVar,
  SelectStmt,
  WithClause,
} from "libpg-query";
import { as, childrenOf, columnParts, entryOf } from "./tree.ts";

/** What the names in a filter can mean: the target's row, another FROM item's, or an inner query's. */
export interface Scope {
  /** How the target may be called here; `undefined` where an inner alias hides it. */
  readonly target: string | undefined;
  readonly table: RangeVar | undefined;
  readonly others: ReadonlyMap<string, Source>;
  readonly ctes: ReadonlyMap<string, SelectStmt>;
  /** See `certain-truth.ts`: false in a running session. */
  readonly trusts: boolean;
  /** Inside a subquery with a FROM of its own: bare names are presumed to be its columns. */
  readonly inner: boolean;
  /** How many FROM items the innermost query has. */
  readonly items: number;
  /** Of expressions looked at before in this scope: what `filter/equal-expressions.ts` calls them. */
  readonly keys: WeakMap<Node, string>;
  /** What is left of the patience with the whole condition. */
  readonly budget: { steps: number };
  /** How often the whole condition refers to each FROM item by its name. */
  readonly asked: ReadonlyMap<string, number>;
}

/** What a FROM item yields, where that is known. */
export type Source = RangeVar | SelectStmt | undefined;

export function targetScope({
  table,
  from,
  ctes,
  where,
  trusts,
}: {
  readonly table: RangeVar | undefined;
  readonly from: readonly Node[] | undefined;
  readonly ctes: ReadonlyMap<string, SelectStmt>;
  readonly where: Node | undefined;
  readonly trusts: boolean;
}): Scope {
  const asked = new Map<string, number>();
  countReferences(where, asked);
  return {
    target: table?.alias?.aliasname ?? table?.relname,
    table,
    others: sourcesOf(from),
    ctes,
    trusts,
    inner: false,
    items: from?.length ?? 0,
    asked,
    keys: new WeakMap(),
    budget: { steps: MOST_STEPS },
  };
}

/** The same scope as a running session's. */
export function mistrusting(scope: Scope): Scope {
  return { ...scope, trusts: false, budget: { steps: MOST_STEPS } };
}

/** More than any filter that people write; a few milliseconds. */
const MOST_STEPS = 20_000;

function countReferences(node: Node | undefined, asked: Map<string, number>): void {
  if (node === undefined) return;
  const qualifier = columnParts(as(node, "ColumnRef") ?? {}).at(-2);
  if (qualifier !== undefined) asked.set(qualifier, (asked.get(qualifier) ?? 0) + 1);
  for (const child of childrenOf(node)) countReferences(child, asked);
}

/** The scope inside a subquery of `outer`. Without FROM it sees just what its surroundings see. */
export function innerScope<Outer extends Scope>(outer: Outer, select: SelectStmt): Outer {
  const ctes = withCtes(outer.ctes, select.withClause);
  if (select.fromClause === undefined) return { ...outer, ctes };
  const own = sourcesOf(select.fromClause);
  return {
    ...outer,
    ctes,
    keys: new WeakMap(),
    target: outer.target !== undefined && own.has(outer.target) ? undefined : outer.target,
    others: new Map([...outer.others, ...own]),
    inner: true,
    items: select.fromClause.length,
  };
}

export function withCtes(
  outer: ReadonlyMap<string, SelectStmt>,
  clause: WithClause | undefined,
): ReadonlyMap<string, SelectStmt> {
  if (clause === undefined) return outer;
  const ctes = new Map(outer);
  for (const node of clause.ctes ?? []) {
    const cte: CommonTableExpr = as(node, "CommonTableExpr") ?? {};
    const select = as(cte.ctequery, "SelectStmt");
    if (select !== undefined && cte.aliascolnames === undefined) {
      ctes.set(cte.ctename ?? "", select);
    }
  }
  return ctes;
}

/** The name by which each FROM item can be referred to. */
export function sourcesOf(from: readonly Node[] | undefined): ReadonlyMap<string, Source> {
  const sources = new Map<string, Source>();
  for (const item of from ?? []) addSource(sources, item);
  return sources;
}

function addSource(sources: Map<string, Source>, item: Node | undefined): void {
  const relation = as(item, "RangeVar");
  if (relation !== undefined) {
    sources.set(relation.alias?.aliasname ?? relation.relname ?? "", relation);
    return;
  }
  const join = as(item, "JoinExpr");
  if (join !== undefined) {
    addSource(sources, join.larg);
    addSource(sources, join.rarg);
    if (join.alias?.aliasname !== undefined) sources.set(join.alias.aliasname, undefined);
    return;
  }
  const sample = as(item, "RangeTableSample");
  if (sample !== undefined) {
    // A sample is not all of its table's rows.
    const sampled = as(sample.relation, "RangeVar");
    sources.set(sampled?.alias?.aliasname ?? sampled?.relname ?? "", undefined);
    return;
  }
  const subselect = as(item, "RangeSubselect");
  // Since PostgreSQL 16 a subquery may go without; then only bare names reach it.
  const alias = aliasOf(item) ?? (subselect === undefined ? undefined : "");
  if (alias === undefined) return;
  sources.set(alias, as(subselect?.subquery, "SelectStmt"));
}

function aliasOf(item: Node | undefined): string | undefined {
  const fields = item === undefined ? undefined : entryOf(item)?.[1];
  return (fields?.["alias"] as { aliasname?: string } | undefined)?.aliasname;
}

/** The target's column that a reference means, `*` for its whole row; `undefined` if it means something else. */
export function targetColumn(column: ColumnRef, scope: Scope): string | undefined {
  const parts = columnParts(column);
  const name = parts.at(-1) ?? "";
  const qualifier = parts.at(-2);
  if (qualifier !== undefined) return qualifier === scope.target ? name : undefined;
  if (name === scope.target) return "*";
  if (scope.inner || scope.others.has(name) || name === "*") return undefined;
  return name;
}
