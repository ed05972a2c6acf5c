import type { Node } from "libpg-query";
import { booleanOf } from "../constants.ts";
import { isCertainlyTemporary, judgeTarget } from "../dml.ts";
import { addDestruction, addEffect, addObject, addRefusal, newJudgement } from "../judgement.ts";
import type { Judgement } from "../judgement.ts";
import type { NodeOf } from "../nodes.ts";
import { kindOf } from "../objects.ts";
import { unsettled } from "../session.ts";
import type { PreparedStatement } from "../session.ts";
import { as, lastOption, relationName, stringOf } from "../tree.ts";
import { noteCreated, walk, walkFields } from "../walk.ts";
import { addRelation } from "./named.ts";
import type { JudgeStatement, StatementTable } from "./statement-table.ts";

/** Bit of DeclareCursorStmt's options (parsenodes.h). */
const CURSOR_OPT_HOLD = 0x0020;

/** Queries and data: what reads rows or changes them, now or when it is executed. */
export const DATA = {
  SelectStmt: (j, s) => {
    judgeQuery(j, { SelectStmt: s });
    walk(j, { SelectStmt: s });
  },
  InsertStmt: (j, s) => {
    walk(j, { InsertStmt: s });
  },
  UpdateStmt: (j, s) => {
    walk(j, { UpdateStmt: s });
  },
  DeleteStmt: (j, s) => {
    walk(j, { DeleteStmt: s });
  },
  MergeStmt: (j, s) => {
    walk(j, { MergeStmt: s });
  },
  CopyStmt: judgeCopy,
  TruncateStmt: (j, s) => {
    addEffect(j, "destructive_ddl", "TRUNCATE removes all rows");
    for (const node of s.relations ?? []) {
      const name = relationName(as(node, "RangeVar"));
      if (!isCertainlyTemporary(j, name)) addDestruction(j, "TRUNCATE removes all rows");
    }
  },
  DeclareCursorStmt: (j, s) => {
    judgeQuery(j, s.query);
    walk(j, s.query);
    const withHold = ((s.options ?? 0) & CURSOR_OPT_HOLD) !== 0;
    j.changes.push({ kind: "declared", name: s.portalname ?? "", withHold });
  },
  FetchStmt: (j) => {
    addEffect(j, "read", "reads from a cursor");
  },
  ClosePortalStmt: (j, s) => {
    addEffect(j, "session", "closes a cursor");
    j.changes.push({ kind: "closed", name: s.portalname });
  },
  PrepareStmt: (j, s, judge) => {
    judgeQuery(j, s.query);
    if (as(s.query, "SelectStmt") === undefined && s.query !== undefined) judge(j, s.query);
    else walk(j, s.query);
    j.changes.push({ kind: "prepared", name: s.name ?? "", statement: whenExecuted(j, s, judge) });
  },
  ExecuteStmt: judgeExecute,
  DeallocateStmt: (j, s) => {
    addEffect(j, "session", "forgets a prepared statement");
    j.changes.push({ kind: "deallocated", name: s.isall === true ? undefined : s.name });
  },
  ExplainStmt: judgeExplain,
  CreateTableAsStmt: judgeCreateTableAs,
  RefreshMatViewStmt: (j, s) => {
    addEffect(j, "write", "refills a materialized view");
    addRelation(j, "materialized view", s.relation);
  },
  LockStmt: (j) => {
    addEffect(j, "transaction", "holds a table lock until the transaction ends");
  },
} satisfies Partial<StatementTable>;

/** A query that stands for a whole statement: its rows go to the client. */
function judgeQuery(j: Judgement, query: Node | undefined): void {
  const select = as(query, "SelectStmt");
  if (select !== undefined && !writesInto(select)) addEffect(j, "read", "a query yields rows");
}

function writesInto(select: NodeOf<"SelectStmt">): boolean {
  if (select.intoClause !== undefined) return true;
  return select.larg !== undefined && writesInto(select.larg);
}

