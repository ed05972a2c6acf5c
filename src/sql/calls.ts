import type { A_Indirection, ColumnRef, FuncCall, Node, TypeName } from "libpg-query";
import { attributeEffects, functionKnowledge, isKnownOperator, isKnownType } from "./catalogue.ts";
import type { FunctionEffects } from "./catalogue.ts";
import type { QualifiedName } from "./classification.ts";
import { constantOf, sketchOf } from "./constants.ts";
import {
  addConsequences,
  addDestruction,
  addEffect,
  addRefusal,
  addUnknownFunction,
} from "./judgement.ts";
import type { Judgement } from "./judgement.ts";
import { judgeSetConfig } from "./settings.ts";
import { as, columnParts, qualifiedName, stringOf, typeName } from "./tree.ts";

/** A call, in any place of any statement. */
export function judgeCall(j: Judgement, { funcname, args, location }: FuncCall): void {
  judgeCallByName(j, qualifiedName(funcname), args ?? [], location);
}

/** A call of which only the name is given: a sampling method, a handler. */
export function judgeCallByName(
  j: Judgement,
  called: QualifiedName,
  args: readonly Node[],
  at: number | undefined,
): void {
  const knowledge = functionKnowledge(called, j.surroundings.extension);
  switch (knowledge.kind) {
    case "harmless":
      return;
    case "unknown": {
      addUserCode(j, "function", called, at);
      addDefined(j, called.name, at);
      return;
    }
    case "acts":
      // With three arguments it rewrites by values; with two the second one is a query.
      if (called.name === "ts_rewrite" && args.length === 3) return;
      addFunctionEffects(j, called.name, knowledge.effects, args, at);
      if (called.name === "set_config") judgeSetConfig(j, args, at);
  }
}

function addFunctionEffects(
  j: Judgement,
  name: string,
  { effects, why, destructive, reach, runsSql, builtIn }: FunctionEffects,
  args: readonly Node[],
  at: number | undefined,
): void {
  for (const effect of effects) addEffect(j, effect, `${name} ${why}`, at);
  if (destructive) addDestruction(j, `${name} ${why}`, at);
  if (reach === "cluster") j.reach = "cluster";
  if (!builtIn) j.runsUserCode = true;
  if (name === "lo_unlink" && constantOf(args[0]) === undefined) j.unlinksMany = true;
  if (!runsSql) return;
  j.runsText = true;
  for (const arg of args) {
    const sql = sketchOf(as(arg, "NamedArgExpr")?.arg ?? arg);
    if (sql !== undefined) addConsequences(j, sql, { from: `the SQL text given to ${name}`, at });
  }
}

/** `alias.name`: PostgreSQL takes it for a call when it is no column. */
export function judgeColumn(j: Judgement, column: ColumnRef): void {
  const parts = columnParts(column);
  if (parts.length < 2) return;
  const source: ColumnRef = { ...column, fields: column.fields?.slice(0, -1) ?? [] };
  judgeAttribute(j, parts.at(-1) ?? "", { ColumnRef: source }, column.location);
}

/** `(expression).name`, also behind subscripts and further names. */
export function judgeIndirection(j: Judgement, { arg, indirection }: A_Indirection): void {
  for (const step of indirection ?? []) {
    const name = stringOf(step);
    if (name !== undefined) judgeAttribute(j, name, arg, undefined);
  }
}

function judgeAttribute(
  j: Judgement,
  name: string,
  source: Node | undefined,
  at: number | undefined,
): void {
  const effects = attributeEffects(name, j.surroundings.extension);
  if (effects === undefined) return;
  addFunctionEffects(j, name, effects, source === undefined ? [] : [source], at);
}

/** An operator by its name; without one there is nothing to judge. */
export function judgeOperator(
  j: Judgement,
  operator: readonly Node[] | undefined,
  at: number | undefined,
): void {
  if (operator === undefined || operator.length === 0) return;
  const name = qualifiedName(operator);
  if (!isKnownOperator(name, j.surroundings.extension)) addUserCode(j, "operator", name, at);
}

/** A cast runs the type's input function and, for a domain, its checks. */
export function judgeCast(j: Judgement, type: TypeName | undefined): void {
  if (type === undefined || (type.names ?? []).length === 0) return;
  const name = typeName(type);
  if (!isKnownType(name, j.surroundings.extension)) addUserCode(j, "type", name, type.location);
}

/** What this session itself defined under that name runs now. */
function addDefined(j: Judgement, name: string, at: number | undefined): void {
  j.dependsOnSession = true;
  const defined = j.surroundings.session.defined.get(name);
  if (defined?.destructive === true) {
    addDestruction(j, `${name}, as this session defined it, destroys`, at);
  }
  if (defined?.mustRefuse === true) {
    addRefusal(j, `${name}, as this session defined it, changes how the server reads text`, at);
  }
}

function addUserCode(
  j: Judgement,
  what: "function" | "operator" | "type",
  called: QualifiedName,
  at: number | undefined,
): void {
  const { schema, name } = called;
  const shown = schema === undefined ? name : `${schema}.${name}`;
  j.runsUserCode = true;
  const because = `the ${what} ${shown} is not one of PostgreSQL's own`;
  if (what === "function") addUnknownFunction(j, called, { because, at });
  else addEffect(j, "opaque", because, at);
}
