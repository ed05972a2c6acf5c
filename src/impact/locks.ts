import type { StatementClassification } from "../sql/classification.ts";
import type { LockMode } from "./impact.ts";

/** What each mode conflicts with (PostgreSQL docs, "Conflicting Lock Modes"). */
export const CONFLICTS: Readonly<Record<LockMode, readonly string[]>> = {
  AccessShareLock: ["AccessExclusiveLock"],
  RowExclusiveLock: ["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"],
  ShareUpdateExclusiveLock: [
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
  ],
  ShareLock: [
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
  ],
  ShareRowExclusiveLock: [
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
  ],
  AccessExclusiveLock: [
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
  ],
};

/**
 * The strongest lock that a statement takes on the tables that it names, at most: some forms of ALTER TABLE do with
 * less. `undefined` for what locks no table.
 */
export function lockModeOf({
  node,
  effects,
  warnings,
}: Pick<StatementClassification, "node" | "effects" | "warnings">): LockMode | undefined {
  const warns = (name: string): boolean => warnings.some((warning) => warning.name === name);
  switch (node) {
    case "SelectStmt":
      return effects.some((effect) => effect === "write" || effect === "delete")
        ? "RowExclusiveLock"
        : "AccessShareLock";
    case "InsertStmt":
    case "UpdateStmt":
    case "DeleteStmt":
    case "MergeStmt":
      return "RowExclusiveLock";
    case "CopyStmt":
      return effects.includes("copy_in") ? "RowExclusiveLock" : "AccessShareLock";
    case "IndexStmt":
      return warns("creating-index") ? "ShareLock" : "ShareUpdateExclusiveLock";
    case "CreateTrigStmt":
      return "ShareRowExclusiveLock";
    case "VacuumStmt":
      return warns("vacuum-full") ? "AccessExclusiveLock" : "ShareUpdateExclusiveLock";
    case "AlterTableStmt":
    case "AlterObjectSchemaStmt":
    case "AlterOwnerStmt":
    case "ClusterStmt":
    case "DropStmt":
    case "LockStmt":
    case "RefreshMatViewStmt":
    case "ReindexStmt":
    case "RenameStmt":
    case "RuleStmt":
    case "TruncateStmt":
      return "AccessExclusiveLock";
    default:
      return undefined;
  }
}
