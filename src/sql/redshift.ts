import { functionKnowledge } from "./catalogue.ts";
import type { CatalogueExtension } from "./catalogue.ts";
import type { Effect } from "./classification.ts";
import data from "./data/redshift.json" with { type: "json" };
import {
  addConsequences,
  addDestruction,
  addEffect,
  addObject,
  newJudgement,
} from "./judgement.ts";
import type { Judgement, Surroundings } from "./judgement.ts";
import { scan } from "./parser.ts";
import type { Token } from "./parser.ts";
import { printable } from "./summary.ts";

interface Rule {
  readonly words: readonly string[];
  readonly effects: readonly Effect[];
  readonly destructive: boolean;
  readonly kind: string | undefined;
  readonly reach: "cluster" | "database";
}

const rules: readonly Rule[] = data.rules
  .map(({ words, effects, destructive, kind, reach }) => ({
    words: words.split(" "),
    effects: effects as Effect[],
    destructive: destructive === true,
    kind,
    reach: reach === "cluster" ? ("cluster" as const) : ("database" as const),
  }))
  .sort((a, b) => b.words.length - a.words.length);

const ownFunctions = new Map(data.functions.map((name) => [name, "harmless" as const]));

/** What is known of Redshift's own functions, beside what the operator adds. */
export function redshiftExtension(extension: CatalogueExtension): CatalogueExtension {
  return {
    ...extension,
    functions: new Map([...ownFunctions, ...(extension.functions ?? [])]),
    types: new Set([...data.types, ...(extension.types ?? [])]),
  };
}

/** One statement of a text that PostgreSQL's grammar does not read, cut by its lexer. */
export interface RedshiftStatement {
  readonly tokens: readonly Token[];
  /** UTF-8 bytes into the text. */
  readonly startByte: number;
  readonly endByte: number;
}

/**
 * Statements between semicolons, or `undefined` where the lexer refuses the text or a literal holds a backslash:
 * whether that is an escape for Redshift is not known, so neither is where the literal ends.
 */
export function cutRedshift(text: string): readonly RedshiftStatement[] | undefined {
  const scanned = scan(text);
  if (scanned.kind === "refused") return undefined;
  const tokens = scanned.tokens.filter(({ tokenName }) => !tokenName.endsWith("_COMMENT"));
  if (tokens.some(({ tokenName, text: word }) => isString(tokenName) && word.includes("\\"))) {
    return undefined;
  }
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    if (token.text === ";") statements.push([]);
    else statements.at(-1)?.push(token);
  }
  return statements.flatMap((cut) => {
    const [first, last] = [cut[0], cut.at(-1)];
    if (first === undefined || last === undefined) return [];
    return [{ tokens: cut, startByte: first.start, endByte: last.end }];
  });
}

/** True for a text with a literal that Redshift may end elsewhere than PostgreSQL does. */
export function hasBackslashLiteral(text: string): boolean {
  return text.includes("\\") && cutRedshift(text) === undefined;
}

/**
 * Judges a statement by its leading words (an allow-list) and by the calls among its tokens. Cautious where only a
 * tree could tell: a DELETE or UPDATE counts as unfiltered.
 *
 * @returns `undefined` for what the list doesn't have
 */
export function judgeRedshift(
  statement: RedshiftStatement,
  surroundings: Surroundings,
): { readonly j: Judgement; readonly summary: string } | undefined {
  const words = statement.tokens.map(wordOf).filter((word) => !IDLE_WORDS.has(word));
  const tokens = statement.tokens.filter((token) => !IDLE_WORDS.has(wordOf(token)));
  const rule = rules.find((candidate) => candidate.words.every((word, n) => words[n] === word));
  if (rule === undefined) return undefined;
  const rest = tokens.slice(rule.words.length);
  const [verb = ""] = rule.words;
  if (READS.has(verb) && words.slice(1).some((word) => WRITING_WORDS.has(word))) return undefined;
  const j = newJudgement(surroundings);
  const what = `${rule.words.join(" ")}, by its leading words`;
  for (const effect of rule.effects) addEffect(j, effect, what, statement.startByte);
  if (rule.destructive) addDestruction(j, `${what}: nothing tells how much it removes`);
  j.reach = rule.reach === "cluster" ? "cluster" : j.reach;
  if (rule.kind !== undefined) noteObject(j, rule.kind, rest);
  judgeDetails(j, verb, words, rest);
  judgeCalls(j, rest, verb);
  const [object] = j.objects.values();
  return {
    j,
    summary:
      object === undefined
        ? rule.words.join(" ")
        : `${rule.words.join(" ")} "${printable(object.name)}"`,
  };
}

