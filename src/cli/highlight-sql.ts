import { visibleText } from "../approvals/visible-text.ts";
import { scan, type Token } from "../sql/parser.ts";
import type { Terminal } from "./terminal.ts";

type Colors = Terminal["colors"];

/**
 * SQL for a terminal, line by line, made fit to be read. PostgreSQL's own lexer says what is a keyword, a string and a
 * comment, so that no colour lies about it; a text that it does not read has none.
 */
export function highlightSql(sql: string, colors: Colors): readonly string[] {
  return piecesOf(sql)
    .map(({ text, token }) => {
      const paint = token === undefined ? undefined : paintOf(token, colors);
      const shown = visibleText(text);
      // A line is painted by itself, or a colour would run into our own margin.
      return paint === undefined ? shown : shown.split("\n").map(paint).join("\n");
    })
    .join("")
    .split("\n");
}

interface Piece {
  readonly text: string;
  readonly token: Token | undefined;
}

function piecesOf(sql: string): readonly Piece[] {
  // What the lexer can't be given; and CR LF, which becomes one line break, must not be cut in two.
  if (!sql.isWellFormed() || sql.includes("\0") || sql.includes("\r")) {
    return [{ text: sql, token: undefined }];
  }
  const scanned = scan(sql);
  if (scanned.kind === "refused") return [{ text: sql, token: undefined }];
  const bytes = Buffer.from(sql);
  const pieces: Piece[] = [];
  let from = 0;
  for (const token of scanned.tokens) {
    pieces.push({ text: bytes.toString("utf8", from, token.start), token: undefined });
    pieces.push({ text: bytes.toString("utf8", token.start, token.end), token });
    from = token.end;
  }
  pieces.push({ text: bytes.toString("utf8", from), token: undefined });
  return pieces;
}

function paintOf(
  { tokenName, keywordName }: Token,
  colors: Colors,
): ((text: string) => string) | undefined {
  if (tokenName.endsWith("_COMMENT")) return colors.dim;
  if (tokenName === "SCONST" || tokenName === "USCONST") return colors.green;
  if (tokenName === "ICONST" || tokenName === "FCONST" || tokenName === "PARAM") return colors.cyan;
  return keywordName === "RESERVED_KEYWORD" || keywordName === "UNRESERVED_KEYWORD"
    ? colors.bold
    : undefined;
}
