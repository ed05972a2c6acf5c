import { isSlowToLex, scan, type Token } from "./parser.ts";

/** `passwords`: only what stands where a password is written. `all`: every constant, and comments, where anything may stand. */
export type Masking = "passwords" | "all";

/** What stands for a literal; for a comment, as a comment. */
const MASK = "?";
const MASKED_WHOLE = "(masked)";

/** Longer texts are not cut into tokens on the event loop: 64 KiB take about 10 ms. */
const MAX_CHARACTERS = 64 << 10;

const CONSTANTS: ReadonlySet<string> = new Set(["SCONST", "ICONST", "FCONST"]);

/**
 * A statement without its literals, by PostgreSQL's own lexer. A text that it does not read, or that is too long to be
 * read at once, is masked whole.
 *
 * @returns the very text where there is nothing to mask
 */
export function maskLiterals(text: string, masking: Masking): string {
  if (masking === "passwords" && !/passw/i.test(text)) return text;
  // Who hides a statement behind the word would have it masked whole: for a password's sake nothing is hidden unread.
  if (text.length > MAX_CHARACTERS || isSlowToLex(text)) {
    return masking === "all" ? MASKED_WHOLE : text;
  }
  const scanned = scan(text);
  if (scanned.kind === "refused") return MASKED_WHOLE;
  const { tokens } = scanned;
  const masked = tokens.filter((token, i) =>
    masking === "all" ? isLiteral(token) : isPassword(tokens, i),
  );
  return masked.length === 0 ? text : replace(text, masked);
}

function replace(text: string, masked: readonly Token[]): string {
  const bytes = Buffer.from(text);
  const parts: string[] = [];
  let from = 0;
  for (const { start, end, tokenName } of masked) {
    parts.push(bytes.toString("utf8", from, start), tokenName === "C_COMMENT" ? "/*?*/" : MASK);
    // What follows a comment of this kind stands on the next line, which is not part of it.
    if (tokenName === "SQL_COMMENT") parts.splice(-1, 1, "--?");
    from = end;
  }
  parts.push(bytes.toString("utf8", from));
  return parts.join("");
}

function isLiteral(token: Token): boolean {
  if (CONSTANTS.has(token.tokenName) || isComment(token)) return true;
  // Bit strings and U&'…', which libpg_query's scan has no names for.
  return token.tokenName === "UNKNOWN" && token.text.includes("'");
}

function isComment({ tokenName }: Token): boolean {
  return tokenName.endsWith("_COMMENT");
}

/** `PASSWORD 'x'`, as of roles and of options of foreign servers; `CONNECTION 'x'` of a subscription. */
function isPassword(tokens: readonly Token[], i: number): boolean {
  const token = tokens[i];
  if (token === undefined || !isLiteral(token) || isComment(token)) return false;
  let before = i - 1;
  for (let at = tokens[before]; at !== undefined && isComment(at); at = tokens[before]) before -= 1;
  return /^(password|passwd|connection)$/i.test(tokens[before]?.text ?? "");
}
