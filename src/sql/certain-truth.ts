import type { Node, SelectStmt } from "libpg-query";
import { booleanOf } from "./constants.ts";
import { as, stringsOf } from "./tree.ts";

/**
 * The truth of a condition in which PostgreSQL can't but agree with us: literals true, false and null, small integers
 * and plain strings compared, and what AND, OR and NOT make of these. Nothing that casts, computes or calls; no
 * comparison with null, which a setting gives another meaning.
 *
 * @returns `null` for SQL's null, `undefined` for anything else
 */
export function certainTruth(node: Node | undefined): boolean | null | undefined {
  if (node === undefined) return undefined;
  const literal = as(node, "A_Const");
  if (literal !== undefined) {
    if (literal.isnull === true) return null;
    if (literal.sval !== undefined) return booleanOf(literal.sval.sval ?? "");
    return literal.boolval === undefined ? undefined : (literal.boolval.boolval ?? false);
  }
  const logic = as(node, "BoolExpr");
  if (logic !== undefined) return logicalTruth(logic.boolop, (logic.args ?? []).map(certainTruth));
  const nulls = as(node, "NullTest");
  if (nulls !== undefined) {
    const value = as(nulls.arg, "A_Const");
    if (value === undefined) return undefined;
    return (value.isnull === true) === (nulls.nulltesttype === "IS_NULL");
  }
  const test = as(node, "BooleanTest");
  if (test !== undefined) return testedTruth(test.booltesttype, certainTruth(test.arg));
  if (as(node, "A_Expr") !== undefined) return comparedTruth(node);
  const link = as(node, "SubLink");
  const select = as(link?.subselect, "SelectStmt");
  if (link?.subLinkType === "EXISTS_SUBLINK" && select !== undefined && isPlain(select)) {
    // What no row passes yields none; what some rows may pass is not for us to say.
    const where = certainTruth(select.whereClause);
    return where === false || where === null ? false : undefined;
  }
  return undefined;
}

function logicalTruth(
  operator: string | undefined,
  values: readonly (boolean | null | undefined)[],
): boolean | null | undefined {
  const [first] = values;
  if (operator === "NOT_EXPR") return typeof first === "boolean" ? !first : first;
  const absorbing = operator === "OR_EXPR";
  if (values.includes(absorbing)) return absorbing;
  if (values.includes(undefined)) return undefined;
  return values.includes(null) ? null : !absorbing;
}

function testedTruth(
  test: string | undefined,
  value: boolean | null | undefined,
): boolean | undefined {
  if (value === undefined) return undefined;
  switch (test) {
    case "IS_TRUE":
      return value === true;
    case "IS_NOT_TRUE":
      return value !== true;
    case "IS_FALSE":
      return value === false;
    case "IS_NOT_FALSE":
      return value !== false;
    case "IS_UNKNOWN":
      return value === null;
    case "IS_NOT_UNKNOWN":
      return value !== null;
    default:
      return undefined;
  }
}

function comparedTruth(node: Node): boolean | undefined {
  const { kind, lexpr, rexpr, name = [] } = as(node, "A_Expr") ?? {};
  const operators = stringsOf(name);
  // A qualified operator may be anybody's.
  if (operators.length !== 1) return undefined;
  const [operator] = operators;
  if (kind === "AEXPR_IN" && operator === "=") {
    return logicalTruth(
      "OR_EXPR",
      (as(rexpr, "List")?.items ?? []).map((item) => comparedLiterals("=", lexpr, item)),
    ) as boolean | undefined;
  }
  return kind === "AEXPR_OP" ? comparedLiterals(operator, lexpr, rexpr) : undefined;
}

function comparedLiterals(
  operator: string | undefined,
  lexpr: Node | undefined,
  rexpr: Node | undefined,
): boolean | undefined {
  const [left, right] = [literalOf(lexpr), literalOf(rexpr)];
  if (typeof left === "number" && typeof right === "number") {
    return comparedNumbers(operator, left, right);
  }
  if (typeof left === "string" && typeof right === "string") {
    if (operator === "=") return left === right;
    if (operator === "<>") return left !== right;
  }
  return undefined;
}

function literalOf(node: Node | undefined): number | string | undefined {
  const literal = as(node, "A_Const");
  if (literal?.ival !== undefined) return literal.ival.ival ?? 0;
  if (literal?.sval !== undefined) return literal.sval.sval ?? "";
  return undefined;
}

function comparedNumbers(
  operator: string | undefined,
  left: number,
  right: number,
): boolean | undefined {
  switch (operator) {
    case "=":
      return left === right;
    case "<>":
      return left !== right;
    case "<":
      return left < right;
    case ">":
      return left > right;
    case "<=":
      return left <= right;
    case ">=":
      return left >= right;
    default:
      return undefined;
  }
}

/** Yields no row where nothing passes its WHERE: no aggregate, HAVING or set operation that makes one. */
function isPlain({ op, targetList, groupClause, havingClause, valuesLists }: SelectStmt): boolean {
  if (op !== "SETOP_NONE" || (groupClause ?? havingClause ?? valuesLists) !== undefined)
    return false;
  return (targetList ?? []).every((target) => {
    const value = as(target, "ResTarget")?.val;
    return as(value, "A_Const") !== undefined || as(value, "ColumnRef") !== undefined;
  });
}
