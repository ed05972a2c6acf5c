import type { A_Const, A_Expr, FuncCall, Node, TypeCast } from "libpg-query";
import { as, qualifiedName, stringsOf, typeName } from "./tree.ts";

/** A value that is written out in the text. Numbers are JavaScript's: good enough to compare small ones. */
export type Constant = null | boolean | number | string;

/** The value of an expression made of constants alone; `undefined` when it isn't, or isn't understood. */
export function constantOf(node: Node | undefined): Constant | undefined {
  if (node === undefined) return undefined;
  const literal = as(node, "A_Const");
  if (literal !== undefined) return literalValue(literal);
  const cast = as(node, "TypeCast");
  if (cast !== undefined) return castValue(cast);
  const collated = as(node, "CollateClause");
  if (collated !== undefined) return constantOf(collated.arg);
  const expression = as(node, "A_Expr");
  if (expression !== undefined) return operatorValue(expression);
  const call = as(node, "FuncCall");
  if (call !== undefined) return callValue(call);
  return undefined;
}

/**
 * SQL text that an expression builds, as far as it is written out: each part that isn't becomes an identifier, so
 * that `'DROP TABLE ' || name` can still be read. `undefined` when nothing of it is written out.
 */
export function sketchOf(node: Node | undefined): string | undefined {
  const whole = constantOf(node);
  if (typeof whole === "string") return whole;
  const parts = sketchParts(node);
  if (parts.every((part) => part === undefined)) return undefined;
  return parts.map((part) => part ?? UNKNOWN_PART).join("");
}

const UNKNOWN_PART = "twokey_unknown";

function sketchParts(node: Node | undefined): readonly (string | undefined)[] {
  const constant = constantOf(node);
  if (typeof constant === "string") return [constant];
  if (typeof constant === "number" || typeof constant === "boolean") return [String(constant)];
  if (constant === null) return [""];
  const cast = as(node, "TypeCast");
  if (cast !== undefined) return sketchParts(cast.arg);
  const expression = as(node, "A_Expr");
  if (expression !== undefined && stringsOf(expression.name).at(-1) === "||") {
    return [...sketchParts(expression.lexpr), ...sketchParts(expression.rexpr)];
  }
  const call = as(node, "FuncCall");
  const name = qualifiedName(call?.funcname).name;
  if (name === "concat") return (call?.args ?? []).flatMap(sketchParts);
  if (name === "concat_ws") {
    const [separator, ...parts] = (call?.args ?? []).map((arg) => sketchParts(arg));
    return parts.flatMap((part, index) => (index === 0 ? part : [...(separator ?? []), ...part]));
  }
  if (name === "format") return formatParts(call?.args ?? []);
  if (STRIPPING.has(name)) return sketchParts(call?.args?.[0]);
  return [undefined];
}

const STRIPPING = new Set(["btrim", "lower", "ltrim", "quote_ident", "rtrim", "upper"]);

/** format(): literal text, and its arguments one after the other. Positions like %2$I stay unknown. */
function formatParts([template, ...values]: readonly Node[]): readonly (string | undefined)[] {
  const text = constantOf(template);
  if (typeof text !== "string") return [undefined];
  let next = 0;
  return text.split(/(%(?:\d+\$)?-?\d*[sIL%])/).flatMap((piece, index) => {
    if (index % 2 === 0) return [piece];
    if (piece === "%%") return ["%"];
    const value = piece.includes("$") ? undefined : constantOf(values[next++]);
    if (typeof value !== "string") return [undefined];
    if (piece.endsWith("I")) return [`"${value.replaceAll('"', '""')}"`];
    return [piece.endsWith("L") ? `'${value.replaceAll("'", "''")}'` : value];
  });
}

function literalValue(literal: A_Const): Constant | undefined {
  if (literal.isnull === true) return null;
  if (literal.boolval !== undefined) return literal.boolval.boolval ?? false;
  if (literal.ival !== undefined) return literal.ival.ival ?? 0;
  if (literal.fval !== undefined) return Number(literal.fval.fval);
  if (literal.sval !== undefined) return literal.sval.sval ?? "";
  return undefined;
}

const TEXT_TYPES = new Set(["text", "varchar", "bpchar", "name", "regclass", "unknown"]);
const NUMBER_TYPES = new Set(["int2", "int4", "int8", "float4", "float8", "numeric", "oid"]);

function castValue({ arg, typeName: type }: TypeCast): Constant | undefined {
  const value = constantOf(arg);
  if (value === undefined || value === null || type?.arrayBounds !== undefined) return value;
  const { name } = typeName(type);
  if (name === "bool") return booleanOf(value);
  if (TEXT_TYPES.has(name)) return typeof value === "string" ? value : String(value);
  if (NUMBER_TYPES.has(name)) return numberOf(value);
  return undefined;
}

