import type { Node, VariableSetStmt } from "libpg-query";
import { booleanOf, constantOf } from "./constants.ts";
import type { Constant } from "./constants.ts";
import { addEffect, addRefusal } from "./judgement.ts";
import type { Judgement } from "./judgement.ts";
import { as, childrenOf, stringsOf } from "./tree.ts";

// Encodings in which the byte 0x5C can be the second of a character, and the names PostgreSQL knows them by
// (pg_char_to_encoding, which ignores case and everything but letters and digits).
const UNSAFE_ENCODINGS = new Set([
  ...["sjis", "shiftjis", "mskanji", "win932", "windows932", "shiftjis2004"],
  ...["big5", "win950", "windows950"],
  ...["gbk", "win936", "windows936", "gb18030"],
  ...["uhc", "win949", "windows949", "johab"],
]);

/** What the value of a setting means for how the server reads text. */
type LexingChange = "safe" | "unsafe" | "unknown";

/**
 * Whether giving `name` this value makes the server read text differently from us (rule P).
 *
 * @param value - `undefined` when it is computed
 */
function lexingChange(name: string, value: Constant | undefined): LexingChange {
  switch (name.toLowerCase()) {
    case "standard_conforming_strings":
      if (value === undefined) return "unknown";
      return value === null || booleanOf(value) === true ? "safe" : "unsafe";
    case "client_encoding":
      if (value === undefined) return "unknown";
      return value !== null && isUnsafeEncoding(String(value)) ? "unsafe" : "safe";
    default:
      return "safe";
  }
}

function isUnsafeEncoding(name: string): boolean {
  return UNSAFE_ENCODINGS.has(name.toLowerCase().replaceAll(/[^a-z0-9]/g, ""));
}

/** SET and RESET, on their own or as a clause: whatever stores or applies the setting, rule P holds. */
export function refuseUnsafeSetting(j: Judgement, set: VariableSetStmt | undefined): void {
  if (set?.kind !== "VAR_SET_VALUE") return;
  const [value] = set.args ?? [];
  if (lexingChange(set.name ?? "", constantOf(value)) !== "safe") {
    addRefusal(j, `${set.name ?? ""} would make the server read text differently`, set.location);
  }
}

/** SET or RESET as a statement. */
export function judgeSet(j: Judgement, set: VariableSetStmt): void {
  const name = (set.name ?? "").toLowerCase();
  if (set.kind === "VAR_SET_MULTI") {
    const isSession = name === "session characteristics";
    addEffect(
      j,
      isSession ? "session" : "transaction",
      isSession ? "sets the session's default transaction mode" : "sets the transaction's mode",
    );
    return;
  }
  addEffect(j, "session", `changes ${set.kind === "VAR_RESET_ALL" ? "all settings" : name}`);
  refuseUnsafeSetting(j, set);
  if (set.kind === "VAR_RESET_ALL") {
    j.changes.push({ kind: "search_path", temporaryFirst: true });
    return;
  }
  noteSetting(j, name, (set.args ?? []).map(constantOf), { local: set.is_local === true });
}

/** set_config(setting_name, new_value, is_local), however its arguments are given. */
export function judgeSetConfig(j: Judgement, args: readonly Node[], at: number | undefined): void {
  const [nameArg, valueArg] = [argument(args, 0, "setting_name"), argument(args, 1, "new_value")];
  const name = constantOf(nameArg);
  const value = constantOf(valueArg);
  if (!isWritten(nameArg)) {
    addEffect(j, "opaque", "the name of the setting is computed", at);
    j.changes.push({ kind: "search_path", temporaryFirst: false });
  }
  if (typeof name !== "string") return;
  if (lexingChange(name, value) !== "safe") {
    addRefusal(j, `${name} would make the server read text differently`, at);
  }
  const values = typeof value === "string" ? value.split(",").map(unquoted) : [value];
  noteSetting(j, name.toLowerCase(), values, { local: false });
}

