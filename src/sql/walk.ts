import type {
  A_Expr,
  Constraint,
  Node,
  RangeVar,
  SelectStmt,
  SubLink,
  TypeName,
} from "libpg-query";
import {
  judgeCall,
  judgeCallByName,
  judgeCast,
  judgeColumn,
  judgeIndirection,
  judgeOperator,
} from "./calls.ts";
import { constantOf } from "./constants.ts";
import { judgeDelete, judgeInsert, judgeMerge, judgeUpdate } from "./dml.ts";
import { isUnfiltered } from "./filter/unfiltered.ts";
import { addEffect, addObject } from "./judgement.ts";
import type { Judgement } from "./judgement.ts";
import { NODE_ROLES } from "./nodes.ts";
import type { NodeName } from "./nodes.ts";
import { targetScope, withCtes } from "./scope.ts";
import { as, qualifiedName, relationName, stringsOf } from "./tree.ts";

type Fields = Readonly<Record<string, unknown>>;
type Ctes = ReadonlyMap<string, SelectStmt>;

const NO_CTES: Ctes = new Map();

/**
 * Where the tree holds a node in a field of its type, without the node's name around it: those whose name decides
 * anything. A test compares this with libpg-query's types.
 */
export const UNNAMED_NODES: ReadonlyMap<string, NodeName> = new Map([
  ["CallStmt.funccall", "FuncCall"],
  ["CreateForeignTableStmt.base", "CreateStmt"],
  ["JsonAggConstructor.output", "JsonOutput"],
  ["JsonArrayConstructor.output", "JsonOutput"],
  ["JsonArrayQueryConstructor.output", "JsonOutput"],
  ["JsonFuncExpr.output", "JsonOutput"],
  ["JsonObjectConstructor.output", "JsonOutput"],
  ["JsonParseExpr.output", "JsonOutput"],
  ["JsonScalarExpr.output", "JsonOutput"],
  ["JsonSerializeExpr.output", "JsonOutput"],
  ["PLAssignStmt.val", "SelectStmt"],
  ["SelectStmt.larg", "SelectStmt"],
  ["SelectStmt.rarg", "SelectStmt"],
]);

/** Judges everything inside a node, wherever it stands: calls, casts, operators, row locks, statements that write. */
export function walk(j: Judgement, node: Node | undefined, ctes: Ctes = NO_CTES): void {
  if (node !== undefined) walkValue(j, node, "", ctes);
}

/** The same for all fields of a statement whose own effects have been judged. */
export function walkFields(j: Judgement, name: string, fields: object, ctes: Ctes = NO_CTES): void {
  for (const [field, value] of Object.entries(fields)) {
    if (typeof value === "object") walkValue(j, value, `${name}.${field}`, ctes);
  }
}

function walkValue(j: Judgement, value: unknown, place: string, ctes: Ctes): void {
  if (Array.isArray(value)) {
    for (const item of value) walkValue(j, item, place, ctes);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const unnamed = UNNAMED_NODES.get(place);
  if (unnamed !== undefined) {
    enter(j, unnamed, value as Fields, ctes);
    return;
  }
  if (isRelation(value)) noteRelation(j, value);
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner !== "object") continue;
    if (/^[A-Z]/.test(key)) enter(j, key, inner as Fields, ctes);
    else walkValue(j, inner, `${place}.${key}`, ctes);
  }
}

function enter(j: Judgement, name: string, fields: Fields, ctes: Ctes): void {
  const role = Object.hasOwn(NODE_ROLES, name) ? NODE_ROLES[name as NodeName] : undefined;
  if (role === undefined || role === "never_parsed") {
    addEffect(j, "opaque", `the parse tree holds a ${name}, whose meaning is not known here`);
  }
  const inside = withCtes(ctes, fields["withClause"] as { ctes?: Node[] } | undefined);
  noteCteNames(j, fields);
  if (role === "judged") judgeNode(j, name, fields, ctes);
  walkFields(j, name, fields, inside);
}

function noteCteNames(j: Judgement, fields: Fields): void {
  const clause = fields["withClause"] as { ctes?: Node[] } | undefined;
  for (const cte of clause?.ctes ?? []) {
    j.cteNames.add(as(cte, "CommonTableExpr")?.ctename ?? "");
  }
}