/** As PostgreSQL reads a boolean: any unambiguous beginning of the words, any case, blanks around. */
export function booleanOf(value: Constant): boolean | null | undefined {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") return value !== 0;
  const word = value.trim().toLowerCase();
  if (word === "") return undefined;
  if (word === "1" || word === "on" || "true".startsWith(word) || "yes".startsWith(word)) {
    return true;
  }
  if (word === "0" || "false".startsWith(word) || "no".startsWith(word)) return false;
  return word === "of" || word === "off" ? false : undefined;
}

function numberOf(value: Constant): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value === null || value.trim() === "") return undefined;
  const number = Number(value);
  return Number.isNaN(number) ? undefined : number;
}

function operatorValue(expression: A_Expr): Constant | undefined {
  const right = constantOf(expression.rexpr);
  const operator = stringsOf(expression.name).at(-1) ?? "";
  if (expression.lexpr === undefined) {
    return typeof right === "number" && operator === "-" ? -right : undefined;
  }
  const left = constantOf(expression.lexpr);
  if (left === undefined || right === undefined) return undefined;
  switch (expression.kind) {
    case "AEXPR_OP":
    case "AEXPR_LIKE":
    case "AEXPR_ILIKE":
      return left === null || right === null ? null : binaryValue(operator, left, right);
    case "AEXPR_DISTINCT":
      return !equal(left, right);
    case "AEXPR_NOT_DISTINCT":
      return equal(left, right);
    default:
      return undefined;
  }
}

function equal(left: Constant, right: Constant): boolean {
  if (left === null || right === null) return left === right;
  return binaryValue("=", left, right) === true;
}

function binaryValue(
  operator: string,
  left: Exclude<Constant, null>,
  right: Exclude<Constant, null>,
): Constant | undefined {
  if (operator === "||") return `${left}${right}`;
  if (LIKE_OPERATORS.has(operator)) return likeValue(operator, String(left), String(right));
  const [a, b] = comparable(left, right);
  if (a === undefined || b === undefined || a === null || b === null) return undefined;
  switch (operator) {
    case "=":
      return a === b;
    case "<>":
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
    default:
      return typeof a === "number" && typeof b === "number"
        ? arithmetic(operator, a, b)
        : undefined;
  }
}

/** Both as one type, as PostgreSQL would take an untyped literal: the other side's. Collations are not known here. */
function comparable(
  left: Exclude<Constant, null>,
  right: Exclude<Constant, null>,
): readonly [Constant | undefined, Constant | undefined] {
  if (typeof left === typeof right) return [left, right];
  if (typeof left === "boolean" || typeof right === "boolean") {
    return [booleanOf(left), booleanOf(right)];
  }
  return [numberOf(left), numberOf(right)];
}

function arithmetic(operator: string, a: number, b: number): number | undefined {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "%":
      return b === 0 ? undefined : a % b;
    default:
      return undefined;
  }
}

const LIKE_OPERATORS = new Set(["~~", "!~~", "~~*", "!~~*"]);

function likeValue(operator: string, text: string, pattern: string): boolean | undefined {
  if (pattern.includes("\\") || pattern.length > 100 || text.length > 1000) return undefined;
  if (/[%_].*[%_].*[%_]/.test(pattern)) return undefined; // a regular expression of these could take long
  const source = pattern.replaceAll(/[.*+?^${}()|[\]]/g, "\\$&").replaceAll("%", ".*");
  const flags = operator.endsWith("*") ? "isu" : "su";
  const matches = new RegExp(`^${source.replaceAll("_", ".")}$`, flags).test(text);
  return operator.startsWith("!") ? !matches : matches;
}

function callValue({ funcname, args }: FuncCall): Constant | undefined {
  const { schema, name } = qualifiedName(funcname);
  if (schema !== undefined && schema !== "pg_catalog") return undefined;
  const values = (args ?? []).map(constantOf);
  const [first] = values;
  switch (name) {
    case "lower":
      return typeof first === "string" ? first.toLowerCase() : undefined;
    case "upper":
      return typeof first === "string" ? first.toUpperCase() : undefined;
    case "chr":
      return typeof first === "number" && first > 0 && first < 0x110000
        ? String.fromCodePoint(first)
        : undefined;
    case "reverse":
      return typeof first === "string" ? Array.from(first).reverse().join("") : undefined;
    case "concat":
      return values.includes(undefined) ? undefined : values.map((value) => value ?? "").join("");
    case "format":
      return formatValue(args ?? []);
    case "text":
    case "varchar":
    case "name":
      return typeof first === "string" ? first : undefined;
    default:
      return undefined;
  }
}

function formatValue(args: readonly Node[]): string | undefined {
  const parts = formatParts(args);
  return parts.includes(undefined) ? undefined : parts.join("");
}
