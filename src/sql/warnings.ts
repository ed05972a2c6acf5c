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
import { entryOf } from "./tree.ts";
import { as, childrenOf, lastOption, qualifiedName, stringOf, typeName } from "./tree.ts";

/**
 * Hazards of migrations: statements that lose nothing and yet stop an application, by a long lock, a rewrite, or a
 * name that is gone. The set follows what Squawk's rules and strong_migrations' checks document; the words are ours.
 */
const HAZARDS = {
  "adding-check-constraint": {
    why: "every row is checked while reads and writes wait",
    safer: "add it NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
  },
  "adding-exclusion-constraint": {
    why: "its index is built while reads and writes wait",
    safer: "there is no way around it; do it in a maintenance window, or on a small table",
  },
  "adding-foreign-key": {
    why: "every row is checked while writes to both tables wait",
    safer: "add it NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
  },
  "adding-generated-column": {
    why: "a stored generated column rewrites the table while reads and writes wait",
    safer: "add a plain column, fill it in batches, keep it by a trigger",
  },
  "adding-json-column": {
    why: "json has no equality, so SELECT DISTINCT, UNION and GROUP BY over its rows fail",
    safer: "use jsonb",
  },
  "adding-required-column": {
    why: "it fails where the table has rows, and old application code does not fill it",
    safer: "add it nullable or with a constant default, fill it, then require it",
  },
  "adding-self-filling-column": {
    why: "serial and identity fill every row, which rewrites the table while reads and writes wait",
    safer: "add a plain column, fill it in batches, then attach a sequence",
  },
  "adding-unique-constraint": {
    why: "its index is built while reads and writes wait",
    safer: "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX",
  },
  "adding-volatile-default": {
    why: "the default differs for each row, so the table is rewritten while reads and writes wait",
    safer: "add the column without it, set the default, fill old rows in batches",
  },
  "attaching-partition": {
    why: "the partition is scanned for its bounds while it is locked",
    safer: "give it a validated CHECK constraint of the same bounds first",
  },
  cascade: {
    why: "CASCADE takes along whatever depends on it, none of which is named here",
    safer: "name what is to go",
  },
  "changing-column-type": {
    why: "the table and its indexes are rewritten while reads and writes wait",
    safer: "add a new column, write to both, fill it in batches, then switch over",
  },
  "cluster-table": {
    why: "the table is rewritten while reads and writes wait",
    safer: "use pg_repack, or a maintenance window",
  },
  "creating-index": {
    why: "writes to the table wait until the index is built",
    safer: "CREATE INDEX CONCURRENTLY, outside a transaction",
  },
  "detaching-partition": {
    why: "the whole partitioned table is locked while the partition is detached",
    safer: "DETACH PARTITION … CONCURRENTLY (PostgreSQL 14 and later)",
  },
  "dropping-index": {
    why: "reads and writes wait for the lock, and it for every query that runs",
    safer: "DROP INDEX CONCURRENTLY, outside a transaction",
  },
  "dropping-not-null": {
    why: "clients that never met a null in the column will",
    safer: "make sure that they can first",
  },
  "integer-primary-key": {
    why: "a 32-bit key ends at 2,147,483,647 rows, and widening it rewrites the table",
    safer: "use bigint",
  },
  "locking-table": {
    why: "everything else on the table waits until the transaction ends",
    safer: "lock rows, or set lock_timeout and keep the transaction short",
  },
  "moving-table": {
    why: "the table is copied while reads and writes wait",
    safer: "do it in a maintenance window, or create a new table there and switch over",
  },
  "refreshing-materialized-view": {
    why: "reads of the view wait until it is filled",
    safer: "REFRESH MATERIALIZED VIEW CONCURRENTLY, with a unique index on it",
  },
  reindexing: {
    why: "writes, and reads that use the index, wait until it is rebuilt",
    safer: "REINDEX … CONCURRENTLY (PostgreSQL 12 and later)",
  },
  "renaming-column": {
    why: "running application code still uses the old name",
    safer: "add a column of the new name, write to both, then drop the old one",
  },
  "renaming-table": {
    why: "running application code still uses the old name",
    safer: "leave a view under the old name",
  },
  "requiring-column": {
    why: "every row is checked while reads and writes wait",
    safer:
      "add CHECK (… IS NOT NULL) NOT VALID and validate it first: SET NOT NULL then needs no scan",
  },
  "switching-logging": {
    why: "the table is rewritten, and while unlogged it is empty after a crash and on standbys",
    safer: "keep tables logged; use temporary ones for scratch data",
  },
  "vacuum-full": {
    why: "the table is rewritten while reads and writes wait",
    safer: "plain VACUUM, or pg_repack",
  },
  "wide-index": {
    why: "an index of more than three columns rarely helps more than it costs each write",
    safer: "put the columns that queries filter by first, and drop the rest",
  },
} as const satisfies Readonly<Record<string, Omit<Warning, "name">>>;

export type HazardName = keyof typeof HAZARDS;

export const HAZARD_NAMES = Object.keys(HAZARDS) as readonly HazardName[];

/** @param isNew - the table was created just before, so there is nothing in it that could take long */
export function warningsOf(
  statement: Node,
  isNew: (table: string | undefined) => boolean,
): readonly Warning[] {
  const names = new Set(hazardsOf(statement, isNew));
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
      ...on(name === "json", "adding-json-column"),
    ];
  });
}

const NARROW = new Set(["int2", "int4", "serial", "serial4", "smallserial", "serial2"]);
const SELF_FILLING = new Set([
  "serial",
  "serial2",
  "serial4",
  "serial8",
  "bigserial",
  "smallserial",
]);

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
  const fillsItself = SELF_FILLING.has(name) || has("CONSTR_IDENTITY");
  const isRequired = has("CONSTR_NOTNULL") || has("CONSTR_PRIMARY");
  return [
    ...on(fill !== undefined && callsVolatile(fill), "adding-volatile-default"),
    ...on(isStored, "adding-generated-column"),
    ...on(fillsItself, "adding-self-filling-column"),
    ...on(isRequired && fill === undefined && !fillsItself && !isStored, "adding-required-column"),
    ...on(name === "json", "adding-json-column"),
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
