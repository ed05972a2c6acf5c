import type { A_Expr, ColumnRef, Node } from "libpg-query";
import { constantOf } from "../constants.ts";
import { targetColumn } from "../scope.ts";
import type { Scope } from "../scope.ts";
import { as, columnParts, entryOf, stringsOf } from "../tree.ts";
import { spend } from "./filter-scope.ts";
import { soleValue } from "./subquery-shape.ts";

/** Equal for two expressions that always have the same value for one row. */
export function keyOf(node: Node | undefined, scope: Scope): string {
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
export function conditionKey(node: Node, scope: Scope, negated: boolean): string {
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