function judgeNode(j: Judgement, name: string, fields: Fields, ctes: Ctes): void {
  switch (name) {
    case "FuncCall": {
      judgeCall(j, fields);
      return;
    }
    case "ColumnRef": {
      judgeColumn(j, fields);
      return;
    }
    case "A_Indirection": {
      judgeIndirection(j, fields);
      return;
    }
    case "A_Expr": {
      judgeExpression(j, fields);
      return;
    }
    case "SubLink": {
      judgeOperator(j, (fields as SubLink).operName, (fields as SubLink).location);
      return;
    }
    case "SortBy": {
      judgeOperator(j, fields["useOp"] as Node[] | undefined, undefined);
      return;
    }
    case "TypeCast":
    case "XmlSerialize":
    case "JsonOutput":
    case "RangeTableFuncCol":
    case "JsonTableColumn": {
      judgeCast(j, fields["typeName"] as TypeName | undefined);
      return;
    }
    case "RangeTableSample": {
      const method = qualifiedName(fields["method"] as Node[] | undefined);
      judgeCallByName(j, method, [], fields["location"] as number | undefined);
      return;
    }
    case "SelectStmt": {
      judgeSelect(j, fields, ctes);
      return;
    }
    case "InsertStmt": {
      judgeInsert(j, fields);
      return;
    }
    case "UpdateStmt": {
      judgeUpdate(j, fields, ctes);
      return;
    }
    case "DeleteStmt": {
      judgeDelete(j, fields, ctes);
      return;
    }
    case "MergeStmt": {
      judgeMerge(j, fields, ctes);
      return;
    }
    case "Constraint": {
      judgeExclusions(j, fields);
      return;
    }
    case "RangeVar": {
      noteRelation(j, fields);
      return;
    }
    case "ParamRef":
      j.hasParameters = true;
      return;
  }
}

function judgeExpression(j: Judgement, { kind, name, location }: A_Expr): void {
  if (!(kind ?? "").includes("BETWEEN")) judgeOperator(j, name, location);
}

/** EXCLUDE USING gist (a WITH &&): pairs of an element and an operator's name. */
function judgeExclusions(j: Judgement, { exclusions }: Constraint): void {
  for (const pair of exclusions ?? []) {
    judgeOperator(j, as(as(pair, "List")?.items?.[1], "List")?.items, undefined);
  }
}

function judgeSelect(j: Judgement, select: SelectStmt, outer: Ctes): void {
  if (select.lockingClause !== undefined) {
    addEffect(j, "write", "locks the rows it reads");
  }
  const into = select.intoClause?.rel;
  if (into !== undefined) {
    addEffect(j, "ddl", "SELECT INTO creates a table", into.location);
    addEffect(j, "write", "SELECT INTO fills a table", into.location);
    addObject(j, { kind: "table", ...relationName(into) });
    noteCreated(j, into, { onCommit: select.intoClause?.onCommit });
  }
  const large = (select.fromClause ?? [])
    .map((item) => as(item, "RangeVar"))
    .find((relation) => /^pg_largeobject(_metadata)?$/.test(relation?.relname ?? ""));
  if (large !== undefined && !isNarrowed(j, select, large, outer)) j.readsAllLargeObjects = true;
}

function isNarrowed(j: Judgement, select: SelectStmt, table: RangeVar, outer: Ctes): boolean {
  const trusts = j.surroundings.session.believesNames;
  if (select.limitCount !== undefined && constantOf(select.limitCount) !== null) return true;
  const where = select.whereClause;
  const ctes = withCtes(outer, select.withClause);
  const others = (select.fromClause ?? []).filter((item) => as(item, "RangeVar") !== table);
  return !isUnfiltered(where, targetScope({ table, from: others, ctes, where, trusts }));
}

/** A relation that this statement creates: temporary by its name, or by the word. */
export function noteCreated(
  j: Judgement,
  relation: RangeVar,
  {
    onCommit,
    isView = false,
  }: { readonly onCommit?: string | undefined; readonly isView?: boolean },
): void {
  if (relation.relpersistence !== "t" && relation.schemaname !== "pg_temp") return;
  j.changes.push({
    kind: "created_temporary",
    name: relation.relname ?? "",
    relation: isView ? "view" : onCommit === "ONCOMMIT_DROP" ? "until_commit" : "stays",
  });
}

function isRelation(value: object): value is RangeVar {
  return "relname" in value && "relpersistence" in value;
}

function noteRelation(j: Judgement, relation: RangeVar): void {
  const name = relationName(relation);
  if (name.schema === undefined && j.cteNames.has(name.name)) return;
  addObject(j, { kind: "table", ...name });
}

/** A dotted name in a DefElem or a list, such as a handler's: judged as the call it will be. */
export function judgeNamedFunction(j: Judgement, node: Node | undefined): void {
  const names = as(node, "List")?.items ?? as(node, "TypeName")?.names;
  if (names === undefined || stringsOf(names).length === 0) return;
  judgeCallByName(j, qualifiedName(names), [], undefined);
}

/** Options that name functions: user code that is run by or through what is being defined. */
export function judgeNamedFunctions(
  j: Judgement,
  options: readonly Node[] | undefined,
  names: readonly string[],
): void {
  for (const option of options ?? []) {
    const { defname = "", arg } = as(option, "DefElem") ?? {};
    if (names.includes(defname.toLowerCase())) judgeNamedFunction(j, arg);
  }
}
