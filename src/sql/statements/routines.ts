import type { Node } from "libpg-query";
import { bodyOf, doBody, judgeCode, languageOf } from "../code.ts";
import { addDestruction, addEffect, addObject, addRefusal, newJudgement } from "../judgement.ts";
import type { Judgement } from "../judgement.ts";
import type { NodeOf } from "../nodes.ts";
import { kindOf } from "../objects.ts";
import { unsettled } from "../session.ts";
import type { PreparedStatement } from "../session.ts";
import { refuseUnsafeSetting } from "../settings.ts";
import { as, lastOption, qualified, stringsOf } from "../tree.ts";
import { walk } from "../walk.ts";
import { alters, bare, installs } from "./named.ts";
import type { JudgeStatement, StatementTable } from "./statement-table.ts";

/** Code: what runs it, and what installs it to be run later. */
export const ROUTINES = {
  DoStmt: (j, s) => {
    addEffect(j, "opaque", "DO runs code");
    j.runsText = true;
    const body = doBody(s);
    if (body !== undefined) judgeCode(j, body);
  },
  CallStmt: (j, s) => {
    j.runsUserCode = true;
    addObject(j, { kind: "procedure", ...qualified(stringsOf(s.funccall?.funcname)) });
    addEffect(j, "opaque", "CALL runs a procedure");
  },
  CreateFunctionStmt: (j, s, judge) => {
    const kind = s.is_procedure === true ? "procedure" : "function";
    addObject(j, { kind, ...qualified(stringsOf(s.funcname)) });
    addEffect(j, "ddl", `creates a ${kind}`);
    addEffect(j, "opaque", `installs a ${kind}, which may do anything when it is called`);
    judgeFunctionOptions(j, s.options);
    const called = whenCalled(j, s, judge);
    if (called.destructive || called.mustRefuse) {
      const { name } = qualified(stringsOf(s.funcname));
      j.changes.push({ kind: "defined", name, statement: called });
    }
    if (languageOf(s.options) === "c") {
      addEffect(j, "program_execution", "makes native code callable");
    }
  },
  AlterFunctionStmt: (j, s) => {
    addEffect(j, "ddl", "alters a function");
    addObject(j, { kind: kindOf(s.objtype), ...qualified(stringsOf(s.func?.objname)) });
    judgeFunctionOptions(j, s.actions);
  },
  CreateTrigStmt: (j, s) => {
    installs(j, "trigger", { schema: s.relation?.relname, name: s.trigname ?? "" });
  },
  CreateEventTrigStmt: (j, s) => {
    installs(j, "event trigger", bare(s.trigname));
  },
  AlterEventTrigStmt: (j, s) => {
    alters(j, "event trigger", bare(s.trigname));
  },
  CreatePLangStmt: (j, s) => {
    installs(j, "language", bare(s.plname));
  },
  CreateExtensionStmt: (j, s) => {
    installs(j, "extension", bare(s.extname));
  },
  AlterExtensionStmt: (j, s) => {
    alters(j, "extension", bare(s.extname));
    addEffect(j, "opaque", "an extension's update runs its script");
  },
  AlterExtensionContentsStmt: (j, s) => {
    alters(j, "extension", bare(s.extname));
  },
  CreateCastStmt: (j) => {
    installs(j, "cast", bare(undefined));
  },
  CreateTransformStmt: (j) => {
    installs(j, "transform", bare(undefined));
  },
  RuleStmt: (j, s, judge) => {
    installs(j, "rule", { schema: s.relation?.relname, name: s.rulename ?? "" });
    const { surroundings } = j;
    for (const action of s.actions ?? []) {
      const later = newJudgement(surroundings);
      judge(later, action);
      if (later.destructive) addDestruction(j, "the rule's action destroys when it runs");
      if (later.mustRefuse) addRefusal(j, "the rule's action changes how the server reads text");
    }
  },
} satisfies Partial<StatementTable>;

/** What a function's body, as far as it is written out, does once somebody calls it. */
function whenCalled(
  j: Judgement,
  s: NodeOf<"CreateFunctionStmt">,
  judge: JudgeStatement,
): PreparedStatement {
  const later = newJudgement({ ...j.surroundings, session: unsettled(j.surroundings.session) });
  const body = bodyOf(s.options);
  if (body !== undefined) judgeCode(later, body);
  for (const statement of statementsIn(s.sql_body)) {
    if (as(statement, "ReturnStmt") === undefined) judge(later, statement);
    else walk(later, statement);
  }
  const { unlinksMany, readsAllLargeObjects, mustRefuse } = later;
  return { destructive: later.destructive || (unlinksMany && readsAllLargeObjects), mustRefuse };
}

/** BEGIN ATOMIC's statements, which the grammar gives as lists of lists. */
function statementsIn(body: Node | undefined): readonly Node[] {
  const items = as(body, "List")?.items;
  if (items !== undefined) return items.flatMap(statementsIn);
  return body === undefined ? [] : [body];
}

function judgeFunctionOptions(j: Judgement, options: readonly Node[] | undefined): void {
  const security = as(lastOption(options, "security")?.arg, "Boolean");
  if (security?.boolval === true) {
    addEffect(j, "privilege", "SECURITY DEFINER runs it with its owner's rights");
  }
  for (const option of options ?? []) {
    const def = as(option, "DefElem");
    if (def?.defname === "set") {
      refuseUnsafeSetting(j, as(def.arg, "VariableSetStmt"));
    }
  }
}
