import type { AlterTableCmd, AlterTableStmt, AlterTableType } from "libpg-query";
import type { Effect } from "./classification.ts";
import { isCertainlyTemporary } from "./dml.ts";
import { addDestruction, addEffect, addObject } from "./judgement.ts";
import type { Judgement } from "./judgement.ts";
import { kindOf } from "./objects.ts";
import { as, relationName } from "./tree.ts";

type AlterEffect = Extract<Effect, "ddl" | "destructive_ddl" | "privilege">;

/** What each sub-command does. A sub-command that libpg_query gains does not compile until it stands here. */
const SUBCOMMANDS: Readonly<Record<AlterTableType, AlterEffect>> = {
  AT_AddColumn: "ddl",
  AT_AddColumnToView: "ddl",
  AT_ColumnDefault: "ddl",
  AT_CookedColumnDefault: "ddl",
  AT_DropNotNull: "ddl",
  AT_SetNotNull: "ddl",
  AT_SetExpression: "ddl",
  AT_DropExpression: "ddl",
  AT_SetStatistics: "ddl",
  AT_SetOptions: "ddl",
  AT_ResetOptions: "ddl",
  AT_SetStorage: "ddl",
  AT_SetCompression: "ddl",
  AT_DropColumn: "destructive_ddl",
  AT_AddIndex: "ddl",
  AT_ReAddIndex: "ddl",
  AT_AddConstraint: "ddl",
  AT_ReAddConstraint: "ddl",
  AT_ReAddDomainConstraint: "ddl",
  AT_AlterConstraint: "ddl",
  AT_ValidateConstraint: "ddl",
  AT_AddIndexConstraint: "ddl",
  AT_DropConstraint: "destructive_ddl",
  AT_ReAddComment: "ddl",
  AT_AlterColumnType: "destructive_ddl",
  AT_AlterColumnGenericOptions: "ddl",
  AT_ChangeOwner: "privilege",
  AT_ClusterOn: "ddl",
  AT_DropCluster: "ddl",
  AT_SetLogged: "ddl",
  AT_SetUnLogged: "ddl",
  AT_DropOids: "ddl",
  AT_SetAccessMethod: "ddl",
  AT_SetTableSpace: "ddl",
  AT_SetRelOptions: "ddl",
  AT_ResetRelOptions: "ddl",
  AT_ReplaceRelOptions: "ddl",
  AT_EnableTrig: "ddl",
  AT_EnableAlwaysTrig: "ddl",
  AT_EnableReplicaTrig: "ddl",
  AT_DisableTrig: "ddl",
  AT_EnableTrigAll: "ddl",
  AT_DisableTrigAll: "ddl",
  AT_EnableTrigUser: "ddl",
  AT_DisableTrigUser: "ddl",
  AT_EnableRule: "ddl",
  AT_EnableAlwaysRule: "ddl",
  AT_EnableReplicaRule: "ddl",
  AT_DisableRule: "ddl",
  AT_AddInherit: "ddl",
  AT_DropInherit: "ddl",
  AT_AddOf: "ddl",
  AT_DropOf: "ddl",
  AT_ReplicaIdentity: "ddl",
  AT_EnableRowSecurity: "privilege",
  AT_DisableRowSecurity: "privilege",
  AT_ForceRowSecurity: "privilege",
  AT_NoForceRowSecurity: "privilege",
  AT_GenericOptions: "ddl",
  AT_AttachPartition: "ddl",
  AT_DetachPartition: "ddl",
  AT_DetachPartitionFinalize: "ddl",
  AT_AddIdentity: "ddl",
  AT_SetIdentity: "ddl",
  AT_DropIdentity: "ddl",
  AT_ReAddStatistics: "ddl",
};

/** ALTER TABLE, and what shares its grammar: indexes, views, sequences, foreign tables, composite types. */
export function judgeAlterTable(j: Judgement, { relation, objtype, cmds }: AlterTableStmt): void {
  const name = relationName(relation);
  addObject(j, { kind: kindOf(objtype), ...name });
  const isTemporary =
    objtype === "OBJECT_TYPE" ? name.schema === "pg_temp" : isCertainlyTemporary(j, name);
  for (const node of cmds ?? []) {
    const cmd = as(node, "AlterTableCmd") ?? {};
    const { subtype = "AT_DropColumn" } = cmd;
    const effect = SUBCOMMANDS[subtype];
    addEffect(j, effect, because(subtype, cmd), relation?.location);
    if (effect === "destructive_ddl" && !isTemporary) {
      addDestruction(j, because(subtype, cmd), relation?.location);
    }
  }
}

function because(subtype: AlterTableType, { name }: AlterTableCmd): string {
  const shown = name === undefined ? "" : ` ${name}`;
  switch (subtype) {
    case "AT_DropColumn":
      return `drops the column${shown} and its values`;
    case "AT_DropConstraint":
      return `drops the constraint${shown}`;
    case "AT_AlterColumnType":
      return `changes the type of${shown}, which rewrites the stored values`;
    case "AT_ChangeOwner":
      return "changes the owner";
    case "AT_EnableRowSecurity":
    case "AT_DisableRowSecurity":
    case "AT_ForceRowSecurity":
    case "AT_NoForceRowSecurity":
      return "switches row security";
    default:
      return "alters the table without removing anything";
  }
}
