import type { ObjectType } from "libpg-query";
import { isCertainlyTemporary } from "../dml.ts";
import { addDestruction, addEffect, addObject } from "../judgement.ts";
import type { Judgement } from "../judgement.ts";
import type { NodeOf } from "../nodes.ts";
import { droppedObjects, kindOf, objectOf } from "../objects.ts";
import { bare, clusterWide, noteNamed, noteRoles } from "./named.ts";
import type { StatementTable } from "./statement-table.ts";

/** What can be done to objects of many kinds: comment on, rename, move, drop. */
export const ANY_OBJECT = {
  CommentStmt: (j, s) => {
    addEffect(j, "ddl", "sets a comment");
    addObject(j, objectOf(s.objtype, s.object));
  },
  RenameStmt: judgeRename,
  AlterObjectSchemaStmt: (j, s) => {
    addEffect(j, "ddl", "moves an object to another schema");
    noteNamed(j, s.objectType, s.relation, s.object);
  },
  AlterObjectDependsStmt: (j, s) => {
    addEffect(j, "ddl", "sets what an object depends on");
    noteNamed(j, s.objectType, s.relation, s.object);
  },

  DropStmt: judgeDrop,
  DropOwnedStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops every object of a role");
    addEffect(j, "privilege", "revokes every grant of a role");
    addDestruction(j, "drops every object of a role");
    noteRoles(j, s.roles);
    j.changes.push({ kind: "temporary_in_doubt" });
  },
  DropdbStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a database");
    addDestruction(j, "drops a database");
    clusterWide(j, "database", s.dbname);
  },
  DropTableSpaceStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a tablespace");
    addDestruction(j, "drops a tablespace");
    clusterWide(j, "tablespace", s.tablespacename);
  },
  DropRoleStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a role");
    addEffect(j, "privilege", "drops a role");
    addDestruction(j, "drops a role and its password");
    noteRoles(j, s.roles);
  },
  DropUserMappingStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a user mapping");
    addDestruction(j, "drops a user mapping");
    addObject(j, { kind: "user mapping", schema: undefined, name: s.servername ?? "" });
  },
  DropSubscriptionStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "drops a subscription");
    addEffect(j, "replication", "drops a subscription and its slot at the publisher");
    addDestruction(j, "drops a subscription");
    addObject(j, { kind: "subscription", ...bare(s.subname) });
  },
} satisfies Partial<StatementTable>;

function judgeRename(j: Judgement, s: NodeOf<"RenameStmt">): void {
  if (s.renameType === "OBJECT_ROLE") {
    addEffect(j, "privilege", "renames a role");
    clusterWide(j, "role", s.subname);
    return;
  }
  addEffect(j, "ddl", "renames an object");
  if (s.renameType === "OBJECT_POLICY") addEffect(j, "privilege", "renames a row security policy");
  if (s.renameType === "OBJECT_PUBLICATION" || s.renameType === "OBJECT_SUBSCRIPTION") {
    addEffect(j, "replication", "renames a publication or subscription");
  }
  if (s.renameType === "OBJECT_DATABASE") {
    clusterWide(j, "database", s.subname);
  } else {
    noteNamed(j, s.renameType, s.relation, s.object);
  }
  const isRelation = s.renameType !== "OBJECT_COLUMN" && s.renameType !== "OBJECT_TABCONSTRAINT";
  if (isRelation && s.relation !== undefined) {
    j.changes.push({ kind: "renamed", from: s.relation.relname ?? "", to: s.newname ?? "" });
  }
}

function judgeDrop(j: Judgement, s: NodeOf<"DropStmt">): void {
  const kind = kindOf(s.removeType);
  addEffect(j, "destructive_ddl", `drops a ${kind}`);
  if (s.removeType === "OBJECT_POLICY") addEffect(j, "privilege", "drops a row security policy");
  if (s.removeType === "OBJECT_PUBLICATION") addEffect(j, "replication", "drops a publication");
  const dropped = droppedObjects(s);
  const areRelations = s.removeType !== undefined && RELATIONS.has(s.removeType);
  for (const { object, holder } of dropped) {
    addObject(j, object);
    const named = areRelations || holder.kind === "table";
    const isTemporary = named ? isCertainlyTemporary(j, holder) : holder.schema === "pg_temp";
    if (!isTemporary) addDestruction(j, `drops a ${kind}`);
  }
  if (areRelations) {
    j.changes.push({ kind: "dropped", names: dropped.map(({ object }) => object.name) });
  }
}

/** Kinds whose names are looked up among a session's temporary relations first. */
const RELATIONS = new Set<ObjectType>([
  "OBJECT_FOREIGN_TABLE",
  "OBJECT_INDEX",
  "OBJECT_MATVIEW",
  "OBJECT_SEQUENCE",
  "OBJECT_TABLE",
  "OBJECT_VIEW",
]);
