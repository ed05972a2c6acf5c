import type { Node } from "libpg-query";
import { addDestruction, addEffect } from "../judgement.ts";
import type { Judgement } from "../judgement.ts";
import { entryOf } from "../tree.ts";
import { walkFields } from "../walk.ts";
import { ANY_OBJECT } from "./any-object.ts";
import { CONNECTION } from "./connection.ts";
import { DATA } from "./data.ts";
import { DEFINITIONS } from "./definitions.ts";
import { PRIVILEGES } from "./privileges.ts";
import { RELATIONS } from "./relations.ts";
import { ROUTINES } from "./routines.ts";
import { SERVER } from "./server.ts";
import type { JudgeStatement, StatementName, StatementTable } from "./statement-table.ts";

/** Judges one statement: its own effects, then whatever runs inside it. */
export function judgeStatement(j: Judgement, statement: Node): void {
  const [name, fields] = entryOf(statement) ?? ["", {}];
  const judge = isStatementName(name)
    ? (STATEMENTS[name] as (...args: [Judgement, never, JudgeStatement]) => void)
    : undefined;
  if (judge === undefined) {
    addEffect(j, "opaque", `${name} is a statement whose meaning is not known here`);
    return;
  }
  judge(j, fields as never, judgeStatement);
  if (!WALKS_ITSELF.has(name as StatementName)) walkFields(j, name, fields);
  if (j.unlinksMany && j.readsAllLargeObjects) {
    addDestruction(j, "lo_unlink is called for every large object");
  }
  // MERGE with nothing but DO NOTHING: it has looked at rows.
  if (j.effects.size === 0) addEffect(j, "read", "the statement changes nothing");
}

function isStatementName(name: string): name is StatementName {
  return Object.hasOwn(STATEMENTS, name);
}

/** What runs inside them is judged by their own rule, because not all of it runs, or not now. */
const WALKS_ITSELF = new Set<StatementName>([
  "CreateFunctionStmt",
  "CreateSchemaStmt",
  "CreateTableAsStmt",
  "DeclareCursorStmt",
  "DeleteStmt",
  "DoStmt",
  "ExplainStmt",
  "InsertStmt",
  "MergeStmt",
  "PrepareStmt",
  "RuleStmt",
  "SelectStmt",
  "UpdateStmt",
  "ViewStmt",
]);

function unexpected(j: Judgement): void {
  addEffect(j, "opaque", "this is not a statement that a client can send");
}

/** INVARIANT: complete; a statement that libpg_query gains does not compile until it stands in one of these. */
const STATEMENTS: StatementTable = {
  ...ANY_OBJECT,
  ...CONNECTION,
  ...DATA,
  ...DEFINITIONS,
  ...PRIVILEGES,
  ...RELATIONS,
  ...ROUTINES,
  ...SERVER,
  // Never a statement of its own.
  RawStmt: unexpected,
  SetOperationStmt: unexpected,
  ReturnStmt: unexpected,
  PLAssignStmt: unexpected,
};
