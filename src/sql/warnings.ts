import type {
  AlterTableCmd,
  AlterTableStmt,
  ColumnDef,
  Constraint,
  IndexStmt,
  Node,
} from "libpg-query";
import { isVolatile } from "./catalogue.ts";
import type { Warning } from "./classification.ts";
import { HAZARDS } from "./hazards.ts";
import type { HazardName } from "./hazards.ts";
import { entryOf } from "./tree.ts";
import { as, childrenOf, lastOption, qualifiedName, stringOf, typeName } from "./tree.ts";

/** What the statements before it in the same text make of a statement. */
export interface Before {
  /** The table was created just before, so there is nothing in it that could take long. */
  readonly isNew: (table: string | undefined) => boolean;
  readonly inTransaction: boolean;
}

export function warningsOf(statement: Node, before: Before): readonly Warning[] {
  const names = new Set([
    ...hazardsOf(statement, before.isNew),
    ...(before.inTransaction ? transactionHazards(statement) : []),
  ]);
  return [...names].map((name) => ({ name, ...HAZARDS[name] }));
}

function hazardsOf(
  statement: Node,
  isNew: (table: string | undefined) => boolean,
): readonly HazardName[] {
  const [name] = entryOf(statement) ?? [""];
  const alter = as(statement, "AlterTableStmt");
  if (alter !== undefined) return isNew(alter.relation?.relname) ? [] : alterHazards(alter);
  const index = as(statement, "IndexStmt");
  if (index !== undefined) return isNew(index.relation?.relname) ? [] : indexHazards(index);
  switch (name) {
    case "CreateStmt":
      return createHazards(as(statement, "CreateStmt")?.tableElts ?? []);
    case "CreateDomainStmt":
      return on(
        (as(statement, "CreateDomainStmt")?.constraints ?? []).length > 0,
        "domain-constraint",
      );
    case "AlterDomainStmt":
      return on(as(statement, "AlterDomainStmt")?.subtype === "C", "domain-constraint");
    case "DropStmt": {
      const drop = as(statement, "DropStmt");
      const blocks = drop?.removeType === "OBJECT_INDEX" && drop.concurrent !== true;
      return [...on(blocks, "dropping-index"), ...on(drop?.behavior === "DROP_CASCADE", "cascade")];
    }
    case "TruncateStmt":
      return on(as(statement, "TruncateStmt")?.behavior === "DROP_CASCADE", "cascade");
    case "RenameStmt": {
      const rename = as(statement, "RenameStmt");
      if (rename?.renameType === "OBJECT_COLUMN") return ["renaming-column"];
      if (rename?.renameType === "OBJECT_SCHEMA") return ["renaming-schema"];
      return on(rename?.renameType === "OBJECT_TABLE", "renaming-table");
    }
    case "ReindexStmt":
      return on(!isOn(as(statement, "ReindexStmt")?.params, "concurrently"), "reindexing");
    case "RefreshMatViewStmt": {
      const blocks = as(statement, "RefreshMatViewStmt")?.concurrent !== true;
      return on(blocks, "refreshing-materialized-view");
    }
    case "VacuumStmt":
      return on(isOn(as(statement, "VacuumStmt")?.options, "full"), "vacuum-full");
    case "ClusterStmt":
      return ["cluster-table"];
    case "LockStmt":
      return ["locking-table"];
    default:
      return [];
  }
}

/** What goes wrong inside a transaction that the text itself has opened. */
function transactionHazards(statement: Node): readonly HazardName[] {
  const begin = as(statement, "TransactionStmt")?.kind;
  const isConcurrent =
    as(statement, "IndexStmt")?.concurrent === true ||
    as(statement, "DropStmt")?.concurrent === true ||
    isOn(as(statement, "ReindexStmt")?.params, "concurrently");
  return [
    ...on(isConcurrent, "concurrently-in-transaction"),
    ...on(begin === "TRANS_STMT_BEGIN" || begin === "TRANS_STMT_START", "nested-transaction"),
  ];
}

function on(condition: boolean, hazard: HazardName): readonly HazardName[] {
  return condition ? [hazard] : [];
}

function isOn(options: readonly Node[] | undefined, name: string): boolean {
  const option = lastOption(options, name);
  if (option === undefined) return false;
  const value = stringOf(option.arg) ?? as(option.arg, "Integer")?.ival;
  return !(
    option.arg !== undefined &&
    (value === undefined || /^(f|false|off|no|0)$/i.test(String(value)))
  );
}

function indexHazards({ concurrent, indexParams = [], unique }: IndexStmt): readonly HazardName[] {
  return [
    ...on(concurrent !== true, "creating-index"),
    ...on(unique !== true && indexParams.length > 3, "wide-index"),
  ];
}

function createHazards(elements: readonly Node[]): readonly HazardName[] {
  return elements.flatMap((element) => {
    const column = as(element, "ColumnDef");
    if (column === undefined) return [];
    const isKey = constraintsOf(column).some(({ contype }) => contype === "CONSTR_PRIMARY");
    const { name } = typeName(column.typeName);
    return [
      ...on(isKey && NARROW.has(name), "integer-primary-key"),
      ...on(SERIAL.has(name), "serial-column"),
      ...typeHazards(column),
    ];
  });
}