/** A literal, perhaps cast; not something computed, even from literals. */
function isWritten(node: Node | undefined): boolean {
  const cast = as(node, "TypeCast");
  return cast === undefined ? as(node, "A_Const") !== undefined : isWritten(cast.arg);
}

function argument(args: readonly Node[], index: number, name: string): Node | undefined {
  const named = args
    .map((arg) => as(arg, "NamedArgExpr"))
    .find((candidate) => candidate?.name === name);
  const positional = args[index];
  return named?.arg ?? (as(positional, "NamedArgExpr") === undefined ? positional : undefined);
}

function unquoted(part: string): string {
  return part.trim().replace(/^"(.*)"$/s, "$1");
}

/** Settings that change what later statements mean: the role, and where names are looked up. */
function noteSetting(
  j: Judgement,
  name: string,
  values: readonly (Constant | undefined)[],
  { local }: { readonly local: boolean },
): void {
  if (name === "role" || name === "session_authorization") {
    addEffect(j, "privilege", "acts as another role from now on");
    const [role] = values;
    j.changes.push({ kind: "role", role: typeof role === "string" ? role : undefined });
  }
  if (name !== "search_path") return;
  const late = values.indexOf("pg_temp") > 0;
  const isKnown = values.every((value) => typeof value === "string");
  // A local one ends with the transaction; that it was late is remembered, that it was early is not.
  if (late || !isKnown) j.changes.push({ kind: "search_path", temporaryFirst: false });
  else if (!local) j.changes.push({ kind: "search_path", temporaryFirst: true });
}

/** UPDATE pg_settings sets a setting, by a rule of the catalog: the row's filter names it, the assignment is the value. */
export function judgeSettingsUpdate(
  j: Judgement,
  { assigned, where }: { readonly assigned: readonly Node[]; readonly where: Node | undefined },
): void {
  addEffect(j, "session", "updating pg_settings changes settings");
  j.mayChangeLexing = true;
  j.changes.push({ kind: "search_path", temporaryFirst: false });
  const assignment = assigned
    .map((target) => as(target, "ResTarget"))
    .find((target) => target?.name === "setting");
  const value = constantOf(assignment?.val);
  const names = namedSettings(where) ?? ["standard_conforming_strings", "client_encoding"];
  if (names.some((name) => lexingChange(name, value) !== "safe")) {
    addRefusal(j, "it may set standard_conforming_strings or client_encoding");
  }
  for (const name of names) {
    if (name === "role" || name === "session_authorization") {
      addEffect(j, "privilege", "acts as another role from now on");
    }
  }
}

/** The settings that a filter picks by name; `undefined` when it may pick any. */
function namedSettings(where: Node | undefined): readonly string[] | undefined {
  const both = as(where, "BoolExpr");
  if (both?.boolop === "AND_EXPR") {
    return (both.args ?? []).map(namedSettings).find((names) => names !== undefined);
  }
  const comparison = as(where, "A_Expr");
  if (comparison === undefined || stringsOf(comparison.name).at(-1) !== "=") return undefined;
  const column = as(comparison.lexpr, "ColumnRef");
  if (stringsOf(column?.fields).at(-1) !== "name") return undefined;
  const items = as(comparison.rexpr, "List")?.items ?? [comparison.rexpr];
  const names = items.map((item) => constantOf(item));
  return names.every((name) => typeof name === "string") ? names : undefined;
}

/** Catalogs that hold settings for later sessions or calls: rows that mention one which changes lexing. */
export function refuseStoredSettings(j: Judgement, statement: Node): void {
  j.mayChangeLexing = true;
  const mentioned = textsIn(statement).find((text) =>
    /standard_conforming_strings|client_encoding/i.test(text),
  );
  if (mentioned !== undefined) {
    addRefusal(j, "the catalog's row may store standard_conforming_strings or client_encoding");
  }
}

function textsIn(node: Node): readonly string[] {
  const text = as(node, "A_Const")?.sval?.sval;
  return text === undefined ? childrenOf(node).flatMap(textsIn) : [text];
}