const IDLE_WORDS = new Set(["OR", "REPLACE", "TEMP", "TEMPORARY", "LOCAL", "PROTECTED"]);
const READS = new Set(["SELECT", "WITH", "EXPLAIN", "SHOW", "DESC"]);
const WRITING_WORDS = new Set([
  ...["ALTER", "ANALYZE", "COPY", "CREATE", "DELETE", "DROP", "INSERT", "MERGE", "TRUNCATE"],
  ...["UNLOAD", "UPDATE", "VACUUM"],
]);

/** What the words behind the leading ones change. */
function judgeDetails(
  j: Judgement,
  verb: string,
  words: readonly string[],
  rest: readonly Token[],
): void {
  if (words.includes("INTO") && (verb === "SELECT" || verb === "WITH")) {
    addEffect(j, "ddl", "SELECT INTO creates a table");
    addEffect(j, "write", "SELECT INTO fills a table");
    j.effects.delete("read");
  }
  if (verb === "CREATE" && words[1] === "TABLE" && words.includes("AS")) {
    addEffect(j, "write", "the new table is filled by a query");
  }
  if (verb === "ALTER" && words.includes("DROP")) {
    addEffect(j, "destructive_ddl", "a part is dropped");
    addDestruction(j, "a part is dropped");
  }
  if (verb === "ALTER" && words.includes("APPEND")) {
    addEffect(j, "write", "APPEND FROM moves all rows of another table here");
    addEffect(j, "delete", "APPEND FROM empties the other table");
    addDestruction(j, "APPEND FROM empties the other table");
  }
  if (verb === "ALTER" && (words.includes("OWNER") || words.includes("SECURITY"))) {
    addEffect(j, "privilege", "changes who may do what");
  }
  if (verb !== "UNLOAD") return;
  j.reach = "cluster";
  if (words.includes("ALLOWOVERWRITE") || words.includes("CLEANPATH")) {
    addDestruction(j, "files that are there are overwritten");
  }
  const query = rest.find(({ tokenName }) => isString(tokenName))?.text ?? "";
  const sql = query.replace(/^\$[^$]*\$|\$[^$]*\$$/g, "").replace(/^'|'$/g, "");
  addConsequences(j, sql.replaceAll("''", "'"), { from: "the query of UNLOAD" });
}

/** Names followed by a parenthesis: calls, unless the grammar knows them as something else. */
function judgeCalls(j: Judgement, tokens: readonly Token[], verb: string): void {
  if (!CALLING.has(verb)) return;
  tokens.forEach((token, index) => {
    if (tokens[index + 1]?.text !== "(" || !isName(token)) return;
    if (NOT_CALLED.has(wordOf(token)) || (verb === "INSERT" && index === 0)) return;
    const isQualified = tokens[index - 1]?.text === ".";
    const schema = isQualified ? nameOf(tokens[index - 2]) : undefined;
    const name = nameOf(token);
    const knowledge = functionKnowledge({ schema, name }, j.surroundings.extension);
    if (knowledge.kind === "harmless") return;
    if (knowledge.kind === "unknown") {
      j.runsUserCode = true;
      addEffect(j, "opaque", `the function ${name} is not a known one`, token.start);
      return;
    }
    const { effects, why, destructive } = knowledge.effects;
    for (const effect of effects) addEffect(j, effect, `${name} ${why}`, token.start);
    if (destructive || effects.includes("delete")) addDestruction(j, `${name} ${why}`, token.start);
  });
}

const CALLING = new Set(["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "EXPLAIN"]);

/** Words that a parenthesis follows in queries. */
const NOT_CALLED = new Set(["EXCLUDE", "FILTER", "OVER", "PIVOT", "ROW", "UNPIVOT", "VALUES"]);

function noteObject(j: Judgement, kind: string, rest: readonly Token[]): void {
  const start = rest.findIndex((token) => isName(token) && !NOT_A_NAME.has(wordOf(token)));
  const first = rest[start];
  if (first === undefined) return;
  const second = rest[start + 1]?.text === "." ? rest[start + 2] : undefined;
  addObject(j, {
    kind,
    schema: second === undefined ? undefined : nameOf(first),
    name: nameOf(second ?? first),
  });
}

const NOT_A_NAME = new Set([
  "IF",
  "NOT",
  "EXISTS",
  "FROM",
  "TABLE",
  "INTO",
  "ONLY",
  "ON",
  "THRESHOLD",
]);

function isString(tokenName: string): boolean {
  return tokenName === "SCONST" || tokenName === "USCONST" || tokenName === "XCONST";
}

/** An identifier, or a keyword that may be one. */
function isName({ tokenName, keywordName }: Token): boolean {
  return (
    tokenName === "IDENT" || (keywordName !== "NO_KEYWORD" && keywordName !== "RESERVED_KEYWORD")
  );
}

function wordOf({ text }: Token): string {
  return text.startsWith('"') ? "" : text.toUpperCase();
}

function nameOf(token: Token | undefined): string {
  const text = token?.text ?? "";
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text.toLowerCase();
}
