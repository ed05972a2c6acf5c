import type { DropStmt, Node, ObjectType } from "libpg-query";
import type { SqlObject } from "./classification.ts";
import { as, qualified, stringOf, stringsOf } from "./tree.ts";

/** What PostgreSQL's manual calls each kind of object, in lower case. */
const KINDS: Readonly<Record<ObjectType, string>> = {
  OBJECT_ACCESS_METHOD: "access method",
  OBJECT_AGGREGATE: "aggregate",
  OBJECT_AMOP: "operator",
  OBJECT_AMPROC: "function",
  OBJECT_ATTRIBUTE: "attribute",
  OBJECT_CAST: "cast",
  OBJECT_COLUMN: "column",
  OBJECT_COLLATION: "collation",
  OBJECT_CONVERSION: "conversion",
  OBJECT_DATABASE: "database",
  OBJECT_DEFAULT: "default",
  OBJECT_DEFACL: "default privileges",
  OBJECT_DOMAIN: "domain",
  OBJECT_DOMCONSTRAINT: "constraint",
  OBJECT_EVENT_TRIGGER: "event trigger",
  OBJECT_EXTENSION: "extension",
  OBJECT_FDW: "foreign data wrapper",
  OBJECT_FOREIGN_SERVER: "server",
  OBJECT_FOREIGN_TABLE: "foreign table",
  OBJECT_FUNCTION: "function",
  OBJECT_INDEX: "index",
  OBJECT_LANGUAGE: "language",
  OBJECT_LARGEOBJECT: "large object",
  OBJECT_MATVIEW: "materialized view",
  OBJECT_OPCLASS: "operator class",
  OBJECT_OPERATOR: "operator",
  OBJECT_OPFAMILY: "operator family",
  OBJECT_PARAMETER_ACL: "parameter",
  OBJECT_POLICY: "policy",
  OBJECT_PROCEDURE: "procedure",
  OBJECT_PUBLICATION: "publication",
  OBJECT_PUBLICATION_NAMESPACE: "schema",
  OBJECT_PUBLICATION_REL: "table",
  OBJECT_ROLE: "role",
  OBJECT_ROUTINE: "routine",
  OBJECT_RULE: "rule",
  OBJECT_SCHEMA: "schema",
  OBJECT_SEQUENCE: "sequence",
  OBJECT_SUBSCRIPTION: "subscription",
  OBJECT_STATISTIC_EXT: "statistics",
  OBJECT_TABCONSTRAINT: "constraint",
  OBJECT_TABLE: "table",
  OBJECT_TABLESPACE: "tablespace",
  OBJECT_TRANSFORM: "transform",
  OBJECT_TRIGGER: "trigger",
  OBJECT_TSCONFIGURATION: "text search configuration",
  OBJECT_TSDICTIONARY: "text search dictionary",
  OBJECT_TSPARSER: "text search parser",
  OBJECT_TSTEMPLATE: "text search template",
  OBJECT_TYPE: "type",
  OBJECT_USER_MAPPING: "user mapping",
  OBJECT_VIEW: "view",
};

export function kindOf(type: ObjectType | undefined): string {
  return type === undefined ? "object" : KINDS[type];
}

/** An object's dotted name, in whichever of its several forms the grammar gives it. */
export function namesIn(node: Node | undefined): readonly string[] {
  const single = stringOf(node);
  if (single !== undefined) return [single];
  const list = as(node, "List")?.items;
  if (list !== undefined) return list.flatMap(namesIn);
  const type = as(node, "TypeName");
  if (type !== undefined) return stringsOf(type.names);
  const withArgs = as(node, "ObjectWithArgs");
  if (withArgs !== undefined) return stringsOf(withArgs.objname);
  const relation = as(node, "RangeVar");
  if (relation !== undefined) {
    return [relation.schemaname, relation.relname].filter((name) => name !== undefined);
  }
  const role = as(node, "RoleSpec");
  if (role !== undefined) return [role.rolename ?? (role.roletype ?? "").slice(9).toLowerCase()];
  const literal = as(node, "Integer")?.ival ?? as(node, "Float")?.fval;
  return literal === undefined ? [] : [String(literal)];
}

export function objectOf(type: ObjectType | undefined, node: Node | undefined): SqlObject {
  return { kind: kindOf(type), ...qualified(namesIn(node)) };
}

/** Objects that belong to a table: their names are written with the table's before them. */
const OF_A_TABLE = new Set<ObjectType>(["OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TRIGGER"]);

/**
 * What a DROP names, one entry an object: the object, and the relation or schema-qualified thing whose being temporary
 * makes it temporary too.
 */
export function droppedObjects({
  objects = [],
  removeType,
}: DropStmt): readonly { readonly object: SqlObject; readonly holder: SqlObject }[] {
  return objects.map((node) => {
    const names = namesIn(node);
    if (removeType === undefined || !OF_A_TABLE.has(removeType)) {
      const object = objectOf(removeType, node);
      return { object, holder: object };
    }
    const holder = { kind: "table", ...qualified(names.slice(0, -1)) };
    return {
      object: { kind: kindOf(removeType), schema: holder.name, name: names.at(-1) ?? "" },
      holder,
    };
  });
}
