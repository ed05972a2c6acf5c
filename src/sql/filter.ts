import type { A_Expr, BooleanTest, ColumnRef, Node, SelectStmt, SubLink } from "libpg-query";
import { isAggregate, isVolatile } from "./catalogue.ts";
import { certainTruth } from "./certain-truth.ts";
import { booleanOf, constantOf } from "./constants.ts";
import { innerScope, sourcesOf, targetColumn, withCtes } from "./scope.ts";
import type { Scope, Source } from "./scope.ts";
import { as, childrenOf, columnParts, entryOf, qualifiedName, stringsOf } from "./tree.ts";

/**
 * What a condition does to the rows of its target (rule F at the head of `test/corpus/statements.yaml`):
 * - `every`: true for every row by its form
 * - `free`: the same for every row, whatever that is
 * - `none`: false or null for every row by its form
 * - `some`: depends on the row; a filter
 */
type Verdict = "every" | "free" | "none" | "some";

/** True when a DELETE or UPDATE with this condition may reach every row of its target. */
export function isUnfiltered(where: Node | undefined, scope: Scope): boolean {
  const verdict = where === undefined ? "every" : verdictOf(where, scope, false);
  return verdict === "every" || verdict === "free";
}

/**
 * The verdict on `node`, or on `NOT node` when `negated`. That it picks no row, which lets a statement through, is
 * believed of what depends on no row only where PostgreSQL can't but agree: our folding is not its own.
 */
function verdictOf(node: Node, scope: Scope, negated: boolean): Verdict {
  spend(scope);
  const verdict = plausibleVerdict(node, scope, negated);
  if (verdict !== "none" || dependsOnTarget(node, scope)) return verdict;
  const truth = certainTruth(node);
  return truth === null || truth === negated ? "none" : "free";
}

/** @throws RangeError for a condition that takes too long to understand */
function spend({ budget }: Scope): void {
  budget.steps -= 1;
  if (budget.steps < 0) throw new RangeError("too many steps to understand a filter");
}

