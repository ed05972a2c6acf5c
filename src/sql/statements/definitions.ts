import type { Node } from "libpg-query";
import { addDestruction, addEffect, addObject } from "../judgement.ts";
import type { Judgement } from "../judgement.ts";
import type { NodeOf } from "../nodes.ts";
import { kindOf } from "../objects.ts";
import { as, qualified, stringsOf } from "../tree.ts";
import { judgeNamedFunction, judgeNamedFunctions, walk } from "../walk.ts";
import { addRelation, alters, bare, creates, installs } from "./named.ts";
import type { StatementTable } from "./statement-table.ts";

/** Types, operators, text search and other definitions. */
export const DEFINITIONS = {
  CompositeTypeStmt: (j, s) => {
    addEffect(j, "ddl", "creates a type");
    addRelation(j, "type", s.typevar);
  },
  CreateEnumStmt: (j, s) => {
    creates(j, "type", qualified(stringsOf(s.typeName)));
  },
  AlterEnumStmt: (j, s) => {
    alters(j, "type", qualified(stringsOf(s.typeName)));
  },
  CreateRangeStmt: (j, s) => {
    creates(j, "type", qualified(stringsOf(s.typeName)));
    judgeNamedFunctions(j, s.params, ["canonical", "subtype_diff"]);
  },
  AlterTypeStmt: (j, s) => {
    alters(j, "type", qualified(stringsOf(s.typeName)));
    judgeNamedFunctions(j, s.options, TYPE_FUNCTIONS);
  },
  CreateDomainStmt: (j, s) => {
    creates(j, "domain", qualified(stringsOf(s.domainname)));
  },
  AlterDomainStmt: (j, s) => {
    addObject(j, { kind: "domain", ...qualified(stringsOf(s.typeName)) });
    if (s.subtype !== "X") {
      addEffect(j, "ddl", "alters a domain");
      return;
    }
    addEffect(j, "destructive_ddl", "drops a constraint of a domain");
    if (qualified(stringsOf(s.typeName)).schema !== "pg_temp") {
      addDestruction(j, "drops a constraint of a domain");
    }
  },
  DefineStmt: judgeDefine,
  CreateOpClassStmt: (j, s) => {
    creates(j, "operator class", qualified(stringsOf(s.opclassname)));
    judgeSupport(j, s.items);
  },
  CreateOpFamilyStmt: (j, s) => {
    creates(j, "operator family", qualified(stringsOf(s.opfamilyname)));
  },
  AlterOpFamilyStmt: (j, s) => {
    const name = qualified(stringsOf(s.opfamilyname));
    if (s.isDrop === true) {
      addObject(j, { kind: "operator family", ...name });
      addEffect(j, "destructive_ddl", "drops members of an operator family");
      addDestruction(j, "drops members of an operator family");
      return;
    }
    alters(j, "operator family", name);
    judgeSupport(j, s.items);
  },
  AlterOperatorStmt: (j, s) => {
    alters(j, "operator", qualified(stringsOf(s.opername?.objname)));
    judgeNamedFunctions(j, s.options, ["restrict", "join"]);
  },
  AlterCollationStmt: (j, s) => {
    alters(j, "collation", qualified(stringsOf(s.collname)));
  },
  CreateConversionStmt: (j, s) => {
    creates(j, "conversion", qualified(stringsOf(s.conversion_name)));
    judgeNamedFunction(j, { List: { items: s.func_name ?? [] } });
  },
  CreateAmStmt: (j, s) => {
    creates(j, "access method", bare(s.amname));
    judgeNamedFunction(j, { List: { items: s.handler_name ?? [] } });
  },
  AlterTSDictionaryStmt: (j, s) => {
    alters(j, "text search dictionary", qualified(stringsOf(s.dictname)));
  },
  AlterTSConfigurationStmt: (j, s) => {
    const name = qualified(stringsOf(s.cfgname));
    if (s.kind !== "ALTER_TSCONFIG_DROP_MAPPING") {
      alters(j, "text search configuration", name);
      return;
    }
    addObject(j, { kind: "text search configuration", ...name });
    addEffect(j, "destructive_ddl", "drops a mapping of a text search configuration");
    addDestruction(j, "drops a mapping of a text search configuration");
  },
} satisfies Partial<StatementTable>;

const TYPE_FUNCTIONS = [
  ...["input", "output", "receive", "send", "typmod_in", "typmod_out", "analyze", "subscript"],
];

function judgeDefine(j: Judgement, s: NodeOf<"DefineStmt">): void {
  const kind = kindOf(s.kind);
  const name = qualified(stringsOf(s.defnames));
  if (s.kind === "OBJECT_AGGREGATE" || s.kind === "OBJECT_OPERATOR") {
    installs(j, kind, name);
    return;
  }
  creates(j, kind, name);
  judgeNamedFunctions(j, s.definition, [
    ...TYPE_FUNCTIONS,
    ...["start", "gettoken", "end", "headline", "lextypes", "init", "lexize"],
  ]);
}

/** Members of an operator class: functions and operators that an index will call. */
function judgeSupport(j: Judgement, items: readonly Node[] | undefined): void {
  const OPERATOR = 1;
  for (const item of items ?? []) {
    const member = as(item, "CreateOpClassItem");
    const names = member?.name?.objname;
    if (names === undefined) continue;
    if (member?.itemtype === OPERATOR) {
      walk(j, { A_Expr: { kind: "AEXPR_OP", name: names } });
    } else {
      judgeNamedFunction(j, { List: { items: names } });
    }
  }
}
