import type { DoStmt, Node } from "libpg-query";
import { sketchOf } from "./constants.ts";
import { addConsequences } from "./judgement.ts";
import type { Judgement } from "./judgement.ts";
import { parse, parsePlPgSql } from "./parser.ts";
import { fragmentsOf } from "./plpgsql.ts";
import type { Fragment } from "./plpgsql.ts";
import { advance } from "./session.ts";
import type { SessionChange, SqlSession } from "./session.ts";
import { as, childrenOf, lastOption, stringOf } from "./tree.ts";

/** Source text in a language of its own, inside a statement. */
interface Code {
  readonly language: string;
  readonly source: string;
}

export function doBody({ args }: DoStmt): Code | undefined {
  const source = stringOf(lastOption(args, "as")?.arg);
  return source === undefined ? undefined : { language: languageOf(args), source };
}

/** The body of CREATE FUNCTION, where it is given as a string; a C function's is a symbol. */
export function bodyOf(options: readonly Node[] | undefined): Code | undefined {
  const items = as(lastOption(options, "as")?.arg, "List")?.items ?? [];
  const source = items.length === 1 ? stringOf(items[0]) : undefined;
  return source === undefined ? undefined : { language: languageOf(options), source };
}

/** The language of CREATE FUNCTION, in lower case. */
export function languageOf(options: readonly Node[] | undefined): string {
  return (stringOf(lastOption(options, "language")?.arg) ?? "plpgsql").toLowerCase();
}

/**
 * Code that runs now. It stays opaque; what its static statements do, and what it builds from written-out SQL,
 * counts for `destructive` and `must_refuse`.
 */
export function judgeCode(j: Judgement, { language, source }: Code): void {
  if (language === "sql") {
    addConsequences(j, source, { from: "the SQL body" });
    return;
  }
  const parsed =
    language === "plpgsql"
      ? parsePlPgSql(`DO LANGUAGE plpgsql ${dollarQuoted(source)}`)
      : undefined;
  if (parsed?.kind === "parsed") {
    judgeFragments(j, fragmentsOf(parsed.functions));
    return;
  }
  // Another language, or one of the few bodies that libpg_query can't read: whatever looks like SQL in it.
  for (const piece of source.split(";")) judgeWrittenOut(j, piece.replace(BLOCK_WORDS, ""));
  for (const text of quotedTexts(source)) judgeWrittenOut(j, text);
}

const BLOCK_WORDS = /^.*\b(?:begin|declare|else|loop|then)\b/is;

function judgeFragments(j: Judgement, fragments: readonly Fragment[]): void {
  let { session } = j.surroundings;
  for (const { kind, sql, conditional } of fragments) {
    if (kind === "dynamic") {
      judgeBuilt(j, sql);
    } else {
      const from = "a statement of the block";
      const { changes } = addConsequences(j, sql, { from, session });
      session = afterFragment(session, changes, { conditional });
    }
  }
  // EXECUTE of a variable: whatever is assigned to one may be what runs.
  if (!fragments.some(({ kind }) => kind === "dynamic")) return;
  for (const { kind, sql } of fragments) if (kind === "assigned") judgeBuilt(j, sql);
}

/** What is certain after a statement that perhaps did not run: no table more than before. */
function afterFragment(
  session: SqlSession,
  changes: readonly SessionChange[],
  { conditional }: { readonly conditional: boolean },
): SqlSession {
  if (!conditional) return advance(session, changes);
  return advance(
    session,
    changes.filter(({ kind }) => kind !== "created_temporary"),
  );
}

/** An expression that gives SQL: EXECUTE's argument. */
function judgeBuilt(j: Judgement, expression: string): void {
  const parsed = parse(`SELECT ${expression}`);
  if (parsed.kind === "refused") return;
  for (const { stmt } of parsed.statements) {
    for (const target of as(stmt, "SelectStmt")?.targetList ?? []) {
      judgeTexts(j, as(target, "ResTarget")?.val);
    }
  }
}

function judgeTexts(j: Judgement, node: Node | undefined): void {
  if (node === undefined) return;
  const sql = sketchOf(node);
  if (sql !== undefined) judgeWrittenOut(j, sql);
  else for (const child of childrenOf(node)) judgeTexts(j, child);
}

function judgeWrittenOut(j: Judgement, sql: string): void {
  // A single word is a name or a value; no statement that matters here is so short.
  if (/\S\s+\S/.test(sql)) addConsequences(j, sql, { from: "SQL written out in the code" });
}

/** Strings in another language's source, by the quotes most languages share. */
function quotedTexts(source: string): readonly string[] {
  const strings = source.matchAll(/'((?:[^'\\]|\\.|'')*)'|"((?:[^"\\]|\\.)*)"/gs);
  return [...strings].map((match) => (match[1] ?? match[2] ?? "").replaceAll("''", "'"));
}

function dollarQuoted(source: string): string {
  let tag = "$body$";
  for (let n = 0; source.includes(tag); n++) tag = `$body${n}$`;
  return `${tag}${source}${tag}`;
}
