import createModule from "libpg-query/wasm/libpg-query.js";
import type { PgQueryModule } from "libpg-query/wasm/libpg-query.js";
import type { RawStmt } from "libpg-query";

/** What PostgreSQL's grammar makes of a text. */
export type ParseOutcome =
  | {
      readonly kind: "parsed";
      /** The text that was parsed and is to be forwarded: the one given, or the same without its comments. */
      readonly text: string;
      readonly statements: readonly RawStmt[];
    }
  | ParseFailure;

export interface ParseFailure {
  readonly kind: "refused";
  readonly cause: "syntax" | "too_deep" | "failed";
  readonly message: string;
  /** 1-based, in characters. */
  readonly position: number | undefined;
}

/** A token as PostgreSQL's lexer cuts it; offsets are UTF-8 bytes. */
export interface Token {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly tokenName: string;
  readonly keywordName: string;
}

// One instance works, one waits: an instance that failed is never used again, and making one takes 20 ms and a turn
// of the event loop that a synchronous caller does not have.
let instance: PgQueryModule | undefined = await createInstance();
let spare: PgQueryModule | undefined = await createInstance();

function createInstance(): Promise<PgQueryModule> {
  const silent = (): void => undefined;
  return createModule({ print: silent, printErr: silent });
}

let replacements = 0;

/** How often a spoilt instance was thrown away since the process started. */
export function instancesReplaced(): number {
  return replacements;
}

/** Compiles the grammar's hot paths: a process's first parse takes 22 ms, so it had better not be a client's. */
export function warmUp(): void {
  for (let round = 0; round < 100; round++) {
    parse(`SELECT ${round}, a.b FROM t AS a WHERE a.c = $1 AND f(a.d) IN (1, 2) ORDER BY 1`);
    parse("INSERT INTO t (a, b) VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET b = excluded.b");
    parse("UPDATE t SET a = 1 WHERE b = 'x'; DELETE FROM t WHERE c = 2");
  }
  parsePlPgSql("DO $$ BEGIN NULL; END $$");
}

/**
 * Parses a text with PostgreSQL's grammar. Never throws. Comments are taken out, and the text without them is the
 * parsed one, where libpg_query is known to trip over them: on a syntax error, and in DO, which it would misread.
 *
 * @param text - well-formed, without a zero character
 */
export function parse(text: string): ParseOutcome {
  const outcome = parseExactly(text);
  if (outcome.kind === "refused" && outcome.cause !== "syntax") return outcome;
  if (outcome.kind === "parsed" && !outcome.statements.some(isDo)) return outcome;
  const bare = withoutComments(text);
  const judged = bare === undefined || bare === text ? outcome : parseExactly(bare);
  if (judged.kind === "refused") return outcome.kind === "refused" ? outcome : judged;
  if (judged.statements.some((statement) => isDo(statement) && doBodies(statement) !== 1)) {
    // The server refuses them too, but only when it runs them.
    return refused("syntax", "DO needs exactly one string as its body");
  }
  return judged;
}

function isDo(statement: RawStmt): boolean {
  return statement.stmt !== undefined && "DoStmt" in statement.stmt;
}

function doBodies({ stmt }: RawStmt): number {
  if (stmt === undefined || !("DoStmt" in stmt)) return 0;
  const args = stmt.DoStmt.args ?? [];
  return args.filter((arg) => "DefElem" in arg && arg.DefElem.defname === "as").length;
}

function parseExactly(text: string): ParseOutcome {
  return guarded((module) => {
    const query = pointerTo(module, text);
    const result = module._wasm_parse_query_raw(query);
    try {
      const error = module.getValue(result + 8, "i32");
      if (error !== 0) {
        const message = module.UTF8ToString(module.getValue(error, "i32"));
        const position = module.getValue(error + 16, "i32");
        return syntaxError(message, position > 0 ? position : undefined);
      }
      const tree = module.getValue(result, "i32");
      if (tree === 0) throw new Error("no parse tree");
      const { stmts = [] } = JSON.parse(module.UTF8ToString(tree)) as { stmts?: RawStmt[] };
      return { kind: "parsed", text, statements: stmts };
    } finally {
      module._wasm_free_parse_result(result);
      module._free(query);
    }
  });
}

/** PL/pgSQL's statements of the first CREATE FUNCTION or DO in `text`, as libpg_query's JSON. Never throws. */
export function parsePlPgSql(
  text: string,
): { readonly kind: "parsed"; readonly functions: readonly unknown[] } | ParseFailure {
  return guarded((module) => {
    const json = stringResult(module, text, (query) => module._wasm_parse_plpgsql(query));
    if (!json.startsWith("{")) return syntaxError(json, undefined);
    const { plpgsql_funcs = [] } = JSON.parse(json) as { plpgsql_funcs?: unknown[] };
    return { kind: "parsed", functions: plpgsql_funcs };
  });
}

