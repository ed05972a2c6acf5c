import type {
  DeleteStmt,
  InsertStmt,
  MergeStmt,
  MergeWhenClause,
  Node,
  RangeVar,
  SelectStmt,
  UpdateStmt,
} from "libpg-query";
import { isUnfiltered } from "./filter/unfiltered.ts";
import { addDestruction, addEffect, addObject } from "./judgement.ts";
import type { Judgement } from "./judgement.ts";
import { mistrusting, targetScope, withCtes } from "./scope.ts";
import type { Scope } from "./scope.ts";
import { isTemporary, isTemporaryView } from "./session.ts";
import { judgeSettingsUpdate, refuseStoredSettings } from "./settings.ts";
import { as, relationName } from "./tree.ts";

type Ctes = ReadonlyMap<string, SelectStmt>;

export function judgeInsert(j: Judgement, statement: InsertStmt): void {
  const { relation } = statement;
  addEffect(j, "write", "inserts rows", relation?.location);
  judgeTarget(j, relation);
  if (storesSettings(relation)) refuseStoredSettings(j, { InsertStmt: statement });
}

export function judgeUpdate(j: Judgement, update: UpdateStmt, outer: Ctes): void {
  const trusts = j.surroundings.session.believesNames;
  const { relation, whereClause: where, fromClause: from, targetList: assigned = [] } = update;
  addEffect(j, "write", "updates rows", relation?.location);
  judgeTarget(j, relation);
  if (isCatalog(relation, "pg_settings")) {
    judgeSettingsUpdate(j, { assigned, where });
    return;
  }
  if (storesSettings(relation)) refuseStoredSettings(j, { UpdateStmt: update });
  const ctes = withCtes(outer, update.withClause);
  judgeReach(
    j,
    "update",
    relation,
    where,
    targetScope({ table: relation, from, ctes, where, trusts }),
  );
}

export function judgeDelete(j: Judgement, statement: DeleteStmt, outer: Ctes): void {
  const trusts = j.surroundings.session.believesNames;
  const { relation, whereClause: where, usingClause: from } = statement;
  addEffect(j, "delete", "deletes rows", relation?.location);
  judgeTarget(j, relation);
  if (isObjectCatalog(relation)) {
    addDestruction(j, "what is deleted from a system catalog is dropped", relation?.location);
  }
  const ctes = withCtes(outer, statement.withClause);
  judgeReach(
    j,
    "delete",
    relation,
    where,
    targetScope({ table: relation, from, ctes, where, trusts }),
  );
}

/** ON is the filter of the matched arms; rows that the source doesn't match are filtered by their own condition only. */
export function judgeMerge(j: Judgement, merge: MergeStmt, outer: Ctes): void {
  const trusts = j.surroundings.session.believesNames;
  const { relation, joinCondition, mergeWhenClauses = [] } = merge;
  judgeTarget(j, relation);
  const from = merge.sourceRelation === undefined ? [] : [merge.sourceRelation];
  const ctes = withCtes(outer, merge.withClause);
  for (const node of mergeWhenClauses) {
    const arm = as(node, "MergeWhenClause") ?? {};
    const on = arm.matchKind === "MERGE_WHEN_NOT_MATCHED_BY_SOURCE" ? undefined : joinCondition;
    const where = both(on, arm.condition);
    judgeArm(j, arm, relation, where, targetScope({ table: relation, from, ctes, where, trusts }));
  }
}

function judgeArm(
  j: Judgement,
  arm: MergeWhenClause,
  relation: RangeVar | undefined,
  where: Node | undefined,
  scope: Scope,
): void {
  switch (arm.commandType) {
    case "CMD_INSERT":
      addEffect(j, "write", "merges rows in", relation?.location);
      return;
    case "CMD_UPDATE":
      addEffect(j, "write", "updates rows by a merge", relation?.location);
      {
        judgeReach(j, "update", relation, where, scope);
        return;
      }
    case "CMD_DELETE":
      addEffect(j, "delete", "deletes rows by a merge", relation?.location);
      {
        judgeReach(j, "delete", relation, where, scope);
        return;
      }
    default:
      return; // DO NOTHING
  }
}

function both(left: Node | undefined, right: Node | undefined): Node | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return { BoolExpr: { boolop: "AND_EXPR", args: [left, right] } };
}

/** True for a table that is certainly this session's temporary one: nothing permanent is lost with it. */
export function isCertainlyTemporary(
  j: Judgement,
  name: { schema: string | undefined; name: string },
): boolean {
  if (name.schema === "pg_temp") return true;
  if (name.schema !== undefined) return false;
  j.dependsOnSession = true;
  return isTemporary(j.surroundings.session, name.name);
}

/** A temporary view has its rows in another table: `pg_temp` alone says nothing of whose they are. */
function isOwnRows(j: Judgement, name: { schema: string | undefined; name: string }): boolean {
  if (name.schema === "pg_temp") j.dependsOnSession = true;
  const { session } = j.surroundings;
  if (name.schema === "pg_temp" && !session.believesNames) return false;
  if (isTemporaryView(session, name.name)) return false;
  return isCertainlyTemporary(j, name);
}

function judgeReach(
  j: Judgement,
  verb: "delete" | "update",
  relation: RangeVar | undefined,
  where: Node | undefined,
  scope: Scope,
): void {
  const isFiltered = !isUnfiltered(where, scope);
  // What is judged by what only a text read for its own sake may trust holds for no running session.
  if (isFiltered && scope.trusts && isUnfiltered(where, mistrusting(scope)))
    j.dependsOnSession = true;
  if (isFiltered || isOwnRows(j, relationName(relation))) return;
  const reach = where === undefined ? "has no filter" : "has a filter that picks no rows";
  addDestruction(j, `the ${verb} ${reach}, so it reaches every row`, relation?.location);
}

/** What writing to a table means beyond its rows: some catalogs say who may do what. */
export function judgeTarget(j: Judgement, relation: RangeVar | undefined): void {
  addObject(j, { kind: "table", ...relationName(relation) });
  if (isCatalog(relation, "pg_authid") || isCatalog(relation, "pg_auth_members")) {
    addEffect(j, "privilege", "the catalog says who may do what", relation?.location);
  }
  if (SHARED_CATALOGS.some((name) => isCatalog(relation, name))) j.reach = "cluster";
}

/** One for all databases of a server. */
const SHARED_CATALOGS = [
  "pg_auth_members",
  "pg_authid",
  "pg_database",
  "pg_db_role_setting",
  "pg_parameter_acl",
  "pg_replication_origin",
  "pg_shdepend",
  "pg_shdescription",
  "pg_shseclabel",
  "pg_subscription",
  "pg_tablespace",
];

/** Rows of system catalogs are objects; but for large objects, whose rows are contents, and for who may do what. */
function isObjectCatalog(relation: RangeVar | undefined): boolean {
  const { schema, name } = relationName(relation);
  if (schema !== undefined && schema !== "pg_catalog") return false;
  return name.startsWith("pg_") && !/^pg_(largeobject|auth)/.test(name);
}

function storesSettings(relation: RangeVar | undefined): boolean {
  return isCatalog(relation, "pg_db_role_setting") || isCatalog(relation, "pg_proc");
}

function isCatalog(relation: RangeVar | undefined, name: string): boolean {
  const { schema, name: written } = relationName(relation);
  return written === name && (schema === undefined || schema === "pg_catalog");
}
