import { matchesGlob } from "../policy/glob.ts";
import type { ParsedClassification, SqlObject } from "../sql/classification.ts";

/** @returns the first object that a text names and nobody should; an unqualified name may be in any schema */
export function touched(
  tables: readonly string[],
  { statements }: ParsedClassification,
): string | undefined {
  for (const { objects } of statements) {
    for (const object of objects) {
      if (tables.some((pattern) => isOne(pattern, object))) return nameOf(object);
    }
  }
  return undefined;
}

function isOne(pattern: string, { schema, name }: SqlObject): boolean {
  const dot = pattern.indexOf(".");
  if (dot === -1) return matchesGlob(pattern, name);
  if (!matchesGlob(pattern.slice(dot + 1), name)) return false;
  return schema === undefined || matchesGlob(pattern.slice(0, dot), schema);
}

function nameOf({ schema, name }: SqlObject): string {
  return schema === undefined ? name : `${schema}.${name}`;
}