// PostgreSQL's lexer rescans runs of operator characters and nested comments: both take quadratic time.
const SLOW_TO_LEX = /[-+*/<>=~!@#%^&|`?]{64}/;
const MANY_COMMENTS = 64;

export function isSlowToLex(text: string): boolean {
  return SLOW_TO_LEX.test(text) || text.split("/*", MANY_COMMENTS).length >= MANY_COMMENTS;
}

/**
 * libpg_query's fingerprint: 16 hex digits, the same for texts whose trees differ in constants only. It also leaves out
 * what a string holds (the body of a DO), names of prepared statements and values of settings. Never throws.
 *
 * @returns `undefined` for what can't be parsed
 */
export function fingerprint(text: string): string | undefined {
  const outcome = guarded((module) =>
    stringResult(module, text, (query) => module._wasm_fingerprint(query)),
  );
  return typeof outcome === "string" && /^[0-9a-f]{16}$/.test(outcome) ? outcome : undefined;
}

/** The text as PostgreSQL's lexer cuts it, comments included; a failure for what even the lexer refuses. */
export function scan(
  text: string,
): { readonly kind: "scanned"; readonly tokens: readonly Token[] } | ParseFailure {
  return guarded((module) => {
    const json = stringResult(module, text, (query) => module._wasm_scan(query));
    if (!json.startsWith("{")) return syntaxError(json, undefined);
    // It escapes \n and the like in a token's text, but writes other control characters as they are.
    const escaped = json.replaceAll(/\p{Cc}/gu, (character) => {
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
    });
    const { tokens = [] } = JSON.parse(escaped) as { tokens?: Token[] };
    return { kind: "scanned", tokens };
  });
}

/** `text` with a blank for each comment: the lexer's own idea of comment. `undefined` when it can't be scanned. */
function withoutComments(text: string): string | undefined {
  let current = text;
  for (;;) {
    const scanned = scan(current);
    if (scanned.kind === "refused") return undefined;
    const comments = scanned.tokens.filter(({ tokenName }) => tokenName.endsWith("_COMMENT"));
    if (comments.length === 0) return current;
    const bytes = Buffer.from(current);
    const parts: string[] = [];
    let from = 0;
    for (const { start, end } of comments) {
      parts.push(bytes.toString("utf8", from, start));
      from = end;
    }
    parts.push(bytes.toString("utf8", from));
    current = parts.join(" ");
  }
}

/**
 * Runs `use` on the working instance. Whatever is thrown out of WebAssembly leaves its stack and heap in doubt: the
 * instance is replaced and the text refused.
 */
function guarded<T>(use: (module: PgQueryModule) => T): T | ParseFailure {
  const module = instance;
  if (module === undefined) return refused("failed", "the parser is being replaced");
  const exitCode = process.exitCode;
  try {
    return use(module);
  } catch (error) {
    process.exitCode = exitCode; // emscripten sets it when it gives up, and would end us with status 1 much later
    replaceInstance();
    return error instanceof RangeError
      ? refused("too_deep", "statement is nested too deeply to be read")
      : refused("failed", "the parser failed on this statement");
  }
}

function replaceInstance(): void {
  replacements += 1;
  instance = spare;
  spare = undefined;
  void createInstance().then((fresh) => {
    if (instance === undefined) instance = fresh;
    else spare = fresh;
  });
}

function syntaxError(message: string, position: number | undefined): ParseFailure {
  // Bison's stack limit, and PostgreSQL's own: a clean error, the instance is fine.
  if (/^memory exhausted|stack depth limit/.test(message)) return refused("too_deep", message);
  if (message.startsWith("out of memory")) throw new Error(message);
  return { kind: "refused", cause: "syntax", message, position };
}

function refused(cause: ParseFailure["cause"], message: string): ParseFailure {
  return { kind: "refused", cause, message, position: undefined };
}

function pointerTo(module: PgQueryModule, text: string): number {
  const bytes = Buffer.from(text);
  const pointer = module._malloc(bytes.length + 1);
  if (pointer === 0) throw new Error("out of memory");
  module.HEAPU8.set(bytes, pointer);
  module.HEAPU8[pointer + bytes.length] = 0;
  return pointer;
}

function stringResult(
  module: PgQueryModule,
  text: string,
  call: (query: number) => number,
): string {
  const query = pointerTo(module, text);
  const result = call(query);
  const string = module.UTF8ToString(result);
  module._wasm_free_string(result);
  module._free(query);
  return string;
}
