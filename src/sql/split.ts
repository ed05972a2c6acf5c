import { parse, scan, type ParseFailure, type Token } from "./parser.ts";

/**
 * Cuts a script into the texts that `psql -f` of PostgreSQL 15 and later would send one by one: each from its first
 * token to its semicolon, without the blanks and `--` comments ahead of it. What comes out is judged anew, each text
 * for itself: this only says where they are likely to end.
 */
export function splitStatements(
  script: string,
): { readonly kind: "split"; readonly statements: readonly string[] } | ParseFailure {
  // The lexer takes no empty text.
  if (script.trim() === "") return { kind: "split", statements: [] };
  const scanned = scan(script);
  if (scanned.kind === "refused") return scanned;
  const bytes = Buffer.from(script);
  const statements: string[] = [];
  let piece: Token[] = [];
  for (const [index, token] of scanned.tokens.entries()) {
    if (piece.length === 0 && token.tokenName === "SQL_COMMENT") continue;
    piece.push(token);
    const isLast = index === scanned.tokens.length - 1;
    if (token.text !== ";" && !isLast) continue;
    const text = bytes.toString("utf8", piece[0]?.start, token.end);
    const parsed = parse(text);
    if (parsed.kind === "parsed") {
      if (parsed.statements.length > 0) statements.push(text);
      piece = [];
    } else if (isLast || parsed.cause !== "syntax") return parsed;
    // Else it ends inside: a semicolon in CREATE RULE's parentheses, or in a body between BEGIN ATOMIC and END.
  }
  return { kind: "split", statements };
}