/** Types that are regretted later, in a new table as in an old one. */
function typeHazards({ typeName: type }: ColumnDef): readonly HazardName[] {
  const { name } = typeName(type);
  const isLimited = (type?.typmods ?? []).length > 0;
  return [
    ...on(name === "json", "adding-json-column"),
    ...on(name === "bpchar" && isLimited, "char-column"),
    ...on(name === "timestamp", "timestamp-without-time-zone"),
    ...on(name === "varchar" && isLimited, "varchar-limit"),
  ];
}

const NARROW = new Set(["int2", "int4", "serial", "serial4", "smallserial", "serial2"]);
const SERIAL = new Set(["serial", "serial2", "serial4", "serial8", "bigserial", "smallserial"]);

function alterHazards({ cmds = [], objtype }: AlterTableStmt): readonly HazardName[] {
  if (objtype !== "OBJECT_TABLE" && objtype !== "OBJECT_MATVIEW") return [];
  return cmds.flatMap((cmd) => commandHazards(as(cmd, "AlterTableCmd") ?? {}));
}

function commandHazards({ subtype, def, behavior }: AlterTableCmd): readonly HazardName[] {
  switch (subtype) {
    case "AT_AddColumn":
      return addColumnHazards(as(def, "ColumnDef") ?? {});
    case "AT_DropColumn":
    case "AT_DropConstraint":
      return on(behavior === "DROP_CASCADE", "cascade");
    case "AT_AlterColumnType":
      return ["changing-column-type"];
    case "AT_SetNotNull":
      return ["requiring-column"];
    case "AT_DropNotNull":
      return ["dropping-not-null"];
    case "AT_AddConstraint":
      return constraintHazards(as(def, "Constraint") ?? {});
    case "AT_AddIdentity":
      return [];
    case "AT_SetTableSpace":
    case "AT_SetAccessMethod":
      return ["moving-table"];
    case "AT_SetLogged":
    case "AT_SetUnLogged":
      return ["switching-logging"];
    case "AT_AttachPartition":
      return ["attaching-partition"];
    case "AT_DetachPartition":
      return on(as(def, "PartitionCmd")?.concurrent !== true, "detaching-partition");
    default:
      return [];
  }
}

function addColumnHazards(column: ColumnDef): readonly HazardName[] {
  const constraints = constraintsOf(column);
  const { name } = typeName(column.typeName);
  const has = (type: Constraint["contype"]): boolean =>
    constraints.some(({ contype }) => contype === type);
  const fill = constraints.find(({ contype }) => contype === "CONSTR_DEFAULT")?.raw_expr;
  const isStored = constraints.some(
    ({ contype, generated_kind: kind }) => contype === "CONSTR_GENERATED" && kind !== "v",
  );
  const fillsItself = SERIAL.has(name) || has("CONSTR_IDENTITY");
  const isRequired = has("CONSTR_NOTNULL") || has("CONSTR_PRIMARY");
  return [
    ...on(fill !== undefined && callsVolatile(fill), "adding-volatile-default"),
    ...on(isStored, "adding-generated-column"),
    ...on(fillsItself, "adding-self-filling-column"),
    ...on(isRequired && fill === undefined && !fillsItself && !isStored, "adding-required-column"),
    ...typeHazards(column),
    ...constraints.flatMap(({ contype }) =>
      contype === "CONSTR_FOREIGN" ? (["adding-foreign-key"] as const) : [],
    ),
    ...on(has("CONSTR_UNIQUE") || has("CONSTR_PRIMARY"), "adding-unique-constraint"),
    ...on(has("CONSTR_CHECK"), "adding-check-constraint"),
  ];
}

function constraintHazards(constraint: Constraint): readonly HazardName[] {
  const checksNow = constraint.skip_validation !== true;
  const buildsIndex = constraint.indexname === undefined;
  switch (constraint.contype) {
    case "CONSTR_CHECK":
      return on(checksNow, "adding-check-constraint");
    case "CONSTR_FOREIGN":
      return on(checksNow, "adding-foreign-key");
    case "CONSTR_NOTNULL":
      return on(checksNow, "requiring-column");
    case "CONSTR_UNIQUE":
    case "CONSTR_PRIMARY":
      return on(buildsIndex, "adding-unique-constraint");
    case "CONSTR_EXCLUSION":
      return ["adding-exclusion-constraint"];
    default:
      return [];
  }
}

function constraintsOf(column: ColumnDef): readonly Constraint[] {
  return (column.constraints ?? []).flatMap((node) => as(node, "Constraint") ?? []);
}

/** Functions of PostgreSQL's that give another value each time; others are not known to be stable either. */
function callsVolatile(node: Node): boolean {
  const call = as(node, "FuncCall");
  if (call !== undefined && isVolatile(qualifiedName(call.funcname))) return true;
  return childrenOf(node).some(callsVolatile);
}
