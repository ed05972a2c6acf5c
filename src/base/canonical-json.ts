export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * JSON in the one form that everybody hashes and signs alike: members sorted by UTF-16 code units, no blanks,
 * numbers as ECMAScript prints them (RFC 8785). Members whose value is `undefined` are an error, not left out.
 *
 * @throws TypeError for what JSON can't hold: NaN, infinities, lone surrogates, undefined
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return canonicalNumber(value);
  if (typeof value === "string") return canonicalString(value);
  if (isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object") return canonicalObject(value);
  throw new TypeError(`not a JSON value: ${typeof value}`);
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function canonicalObject(value: Readonly<Record<string, Json>>): string {
  const members = Object.keys(value)
    .sort() // by UTF-16 code units, which is what RFC 8785 §3.2.3 asks for
    .map((key) => `${canonicalString(key)}:${canonicalJson(value[key] as Json)}`);
  return `{${members.join(",")}}`;
}

function canonicalNumber(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError("not a JSON number");
  return JSON.stringify(value);
}

function canonicalString(value: string): string {
  if (!value.isWellFormed()) throw new TypeError("lone surrogate in a JSON string");
  return JSON.stringify(value);
}
