import type { Node } from "libpg-query";
import { judgeAlterTable } from "../alter-table.ts";
import { isCertainlyTemporary } from "../dml.ts";
import { addEffect, addObject } from "../judgement.ts";
import type { Judgement } from "../judgement.ts";
import type { NodeOf } from "../nodes.ts";
import { as, qualified, relationName, stringsOf } from "../tree.ts";
import { noteCreated } from "../walk.ts";
import { addRelation, alters, bare, creates } from "./named.ts";
import type { StatementTable } from "./statement-table.ts";

/** Tables and what is made like them: views, indexes, sequences, schemas. */
export const RELATIONS = {
  CreateStmt: (j, s) => {
    addEffect(j, "ddl", "creates a table");
    addRelation(j, "table", s.relation);
    if (s.relation !== undefined) noteCreated(j, s.relation, { onCommit: s.oncommit });
  },
  CreateForeignTableStmt: (j, s) => {
    addEffect(j, "ddl", "creates a foreign table");
    addRelation(j, "foreign table", s.base?.relation);
    judgeFileOptions(j, s.options);
  },
  AlterTableStmt: (j, s) => {
    judgeAlterTable(j, s);
    for (const cmd of s.cmds ?? []) {
      const command = as(cmd, "AlterTableCmd");
      if (command?.subtype === "AT_GenericOptions") {
        judgeFileOptions(j, as(command.def, "List")?.items);
      }
    }
  },
  AlterTableMoveAllStmt: (j, s) => {
    alters(j, "tablespace", bare(s.orig_tablespacename));
  },
  ViewStmt: (j, s) => {
    addEffect(j, "ddl", "creates a view");
    addRelation(j, "view", s.view);
    if (s.view !== undefined) noteCreated(j, s.view, { isView: true });
  },
  IndexStmt: (j, s) => {
    addEffect(j, "ddl", "creates an index");
    addObject(j, { kind: "index", schema: s.relation?.schemaname, name: s.idxname ?? "" });
    noteIndex(j, s);
  },
  CreateSeqStmt: (j, s) => {
    addEffect(j, "ddl", "creates a sequence");
    addRelation(j, "sequence", s.sequence);
    if (s.sequence !== undefined) noteCreated(j, s.sequence, {});
  },
  AlterSeqStmt: (j, s) => {
    addEffect(j, "ddl", "alters a sequence");
    addRelation(j, "sequence", s.sequence);
  },
  CreateStatsStmt: (j, s) => {
    creates(j, "statistics", qualified(stringsOf(s.defnames)));
  },
  AlterStatsStmt: (j, s) => {
    alters(j, "statistics", qualified(stringsOf(s.defnames)));
  },
  CreateSchemaStmt: (j, s, judge) => {
    creates(j, "schema", bare(s.schemaname ?? s.authrole?.rolename));
    for (const element of s.schemaElts ?? []) judge(j, element);
  },
  ReplicaIdentityStmt: (j) => {
    addEffect(j, "ddl", "sets what identifies a replicated row");
  },
} satisfies Partial<StatementTable>;

/** file_fdw's options: its tables read a file of the server, or a program's output. */
function judgeFileOptions(j: Judgement, options: readonly Node[] | undefined): void {
  for (const option of options ?? []) {
    const { defname, defaction } = as(option, "DefElem") ?? {};
    if (defaction === "DEFELEM_DROP") continue;
    if (defname === "filename") addEffect(j, "file_access", "the table reads a file of the server");
    if (defname === "program") {
      addEffect(j, "program_execution", "the table runs a program on the server");
    }
  }
}

/** An index of a temporary table lives and goes with it. */
function noteIndex(j: Judgement, s: NodeOf<"IndexStmt">): void {
  const name = s.idxname;
  if (name === undefined || !isCertainlyTemporary(j, relationName(s.relation))) return;
  j.changes.push({ kind: "created_temporary", name, relation: "stays" });
}
