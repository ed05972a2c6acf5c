import type { DoStmt, Node } from "libpg-query";
import { constantOf, sketchOf } from "./constants.ts";
import { addConsequences } from "./judgement.ts";
import type { Judgement } from "./judgement.ts";
import { parse, parsePlPgSql } from "./parser.ts";
import { as, childrenOf, lastOption, stringOf } from "./tree.ts";

/** Source text in another language, inside a statement. */
interface Code {
  readonly language: string;
  readonly source: string;
}

export function doBody({ args }: DoStmt): Code | undefined {
  const source = stringOf(lastOption(args, "as")?.arg);
  if (source === undefined) return undefined;
  return { language: languageOf(args), source };
}

/** The body of CREATE FUNCTION, where it is given as a string. */
export function bodyOf(options: readonly Node[] | undefined): Code | undefined {
  const body = lastOption(options, "as")?.arg;
  const source = stringOf(as(body, "List")?.items?.at(-1) ?? body) ?? "";
  return { language: languageOf(options), source };
}

function languageOf(options: readonly Node[] | undefined): string {
  return (stringOf(lastOption(options, "language")?.arg) ?? "plpgsql").toLowerCase();
}

/**
 * Code that runs now. It stays opaque; what its static statements do, and what it builds from written-out SQL,
 * counts for `destructive` and `must_refuse`.
 */
export function judgeCode(j: Judgement, { language, source }: Code): void {
  if (language === "sql") {
    addConsequences(j, source, { from: "the SQL body", at: undefined });
    return;
  }
  if (language !== "plpgsql") {
    for (const text of quotedTexts(source))
      judgeFragment(j, text, `a string in the ${language} code`);
    return;
  }
  const parsed = parsePlPgSql(`DO LANGUAGE plpgsql ${dollarQuoted(source)}`);
  if (parsed.kind === "refused") return;
  const statements = [...statementsIn(parsed.functions)];
  for (const { sql, dynamic } of statements) {
    if (!dynamic) addConsequences(j, sql, { from: "a statement of the block", at: undefined });
    else judgeDynamic(j, sql);
  }
  if (!statements.some(({ dynamic }) => dynamic)) return;
  // EXECUTE of a variable: what was assigned to any may be what runs.
  for (const expression of assignedIn(parsed.functions)) judgeDynamic(j, expression);
}

/** EXECUTE's argument: an expression that gives SQL. */
function judgeDynamic(j: Judgement, expression: string): void {
  const parsed = parse(`SELECT ${expression}`);
  if (parsed.kind === "refused") return;
  for (const { stmt } of parsed.statements) {
    for (const target of as(stmt, "SelectStmt")?.targetList ?? []) {
      judgeExpression(j, as(target, "ResTarget")?.val);
    }
  }
}

function judgeExpression(j: Judgement, node: Node | undefined): void {
  const sql = sketchOf(node);
  if (sql !== undefined) judgeFragment(j, sql, "SQL that the block builds");
  else if (node !== undefined) for (const child of childrenOf(node)) judgeExpression(j, child);
  if (sql === undefined && typeof constantOf(node) === "string") return;
}

function judgeFragment(j: Judgement, sql: string, from: string): void {
  if (/\s/.test(sql.trim())) addConsequences(j, sql, { from, at: undefined });
}

interface Embedded {
  readonly sql: string;
  readonly dynamic: boolean;
}

// libpg_query's names for the fields of PL/pgSQL statements that hold an expression or a statement as text.
const DYNAMIC_STATEMENTS = new Set(["PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"]);

function* statementsIn(tree: unknown, inside = ""): Generator<Embedded> {
  if (Array.isArray(tree)) {
    for (const item of tree) yield* statementsIn(item, inside);
    return;
  }
  if (typeof tree !== "object" || tree === null) return;
  for (const [key, value] of Object.entries(tree)) {
    if (key === "PLpgSQL_expr") {
      const { query = "" } = value as { query?: string };
      const isDynamic = inside.endsWith("dynquery") || isDynamicQuery(inside);
      const isAssignment = inside.startsWith("PLpgSQL_stmt_assign");
      const asStatement = STATEMENT_START.test(query) ? query : `SELECT ${query}`;
      if (isDynamic) yield { sql: query, dynamic: true };
      else if (!isAssignment) yield { sql: asStatement, dynamic: false };
      else yield { sql: `SELECT ${assignedValue(query)}`, dynamic: false };
    } else {
      const owner = key.startsWith("PLpgSQL_") ? key : `${inside.split(".")[0] ?? ""}.${key}`;
      yield* statementsIn(value, owner);
    }
  }
}

function isDynamicQuery(inside: string): boolean {
  const [statement = "", field] = inside.split(".");
  return DYNAMIC_STATEMENTS.has(statement) && field === "query";
}

const STATEMENT_START =
  /^\s*\(*\s*(select|with|values|table|insert|update|delete|merge|truncate|drop|create|alter|grant|revoke|set|reset|copy|call|do|lock|comment|notify|listen|vacuum|analyze|reindex|refresh|explain|security|discard|load|import|reassign|execute|prepare|deallocate|perform|cluster|checkpoint|show|declare|fetch|close|move|unlisten)\b/i;

function* assignedIn(tree: unknown): Generator<string> {
  if (Array.isArray(tree)) {
    for (const item of tree) yield* assignedIn(item);
    return;
  }
  if (typeof tree !== "object" || tree === null) return;
  for (const [key, value] of Object.entries(tree)) {
    if (key === "PLpgSQL_expr") yield assignedValue((value as { query?: string }).query ?? "");
    else if (ASSIGNING.has(key)) yield* assignedIn(value);
    else yield* assignedIn(value);
  }
}

const ASSIGNING = new Set(["PLpgSQL_stmt_assign", "default_val"]);

function assignedValue(query: string): string {
  return query.replace(/^[^'(]*?:?=/s, "");
}

/** Strings in another language's source, by the quotes most languages share. */
function quotedTexts(source: string): readonly string[] {
  const strings = source.matchAll(/'((?:[^'\\]|\\.|'')*)'|"((?:[^"\\]|\\.)*)"/gs);
  return [...strings].map((match) => match[1] ?? match[2] ?? "");
}

function dollarQuoted(source: string): string {
  let tag = "$b$";
  for (let n = 0; source.includes(tag); n++) tag = `$b${n}$`;
  return `${tag}${source}${tag}`;
}
