import type { CaseExpr, Node, SelectStmt, TypeName } from "libpg-query";
import { booleanOf } from "./constants.ts";
import { soleValue } from "./filter/subquery-shape.ts";
import { as, stringsOf } from "./tree.ts";

/**
 * The truth of a condition in which PostgreSQL can't but agree with us: literals true, false and null, small integers
 * and plain strings compared, and what AND, OR, NOT, CASE and COALESCE make of these. Nothing that computes or calls.
 *
 * @param trusts - also what a setting or a search_path could give another meaning: `= NULL`, and the type name `bool`
 * @returns `null` for SQL's null, `undefined` for anything else
 */
export function certainTruth(node: Node | undefined, trusts: boolean): boolean | null | undefined {
  const truthOf = (inner: Node | undefined): boolean | null | undefined =>
    certainTruth(inner, trusts);
  if (node === undefined) return undefined;
  const literal = as(node, "A_Const");
  if (literal !== undefined) {
    if (literal.isnull === true) return null;
    if (literal.sval !== undefined) return booleanOf(literal.sval.sval ?? "");
    return literal.boolval === undefined ? undefined : (literal.boolval.boolval ?? false);
  }
  const logic = as(node, "BoolExpr");
  if (logic !== undefined) return logicalTruth(logic.boolop, (logic.args ?? []).map(truthOf));
  const nulls = as(node, "NullTest");
  if (nulls !== undefined) {
    const value = as(nulls.arg, "A_Const");
    if (value === undefined) return undefined;
    return (value.isnull === true) === (nulls.nulltesttype === "IS_NULL");
  }
  const test = as(node, "BooleanTest");
  if (test !== undefined) return testedTruth(test.booltesttype, truthOf(test.arg));
  if (as(node, "A_Expr") !== undefined) return comparedTruth(node, trusts);
  const cast = as(node, "TypeCast");
  if (cast !== undefined)
    return isBoolean(cast.typeName, trusts) ? castTruth(cast.arg, truthOf) : undefined;
  const alternatives = as(node, "CoalesceExpr")?.args;
  if (alternatives !== undefined) {
    const first = alternatives.find((arg) => truthOf(arg) !== null);
    return first === undefined ? null : truthOf(first);
  }
  const branches = as(node, "CaseExpr");
  if (branches !== undefined) return chosenTruth(branches, truthOf);
  const link = as(node, "SubLink");
  const select = as(link?.subselect, "SelectStmt");
  if (link?.subLinkType === "EXPR_SUBLINK" && select?.withClause === undefined) {
    return truthOf(select === undefined ? undefined : soleValue(select));
  }
  if (link?.subLinkType === "EXISTS_SUBLINK" && select !== undefined && isPlain(select)) {
    // What no row passes yields none; what some rows may pass is not for us to say.
    const where = truthOf(select.whereClause);
    if (isZero(select.limitCount)) return false;
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

function comparedTruth(node: Node, trusts: boolean): boolean | null | undefined {
  const { kind, lexpr, rexpr, name = [] } = as(node, "A_Expr") ?? {};
  const operators = stringsOf(name);
  // A qualified operator may be anybody's.
  if (operators.length !== 1) return undefined;
  const [operator = ""] = operators;
  if (kind === "AEXPR_OP" && COMPARISONS.has(operator) && [lexpr, rexpr].some(isNull)) {
    // With transform_null_equals on, `= NULL` means IS NULL.
    return operator === "=" && !trusts ? undefined : null;
  }
  if (kind === "AEXPR_IN" && operator === "=") {
    return logicalTruth(
      "OR_EXPR",
      (as(rexpr, "List")?.items ?? []).map((item) => comparedLiterals("=", lexpr, item)),
    );
  }
  return kind === "AEXPR_OP" ? comparedLiterals(operator, lexpr, rexpr) : undefined;
}

function comparedLiterals(
  operator: string | undefined,
  lexpr: Node | undefined,
  rexpr: Node | undefined,
): boolean | undefined {
  const [one, other] = [lexpr, rexpr].map((side) => as(side, "A_Const")?.boolval);
  if (one !== undefined && other !== undefined && (operator === "=" || operator === "<>")) {
    return ((one.boolval ?? false) === (other.boolval ?? false)) === (operator === "=");
  }
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

const COMPARISONS = new Set(["=", "<>", "<", "<=", ">", ">="]);

function isNull(node: Node | undefined): boolean {
  return as(node, "A_Const")?.isnull === true;
}

/** `boolean` is a keyword for pg_catalog's; `bool` might be anybody's type. */
function isBoolean(type: TypeName | undefined, trusts: boolean): boolean {
  if (type?.arrayBounds !== undefined) return false;
  const name = stringsOf(type?.names).join(".");
  return name === "pg_catalog.bool" || (trusts && name === "bool");
}

type TruthOf = (node: Node | undefined) => boolean | null | undefined;

function castTruth(node: Node | undefined, truthOf: TruthOf): boolean | null | undefined {
  const number = as(node, "A_Const")?.ival;
  return number === undefined ? truthOf(node) : (number.ival ?? 0) !== 0;
}

/** CASE WHEN …: the first branch that is certainly taken, where all before it certainly are not. */
function chosenTruth(
  { arg, args = [], defresult }: CaseExpr,
  truthOf: TruthOf,
): boolean | null | undefined {
  if (arg !== undefined) return undefined;
  for (const branch of args) {
    const { expr, result } = as(branch, "CaseWhen") ?? {};
    const taken = truthOf(expr);
    if (taken === undefined) return undefined;
    if (taken === true) return truthOf(result);
  }
  return defresult === undefined ? null : truthOf(defresult);
}

function isZero(limit: Node | undefined): boolean {
  const number = as(limit, "A_Const")?.ival;
  return number !== undefined && (number.ival ?? 0) === 0;
}