/** A temporary table that it names may be gone when it is executed, and then the name is a permanent one's. */
function whenExecuted(
  j: Judgement,
  { query }: NodeOf<"PrepareStmt">,
  judge: JudgeStatement,
): PreparedStatement {
  if (!j.dependsOnSession || query === undefined) {
    return { destructive: j.destructive, mustRefuse: j.mustRefuse };
  }
  const { session } = j.surroundings;
  const later = newJudgement({ ...j.surroundings, session: unsettled(session) });
  judge(later, query);
  return { destructive: later.destructive, mustRefuse: later.mustRefuse };
}

function judgeCopy(j: Judgement, s: NodeOf<"CopyStmt">): void {
  const name = s.filename === undefined ? undefined : s.is_program === true ? "program" : "file";
  if (s.is_from === true) {
    addEffect(j, "write", "COPY adds rows", s.relation?.location);
    judgeTarget(j, s.relation);
    if (name === undefined) addEffect(j, "copy_in", "the client streams rows in");
  } else {
    if (s.query === undefined) addEffect(j, "read", "COPY reads a table", s.relation?.location);
    else judgeQuery(j, s.query);
    if (name === undefined) addEffect(j, "copy_out", "the server streams rows out");
    if (name === "file") addDestruction(j, "overwrites a file of the server");
  }
  if (name === "file") addEffect(j, "file_access", "COPY opens a file of the server");
  if (name === "program") {
    addEffect(j, "program_execution", "COPY runs a program on the server");
    addDestruction(j, "nothing bounds what a program on the server does");
  }
}

function judgeExecute(j: Judgement, s: NodeOf<"ExecuteStmt">): void {
  j.dependsOnSession = true;
  j.runsUserCode = true;
  addEffect(j, "opaque", "EXECUTE runs what was prepared earlier");
  const prepared = j.surroundings.session.prepared.get(s.name ?? "");
  if (prepared?.destructive === true)
    addDestruction(j, "what was prepared under this name destroys");
  if (prepared?.mustRefuse === true) {
    addRefusal(j, "what was prepared under this name changes how the server reads text");
  }
}

/** With ANALYZE in force (the last value wins) the statement runs; without, only planning may run user code. */
function judgeExplain(j: Judgement, s: NodeOf<"ExplainStmt">, judge: JudgeStatement): void {
  addEffect(j, "read", "EXPLAIN shows a plan");
  if (s.query === undefined) return;
  const analyze = lastOption(s.options, "analyze");
  if (analyze !== undefined && isOn(analyze.arg)) {
    if (as(s.query, "SelectStmt") === undefined) judge(j, s.query);
    else walk(j, s.query);
    return;
  }
  const planned = newJudgement(j.surroundings);
  judge(planned, s.query);
  for (const object of planned.objects.values()) addObject(j, object);
  j.hasParameters = planned.hasParameters;
  j.dependsOnSession = planned.dependsOnSession;
  const execute = as(s.query, "ExecuteStmt");
  if (execute !== undefined) walkFields(j, "ExecuteStmt", execute); // its arguments are evaluated even so
  if (planned.runsUserCode) addEffect(j, "opaque", "planning may run user functions");
}

function isOn(arg: Node | undefined): boolean {
  if (arg === undefined) return true;
  const number = as(arg, "Integer");
  if (number !== undefined) return number.ival !== undefined && number.ival !== 0;
  const word = stringOf(arg) ?? as(arg, "Float")?.fval;
  // What the server would refuse counts as on.
  return word === undefined || booleanOf(word) !== false;
}

function judgeCreateTableAs(j: Judgement, s: NodeOf<"CreateTableAsStmt">): void {
  const kind = kindOf(s.objtype);
  const { into } = s;
  addEffect(j, "ddl", `creates a ${kind}`);
  addRelation(j, kind, into?.rel);
  if (into?.rel !== undefined) noteCreated(j, into.rel, { onCommit: into.onCommit });
  const execute = as(s.query, "ExecuteStmt");
  if (into?.skipData === true && execute === undefined) return; // the query is not even planned
  if (into?.skipData !== true) addEffect(j, "write", `fills a ${kind}`);
  if (execute !== undefined) judgeExecute(j, execute);
  walk(j, s.query);
}