function plausibleVerdict(node: Node, scope: Scope, negated: boolean): Verdict {
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

function constantVerdict(value: boolean | null | undefined, negated: boolean): Verdict {
  if (value === undefined) return "free";
  if (value === null) return "none"; // and so is NOT null
  return value === negated ? "none" : "every";
}

function dependence(node: Node, scope: Scope): "some" | "free" {
  return dependsOnTarget(node, scope) ? "some" : "free";
}

function combine(
  how: "and" | "or",
  args: readonly Node[],
  scope: Scope,
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
function hasComplements(args: readonly Node[], scope: Scope): boolean {
  const keys = new Set(args.map((arg) => conditionKey(arg, scope, false)));
  return args.some((arg) => keys.has(conditionKey(arg, scope, true)));
}

function nullTestVerdict(arg: Node | undefined, scope: Scope, isNotNull: boolean): Verdict {
  const value = constantOf(arg);
  if (value !== undefined) return (value !== null) === isNotNull ? "every" : "none";
  if (arg === undefined || !dependsOnTarget(arg, scope)) {
    return arg !== undefined && isNeverNull(arg) ? (isNotNull ? "every" : "none") : "free";
  }
  if (isNotNull) return "every";
  return isNeverNull(arg) ? "none" : "some";
}

function isNeverNull(node: Node): boolean {
  const link = as(node, "SubLink");
  return as(node, "NullTest") !== undefined || link?.subLinkType === "EXISTS_SUBLINK";
}

function booleanTestVerdict(
  { arg, booltesttype }: BooleanTest,
  scope: Scope,
  negated: boolean,
): Verdict {
  if (arg === undefined) return "some";
  switch (booltesttype) {
    case "IS_TRUE":
      return negated ? opposite(verdictOf(arg, scope, false)) : verdictOf(arg, scope, false);
    case "IS_NOT_TRUE":
      return negated ? verdictOf(arg, scope, false) : opposite(verdictOf(arg, scope, false));
    case "IS_FALSE":
      return negated ? opposite(verdictOf(arg, scope, true)) : verdictOf(arg, scope, true);
    case "IS_NOT_FALSE":
      return negated ? verdictOf(arg, scope, true) : opposite(verdictOf(arg, scope, true));
    case "IS_UNKNOWN":
      return nullTestVerdict(arg, scope, negated);
    case "IS_NOT_UNKNOWN":
      return nullTestVerdict(arg, scope, !negated);
    default:
      return "some";
  }
}

function opposite(verdict: Verdict): Verdict {
  if (verdict === "every") return "none";
  return verdict === "none" ? "every" : verdict;
}

// --- operators ---

const COMPARISONS = new Set(["=", "<>", "!=", "<", "<=", ">", ">="]);
const REFLEXIVE = new Set(["=", "<=", ">=", "~~", "~~*", "@>", "<@"]);
const IRREFLEXIVE = new Set(["<>", "!=", "<", ">", "!~~", "!~~*"]);
const MATCHES_ALL: ReadonlyMap<string, RegExp> = new Map([
  ["~~", /^%+$/],
  ["~~*", /^%+$/],
  ["~", /^\^?(\.\*)?\$?$/],
  ["~*", /^\^?(\.\*)?\$?$/],
  ["^@", /^$/],
]);

function expressionVerdict(expression: A_Expr, scope: Scope, negated: boolean): Verdict {
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

function comparisonVerdict(
  operator: string,
  left: Node | undefined,
  right: Node | undefined,
  scope: Scope,
  negated: boolean,
): Verdict {
  const name: Node = { String: { sval: operator } };
  const whole: Node = { A_Expr: { kind: "AEXPR_OP", name: [name], ...sides(left, right) } };
  const value = constantOf(whole);
  if (value !== undefined) return constantVerdict(booleanOf(value), negated);
  if (left === undefined || right === undefined) return dependence(whole, scope);
  const [a, b] = [constantOf(left), constantOf(right)];
  if ((a === null || b === null) && (COMPARISONS.has(operator) || operator.includes("~"))) {
    return "none"; // null for every row, and so is its negation
  }
  const byBoolean = booleanComparison(operator, left, right, scope, negated);
  if (byBoolean !== undefined) return byBoolean;
  const same = keyOf(left, scope) === keyOf(right, scope);
  if (same && REFLEXIVE.has(operator) && !callsVolatile(left)) return negated ? "none" : "every";
  if (same && IRREFLEXIVE.has(operator) && !callsVolatile(left)) return negated ? "every" : "none";
  if (operator === "=" && joinsItself(left, right, scope)) return negated ? "none" : "every";
  if (!dependsOnTarget(whole, scope)) return "free";
  const pattern = patternOf(right);
  const positive = operator.startsWith("!") ? operator.slice(1) : operator;
  if (pattern !== undefined && MATCHES_ALL.get(positive)?.test(pattern) === true) {
    return operator.startsWith("!") === negated ? "every" : "none";
  }
  return "some";
}

function sides(left: Node | undefined, right: Node | undefined): Pick<A_Expr, "lexpr" | "rexpr"> {
  return {
    ...(left === undefined ? {} : { lexpr: left }),
    ...(right === undefined ? {} : { rexpr: right }),
  };
}

/** `x = true` is x, `x <> true` is NOT x. */
function booleanComparison(
  operator: string,
  left: Node,
  right: Node,
  scope: Scope,
  negated: boolean,
): Verdict | undefined {
  if (operator !== "=" && operator !== "<>" && operator !== "!=") return undefined;
  const [condition, literal] =
    typeof constantOf(left) === "boolean" ? [right, left] : [left, right];
  const value = constantOf(literal);
  if (typeof value !== "boolean") return undefined;
  return verdictOf(condition, scope, (value === (operator !== "=")) !== negated);
}

/** The pattern of LIKE, SIMILAR TO (a call of similar_to_escape) or a regular expression, where it is a constant. */
function patternOf(node: Node): string | undefined {
  const call = as(node, "FuncCall");
  const name = qualifiedName(call?.funcname).name;
  const wrapped = name === "similar_to_escape" || name === "like_escape";
  const pattern = constantOf(wrapped ? call?.args?.[0] : node);
  if (typeof pattern !== "string") return undefined;
  return name === "similar_to_escape" && /^%+$/.test(pattern) ? "" : pattern;
}

function callsVolatile(node: Node): boolean {
  return contains(node, (name, fields) => {
    return (
      name === "FuncCall" && isVolatile(qualifiedName(fields["funcname"] as Node[] | undefined))
    );
  });
}

function distinctVerdict(
  left: Node | undefined,
  right: Node | undefined,
  scope: Scope,
  negated: boolean,
): Verdict {
  if (left === undefined || right === undefined) return "some";
  if (constantOf(right) === null) return nullTestVerdict(left, scope, !negated);
  if (constantOf(left) === null) return nullTestVerdict(right, scope, !negated);
  if (keyOf(left, scope) === keyOf(right, scope)) return negated ? "every" : "none";
  const value = constantOf(right);
  if (typeof value === "boolean") {
    const verdict = verdictOf(left, scope, value);
    return negated ? opposite(verdict) : verdict;
  }
  return dependence({ A_Expr: { kind: "AEXPR_DISTINCT", lexpr: left, rexpr: right } }, scope);
}

function itemsOf(node: Node | undefined): readonly Node[] {
  return as(node, "List")?.items ?? as(node, "A_ArrayExpr")?.elements ?? [];
}

/** `x IN (…)`, or `x NOT IN (…)` when negated. */
function membershipVerdict(
  left: Node | undefined,
  items: readonly Node[],
  scope: Scope,
  negated: boolean,
): Verdict {
  const constants = items.map(constantOf);
  const coversBooleans = constants.includes(true) && constants.includes(false);
  if (left !== undefined && coversBooleans && dependsOnTarget(left, scope)) {
    return negated ? "none" : "every";
  }
  const verdicts = items.map((item) => comparisonVerdict("=", left, item, scope, negated));
  if (verdicts.length === 0) return negated ? "every" : "none";
  return negated ? all(verdicts) : any(verdicts);
}

function any(verdicts: readonly Verdict[]): Verdict {
  return (["every", "some", "free"] as const).find((one) => verdicts.includes(one)) ?? "none";
}

function all(verdicts: readonly Verdict[]): Verdict {
  return (["none", "some", "free"] as const).find((one) => verdicts.includes(one)) ?? "every";
}

function betweenVerdict(
  value: Node | undefined,
  [low, high]: readonly Node[],
  scope: Scope,
  negated: boolean,
): Verdict {
  const verdicts = [
    comparisonVerdict(">=", value, low, scope, negated),
    comparisonVerdict("<=", value, high, scope, negated),
  ];
  return negated ? any(verdicts) : all(verdicts);
}

/** `x op ANY (array)` and `x op ALL (array)`. */
function arrayVerdict(
  expression: A_Expr,
  operator: string,
  scope: Scope,
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

function uncast(node: Node | undefined): Node | undefined {
  const cast = as(node, "TypeCast");
  return cast === undefined ? node : uncast(cast.arg);
}

// --- COALESCE and CASE ---

function coalesceVerdict(args: readonly Node[], scope: Scope, negated: boolean): Verdict {
  const relevant = args.filter((arg) => constantOf(arg) !== null);
  const end = relevant.findIndex((arg) => constantOf(arg) !== undefined || isNeverNull(arg));
  const reached = end === -1 ? relevant : relevant.slice(0, end + 1);
  return unanimous(reached.map((arg) => verdictOf(arg, scope, negated)));
}

function caseVerdict(node: Node, scope: Scope, negated: boolean): Verdict {
  const { arg, args = [], defresult } = as(node, "CaseExpr") ?? {};
  const outcomes: Verdict[] = [];
  for (const branch of args) {
    const { expr, result } = as(branch, "CaseWhen") ?? {};
    if (expr === undefined || result === undefined) return "some";
    const taken =
      arg === undefined
        ? verdictOf(expr, scope, false)
        : comparisonVerdict("=", arg, expr, scope, false);
    if (taken === "none") continue;
    outcomes.push(verdictOf(result, scope, negated));
    if (taken === "every") return unanimous(outcomes);
    if (taken === "some") outcomes.push("some");
  }
  outcomes.push(defresult === undefined ? "none" : verdictOf(defresult, scope, negated));
  const results = outcomes.filter((outcome) => outcome !== "some");
  // Which branch is taken depends on the row, but all of them say the same.
  const same = results.length > 0 && results.every((outcome) => outcome === results[0]);
  return same && resultsAreConstant(args, defresult, scope, negated)
    ? (results[0] ?? "some")
    : unanimous(outcomes);
}

function resultsAreConstant(
  branches: readonly Node[],
  defresult: Node | undefined,
  scope: Scope,
  negated: boolean,
): boolean {
  const results = [...branches.map((branch) => as(branch, "CaseWhen")?.result), defresult];
  return results.every(
    (result) => result === undefined || verdictOf(result, scope, negated) !== "some",
  );
}

/** What is left when any of several may be taken. */
function unanimous(verdicts: readonly Verdict[]): Verdict {
  const [first = "none"] = verdicts;
  if (verdicts.every((verdict) => verdict === first)) return first;
  return verdicts.includes("some") ? "some" : "free";
}

// --- subqueries ---

function subLinkVerdict(link: SubLink, scope: Scope, negated: boolean): Verdict {
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

/** The one expression that a subquery without FROM or conditions yields. */
function soleValue(select: SelectStmt): Node | undefined {
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

function existsVerdict(select: SelectStmt, scope: Scope): Verdict {
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
  return dependence({ SelectStmt: select }, scope);
}

/** An aggregate without GROUP BY gives a row whatever it finds. */
function yieldsOneRow({
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

/** No rows, by its form. */
function isEmpty(select: SelectStmt, scope: Scope): boolean {
  const outside: Scope = { ...innerScope(scope, select), inner: true };
  const never = (condition: Node | undefined): boolean =>
    condition !== undefined && verdictOf(condition, outside, false) === "none";
  if (select.op === "SETOP_UNION") {
    return [select.larg, select.rarg].every((arm) => arm === undefined || isEmpty(arm, scope));
  }
  if (constantOf(select.limitCount) === 0 && select.limitCount !== undefined) return true;
  return (never(select.whereClause) && !yieldsOneRow(select)) || never(select.havingClause);
}

/** `test op ANY (subquery)` and `test op ALL (subquery)`. */
function setVerdict(
  link: SubLink,
  test: Node | undefined,
  operator: string,
  quantifier: "any" | "all",
  scope: Scope,
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
  if ((isMembership || isAbsence) && columns !== undefined && yieldsOwn(select, columns, scope)) {
    return isMembership === negated ? "none" : "every";
  }
  return dependsOnTarget(test, scope) || dependsOnTarget({ SelectStmt: select }, scope)
    ? "some"
    : "free";
}

// --- the target's own rows ---

/** The target's columns that a tested value consists of. */
function rowColumns(test: Node, scope: Scope): readonly string[] | undefined {
  const parts = as(test, "RowExpr")?.args ?? [test];
  const columns = parts.map((part) => {
    const column = as(part, "ColumnRef");
    return column === undefined ? undefined : targetColumn(column, scope);
  });
  return columns.every((column) => column !== undefined) ? columns : undefined;
}

/** True when `select` yields, for every row of the target, these columns of it: an unreduced set of its own rows. */
function yieldsOwn(select: SelectStmt, columns: readonly string[], scope: Scope): boolean {
  const ctes = withCtes(scope.ctes, select.withClause);
  if (select.op === "SETOP_UNION") {
    return [select.larg, select.rarg].some(
      (arm) => arm !== undefined && yieldsOwn(arm, columns, { ...scope, ctes }),
    );
  }
  if (select.op !== "SETOP_NONE" || isReduced(select, scope)) return false;
  const [item, ...more] = select.fromClause ?? [];
  if (item === undefined || more.length > 0) return false;
  const outputs = (select.targetList ?? []).map((target) => as(target, "ResTarget"));
  const inner = outputs.map((output) => {
    const parts = columnParts(as(output?.val, "ColumnRef") ?? {});
    return parts.at(-1);
  });
  const isStar = inner.length === 1 && inner[0] === "*";
  const wanted = isStar ? columns : inner;
  const named = columns.every((column, index) => {
    if (isStar) return true;
    return (outputs[index]?.name ?? inner[index]) === column || inner[index] === column;
  });
  if (!named || (!isStar && wanted.length !== columns.length)) return false;
  if (!wanted.every((column) => column !== undefined)) return false;
  return sourceYieldsOwn([...sourcesOf([item]).values()][0], wanted, columns, { ...scope, ctes });
}

function sourceYieldsOwn(
  source: Source,
  wanted: readonly string[],
  columns: readonly string[],
  scope: Scope,
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

function isTarget(source: { relname?: string; schemaname?: string }, { table }: Scope): boolean {
  if (table === undefined || source.relname !== table.relname) return false;
  // `users` and `public.users` are taken for the same table.
  return (
    source.schemaname === table.schemaname ||
    source.schemaname === undefined ||
    table.schemaname === undefined
  );
}

function isReduced(select: SelectStmt, scope: Scope): boolean {
  const { whereClause, havingClause, limitCount, limitOffset } = select;
  if (limitCount !== undefined && constantOf(limitCount) !== null) return true;
  if (limitOffset !== undefined && constantOf(limitOffset) !== 0) return true;
  const inner: Scope = { ...innerScope(scope, select), target: undefined, inner: false };
  return [whereClause, havingClause].some(
    (condition) => condition !== undefined && verdictOf(condition, inner, false) !== "every",
  );
}

/** `EXISTS (SELECT … FROM users AS u WHERE u.id = users.id)`: each row finds itself. */
function holdsOwnRow(select: SelectStmt, scope: Scope): boolean {
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
function joinsItself(left: Node, right: Node, scope: Scope): boolean {
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

// --- does it depend on the target's row ---

function dependsOnTarget(node: Node, scope: Scope): boolean {
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

function contains(
  node: Node,
  found: (name: string, fields: Readonly<Record<string, unknown>>) => boolean,
): boolean {
  const entry = entryOf(node);
  if (entry === undefined) return false;
  return found(...entry) || childrenOf(node).some((child) => contains(child, found));
}

// --- structural equality ---

/** Equal for two expressions that always have the same value for one row. */
function keyOf(node: Node | undefined, scope: Scope): string {
  if (node === undefined) return "";
  const known = scope.keys.get(node);
  if (known !== undefined) return known;
  spend(scope);
  const key = freshKeyOf(node, scope);
  scope.keys.set(node, key);
  return key;
}

function freshKeyOf(node: Node, scope: Scope): string {
  const column = as(node, "ColumnRef");
  if (column !== undefined) return columnKey(column, scope);
  const row = as(node, "RowExpr");
  if (row !== undefined) return `row(${(row.args ?? []).map((arg) => keyOf(arg, scope)).join()})`;
  const collated = as(node, "CollateClause");
  if (collated !== undefined) return keyOf(collated.arg, scope);
  const link = as(node, "SubLink");
  const select = as(link?.subselect, "SelectStmt");
  const value = select === undefined ? undefined : soleValue(select);
  if (link?.subLinkType === "EXPR_SUBLINK" && value !== undefined) return keyOf(value, scope);
  const alike = as(node, "MinMaxExpr")?.args ?? as(node, "CoalesceExpr")?.args ?? [];
  const keys = new Set(alike.map((arg) => keyOf(arg, scope)));
  if (keys.size === 1) return [...keys].join("");
  const expression = as(node, "A_Expr");
  const idle = expression === undefined ? undefined : withoutIdle(expression, scope);
  if (idle !== undefined) return idle;
  const [name, fields] = entryOf(node) ?? ["", {}];
  return `${name}(${fieldsKey(fields, scope)})`;
}

function columnKey(column: ColumnRef, scope: Scope): string {
  const target = targetColumn(column, scope);
  return target === undefined ? `column ${columnParts(column).join(".")}` : `target ${target}`;
}

/** `x + 0`, `x * 1` and `x || ''` are x; `x - x` and `x * 0` are 0. */
function withoutIdle(expression: A_Expr, scope: Scope): string | undefined {
  if (expression.kind !== "AEXPR_OP") return undefined;
  const { lexpr, rexpr } = expression;
  const operator = stringsOf(expression.name).at(-1) ?? "";
  const [left, right] = [constantOf(lexpr), constantOf(rexpr)];
  if (lexpr === undefined) return operator === "+" ? keyOf(rexpr, scope) : undefined;
  const zero = keyOf({ A_Const: { ival: {} } }, scope);
  if (operator === "-" && keyOf(lexpr, scope) === keyOf(rexpr, scope)) return zero;
  if (operator === "*" && (left === 0 || right === 0)) return zero;
  const idle: Readonly<Record<string, unknown>> = { "+": 0, "-": 0, "*": 1, "/": 1, "||": "" };
  if (!Object.hasOwn(idle, operator)) return undefined;
  if (right === idle[operator]) return keyOf(lexpr, scope);
  const commutes = operator === "+" || operator === "*" || operator === "||";
  return commutes && left === idle[operator] ? keyOf(rexpr, scope) : undefined;
}

function fieldsKey(value: unknown, scope: Scope): string {
  if (Array.isArray(value)) return value.map((item) => fieldsKey(item, scope)).join();
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const [first] = Object.keys(value);
  if (first !== undefined && /^[A-Z]/.test(first)) return keyOf(value as Node, scope);
  return Object.entries(value)
    .filter(([name]) => !name.endsWith("location") && !/_(start|end)$/.test(name))
    .map(([name, field]) => `${name}:${fieldsKey(field, scope)}`)
    .join();
}

const NEGATIONS: Readonly<Record<string, string>> = {
  "=": "<>",
  "<>": "=",
  "<": ">=",
  ">=": "<",
  ">": "<=",
  "<=": ">",
  "~~": "!~~",
  "!~~": "~~",
  "~~*": "!~~*",
  "!~~*": "~~*",
  "~": "!~",
  "!~": "~",
  "~*": "!~*",
  "!~*": "~*",
  BETWEEN: "NOT BETWEEN",
  "NOT BETWEEN": "BETWEEN",
};

/** A key for a condition, or for its opposite: two spellings of one have the same. */
function conditionKey(node: Node, scope: Scope, negated: boolean): string {
  const logic = as(node, "BoolExpr");
  if (logic?.boolop === "NOT_EXPR" && logic.args?.[0] !== undefined) {
    return conditionKey(logic.args[0], scope, !negated);
  }
  const test = as(node, "BooleanTest");
  if (test?.arg !== undefined) {
    const { booltesttype = "" } = test;
    if (/^IS_(NOT_)?(TRUE|FALSE)$/.test(booltesttype)) {
      const flips = /^IS_(NOT_TRUE|FALSE)$/.test(booltesttype);
      return conditionKey(test.arg, scope, flips !== negated);
    }
  }
  const nulls = as(node, "NullTest");
  if (nulls !== undefined) {
    const isNull = (nulls.nulltesttype === "IS_NULL") !== negated;
    return `${keyOf(nulls.arg, scope)} is ${isNull ? "null" : "not null"}`;
  }
  const expression = as(node, "A_Expr");
  if (expression !== undefined) return expressionKey(expression, scope, negated);
  return `${negated ? "not " : ""}${keyOf(node, scope)}`;
}

function expressionKey(expression: A_Expr, scope: Scope, negated: boolean): string {
  const operator = stringsOf(expression.name).at(-1) ?? "";
  const { lexpr, rexpr } = expression;
  const value = constantOf(rexpr);
  if (typeof value === "boolean" && lexpr !== undefined && /^(=|<>)$/.test(operator)) {
    return conditionKey(lexpr, scope, (value === (operator === "<>")) !== negated);
  }
  const isAny = expression.kind === "AEXPR_OP_ANY" || expression.kind === "AEXPR_OP_ALL";
  const isDistinct = expression.kind === "AEXPR_DISTINCT";
  const opposite = isAny ? undefined : NEGATIONS[operator];
  const kind = (expression.kind ?? "").replace("NOT_", "");
  if (kind === "AEXPR_DISTINCT") {
    const same = isDistinct === negated;
    return `${keyOf(lexpr, scope)} is ${same ? "not " : ""}distinct from ${keyOf(rexpr, scope)}`;
  }
  const shown = negated && opposite !== undefined ? opposite : operator;
  const prefix = negated && opposite === undefined ? "not " : "";
  return `${prefix}${keyOf(lexpr, scope)} ${kind} ${shown} ${keyOf(rexpr, scope)}`;
}
