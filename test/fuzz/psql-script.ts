import { scan } from "../../src/sql/parser.ts";
import type { Token } from "../../src/sql/parser.ts";

/**
 * The statements of a psql script, one by one, whether they parse or not: its meta-commands and the rows after
 * `COPY … FROM stdin` are left out. Good enough for test scripts; variables (`:name`) stay and do not parse.
 */
export function statementsOfPsqlScript(script: string): readonly string[] {
  const sql = withoutCopiedRows(script)
    .split("\n")
    .filter((line) => !/^\s*\\/.test(line))
    // A meta-command may end a statement in a semicolon's place.
    .map((line) => line.replace(/\s\\(g\w*|watch|crosstabview|bind)\b.*$/, ";"))
    .join("\n");
  const scanned = scan(sql);
  // What the lexer refuses is cut where lines end in a semicolon.
  if (scanned.kind === "refused")
    return sql.split(/;[ \t]*$/m).filter((text) => text.trim() !== "");
  return cut(Buffer.from(sql), scanned.tokens);
}

function withoutCopiedRows(script: string): string {
  const kept: string[] = [];
  let isCopying = false;
  for (const line of script.split("\n")) {
    if (!isCopying) kept.push(line);
    if (isCopying ? line === "\\." : /^\s*copy\b.*\bfrom\s+stdin\b.*;\s*$/i.test(line)) {
      isCopying = !isCopying;
    }
  }
  return kept.join("\n");
}

/** At semicolons outside of parentheses, as of CREATE RULE, and outside of BEGIN ATOMIC … END. */
function cut(bytes: Buffer, tokens: readonly Token[]): readonly string[] {
  const statements: string[] = [];
  let [start, parentheses, blocks] = [-1, 0, 0];
  for (const [index, { start: from, end, text, tokenName }] of tokens.entries()) {
    if (start === -1 && (text === ";" || tokenName.endsWith("_COMMENT"))) continue;
    if (start === -1) start = from;
    if (text === "(") parentheses += 1;
    if (text === ")") parentheses = Math.max(0, parentheses - 1);
    const word = text.toLowerCase();
    if (word === "atomic" || (blocks > 0 && word === "case")) blocks += 1;
    if (blocks > 0 && word === "end") blocks -= 1;
    const isEnd = text === ";" && parentheses === 0 && blocks === 0;
    if (!isEnd && index < tokens.length - 1) continue;
    statements.push(bytes.toString("utf8", start, end));
    [start, parentheses, blocks] = [-1, 0, 0];
  }
  return statements;
}
