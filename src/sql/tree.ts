import type { ColumnRef, Node, RangeVar, TypeName } from "libpg-query";
import type { QualifiedName } from "./classification.ts";
import type { NodeName, NodeOf } from "./nodes.ts";

/** The fields of a node of the given name, or `undefined` if `node` is another one. */
export function as<Name extends NodeName>(
  node: Node | undefined,
  name: Name,
): NodeOf<Name> | undefined {
  if (node === undefined || !Object.hasOwn(node, name)) return undefined;
  return (node as unknown as Record<Name, NodeOf<Name>>)[name];
}

/** A node's name, and its fields by name only. `undefined` for the empty object that stands for a null in lists. */
export function entryOf(
  node: object,
): readonly [name: string, fields: Readonly<Record<string, unknown>>] | undefined {
  const [entry] = Object.entries(node);
  return entry as readonly [string, Readonly<Record<string, unknown>>] | undefined;
}

/** The text of a String node. */
export function stringOf(node: Node | undefined): string | undefined {
  const string = as(node, "String");
  return string === undefined ? undefined : (string.sval ?? "");
}

export function stringsOf(nodes: readonly Node[] | undefined): readonly string[] {
  return (nodes ?? []).flatMap((node) => stringOf(node) ?? []);
}

/** The last two parts of a dotted name: schema and name. */
export function qualifiedName(nodes: readonly Node[] | undefined): QualifiedName {
  return qualified(stringsOf(nodes));
}

export function qualified(parts: readonly string[]): QualifiedName {
  return { schema: parts.at(-2), name: parts.at(-1) ?? "" };
}

export function relationName(relation: RangeVar | undefined): QualifiedName {
  return { schema: relation?.schemaname, name: relation?.relname ?? "" };
}

export function typeName(type: TypeName | undefined): QualifiedName {
  return qualifiedName(type?.names);
}

/** A column reference's parts; `*` for a star, which no name can be mistaken for because it has a place of its own. */
export function columnParts(column: ColumnRef): readonly string[] {
  return (column.fields ?? []).map((field) => stringOf(field) ?? "*");
}

/** The value of the last option of that name, as the server takes it. */
export function lastOption(
  options: readonly Node[] | undefined,
  name: string,
): NodeOf<"DefElem"> | undefined {
  return options?.map((option) => as(option, "DefElem")).findLast((def) => def?.defname === name);
}

/** The nodes directly inside a node, through lists and through structs that stand in their field without a name. */
export function childrenOf(node: Node): readonly Node[] {
  const fields = entryOf(node)?.[1];
  return fields === undefined ? [] : Object.values(fields).flatMap(nodesIn);
}

function nodesIn(value: unknown): readonly Node[] {
  if (Array.isArray(value)) return value.flatMap(nodesIn);
  if (typeof value !== "object" || value === null) return [];
  const [first] = Object.keys(value);
  if (first !== undefined && /^[A-Z]/.test(first)) return [value as Node];
  return Object.values(value).flatMap(nodesIn); // a struct that stands in its field without its name
}

/** What is cast, however often. */
export function uncast(node: Node | undefined): Node | undefined {
  const cast = as(node, "TypeCast");
  return cast === undefined ? node : uncast(cast.arg);
}
