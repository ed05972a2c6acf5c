import type { A_Expr, Node } from "libpg-query";
import { isVolatile } from "../catalogue.ts";
import { booleanOf, constantOf } from "../constants.ts";
import { as, qualifiedName } from "../tree.ts";
import { keyOf } from "./equal-expressions.ts";
import { verdictOf } from "./filter-scope.ts";
import type { FilterScope } from "./filter-scope.ts";
import { isOwnTable, joinsItself } from "./own-rows.ts";
import { contains, dependence, dependsOnTarget } from "./row-dependence.ts";
import { all, any, constantVerdict, opposite } from "./verdict.ts";
import type { Verdict } from "./verdict.ts";

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

export function comparisonVerdict(
  operator: string,
  left: Node | undefined,
  right: Node | undefined,
  scope: FilterScope,
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
  if (operator === "=" && isOwnTable(left, right, scope)) return negated ? "none" : "every";
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
  scope: FilterScope,
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

export function distinctVerdict(
  left: Node | undefined,
  right: Node | undefined,
  scope: FilterScope,
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

export function itemsOf(node: Node | undefined): readonly Node[] {
  return as(node, "List")?.items ?? as(node, "A_ArrayExpr")?.elements ?? [];
}

/** `x IN (…)`, or `x NOT IN (…)` when negated. */
export function membershipVerdict(
  left: Node | undefined,
  items: readonly Node[],
  scope: FilterScope,
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

export function betweenVerdict(
  value: Node | undefined,
  [low, high]: readonly Node[],
  scope: FilterScope,
  negated: boolean,
): Verdict {
  const verdicts = [
    comparisonVerdict(">=", value, low, scope, negated),
    comparisonVerdict("<=", value, high, scope, negated),
  ];
  return negated ? any(verdicts) : all(verdicts);
}

export function nullTestVerdict(
  arg: Node | undefined,
  scope: FilterScope,
  isNotNull: boolean,
): Verdict {
  const value = constantOf(arg);
  if (value !== undefined) return (value !== null) === isNotNull ? "every" : "none";
  if (arg === undefined || !dependsOnTarget(arg, scope)) {
    return arg !== undefined && isNeverNull(arg) ? (isNotNull ? "every" : "none") : "free";
  }
  if (isNotNull) return "every";
  return isNeverNull(arg) ? "none" : "some";
}

export function isNeverNull(node: Node): boolean {
  const link = as(node, "SubLink");
  return as(node, "NullTest") !== undefined || link?.subLinkType === "EXISTS_SUBLINK";
}
