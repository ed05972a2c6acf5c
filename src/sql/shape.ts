import type { Classification, ParsedClassification } from "./classification.ts";

/** Stand for an integer and for a string; no text that has a shape holds them itself. */
const INTEGER = "\x01";
const STRING = "\x02";

const LONGEST = 4096;

/** What begins with a character. Whatever is not listed here is left to the grammar. */
const REFUSED = 0;
const PASSES = 1;
const WORD = 2;
const DIGIT = 3;
const QUOTE = 4;
const DOUBLE_QUOTE = 5;
const DOT = 6;
const DOLLAR = 7;
/** Passes, unless doubled or before a star: then it would begin a comment. */
const DASH = 8;
const SLASH = 9;

const BEGINS = new Uint8Array(128);
for (const character of " \t\r\n,;:()=<>+*%^|~!@#&?[]") BEGINS[character.charCodeAt(0)] = PASSES;
for (const character of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") {
  BEGINS[character.charCodeAt(0)] = WORD;
}
for (const character of "0123456789") BEGINS[character.charCodeAt(0)] = DIGIT;
for (const [character, kind] of [
  ["'", QUOTE],
  ['"', DOUBLE_QUOTE],
  [".", DOT],
  ["$", DOLLAR],
  ["-", DASH],
  ["/", SLASH],
] as const) {
  BEGINS[character.charCodeAt(0)] = kind;
}

/**
 * A text with its integers (of up to nine digits) and its plainest strings taken out. Two texts of one shape parse to
 * the same tree but for the values of those literals: what is left out has one token wherever it stands.
 *
 * @returns `undefined` for a text that this little lexer does not follow for certain: comments, escapes, E'…' and its
 *   like, dollar quotes, anything but printable ASCII
 */
export function shapeOf(text: string): string | undefined {
  if (text.length > LONGEST) return undefined;
  let shape = "";
  let keptFrom = 0;
  let end: number;
  for (let start = 0; start < text.length; start = end) {
    end = start + 1;
    switch (beginsAt(text, start)) {
      case PASSES:
        break;
      case DASH:
        if (text[end] === "-") return undefined;
        break;
      case SLASH:
        if (text[end] === "*") return undefined;
        break;
      case DOUBLE_QUOTE:
        end = afterQuoted(text, start);
        if (end === 0) return undefined;
        break;
      case WORD:
        end = afterWord(text, start);
        // E'…', U&"…", a$b: what follows belongs to it.
        if (text[end] === "'" || text[end] === '"' || text[end] === "&") return undefined;
        if (text[end] === "$") return undefined;
        break;
      case DOLLAR:
        end = afterWord(text, start + 1);
        if (!/^[0-9]+$/.test(text.slice(start + 1, end)) || text[end] === "$") return undefined;
        break;
      case DOT:
        // `.5` is a number, and stays.
        if (beginsAt(text, end) === DIGIT) end = afterNumber(text, end);
        break;
      case DIGIT:
        end = afterNumber(text, start);
        if (!isInteger(text, start, end)) break;
        shape += text.slice(keptFrom, start) + INTEGER;
        keptFrom = end;
        break;
      case QUOTE:
        end = afterQuoted(text, start);
        // A doubled quote would go on with the same string.
        if (end === 0 || text[end] === "'") return undefined;
        shape += text.slice(keptFrom, start) + STRING;
        keptFrom = end;
        break;
      default:
        return undefined;
    }
  }
  return shape + text.slice(keptFrom);
}

function beginsAt(text: string, position: number): number {
  const code = text.charCodeAt(position);
  return code < 128 ? (BEGINS[code] ?? REFUSED) : REFUSED;
}

function afterWord(text: string, start: number): number {
  let end = start;
  for (;;) {
    const kind = beginsAt(text, end);
    if (kind !== WORD && kind !== DIGIT) return end;
    end += 1;
  }
}

/** Also past what makes it no integer: `1.5`, `1e5`, `0x1F`, `1_000`. */
function afterNumber(text: string, start: number): number {
  let end = start;
  for (;;) {
    const kind = beginsAt(text, end);
    if (kind !== WORD && kind !== DIGIT && kind !== DOT) return end;
    end += 1;
  }
}

/** @returns 0 for a quote that does not end, or whose inside is more than printable ASCII without a backslash */
function afterQuoted(text: string, start: number): number {
  const quote = text.charCodeAt(start);
  for (let position = start + 1; position < text.length; position++) {
    const code = text.charCodeAt(position);
    if (code === quote) return position + 1;
    if (code < 0x20 || code > 0x7e || code === 0x5c) return 0;
  }
  return 0;
}

/** One to nine digits, none of them a leading zero: what PostgreSQL reads as a four-byte integer, in one way. */
function isInteger(text: string, start: number, end: number): boolean {
  if (end - start > 9 || (end - start > 1 && text[start] === "0")) return false;
  for (let position = start; position < end; position++) {
    if (beginsAt(text, position) !== DIGIT) return false;
  }
  return true;
}

// A column: neither a number that stays in the shape (1.5, 007, 0x1F), nor a word that is a constant. Compared with a
// literal those would be constant conditions, true for one literal and false for another.
const WORD_NAME = String.raw`(?!(?:true|false|null)\b)[a-z_]\w*`;
const NAME = String.raw`${WORD_NAME}(?:\.${WORD_NAME})?`;
const CONDITION = String.raw`${NAME}\s*(?:=|<>|<=?|>=?)\s*[\x01\x02]`;

/** An UPDATE or DELETE of one table whose whole filter is columns compared with literals. */
const FILTERED_BY_LITERALS = new RegExp(
  String.raw`^\s*(?:UPDATE\s+${NAME}\s+SET\s|DELETE\s+FROM\s+${NAME}\s).*?\bWHERE\s+${CONDITION}(?:\s+AND\s+${CONDITION})*\s*;?\s*$`,
  "is",
);

const HAS_MORE_TO_IT =
  /\b(?:select|with|using|returning|update.*update|delete.*delete|where.*where|merge)\b/is;

/**
 * Whether what was judged of one text holds for every text of its shape: of a plain SELECT that only reads, of an
 * INSERT with nothing else in it, and of an UPDATE or DELETE filtered by comparing columns with literals, which is a
 * filter whatever the literal is. None of these is judged by a literal's value, as other filters, settings and options
 * are.
 */
export function holdsForShape(
  classification: Classification,
  shape: string,
): classification is ParsedClassification {
  if (classification.kind === "unparsed" || classification.dependsOnSession) return false;
  const { statements, destructive, mustRefuse, mayChangeLexing } = classification;
  const [statement] = statements;
  if (statement === undefined || statements.length > 1) return false;
  if (destructive || mustRefuse || mayChangeLexing) return false;
  const effects = statement.effects.join();
  switch (statement.node) {
    case "SelectStmt":
      return effects === "read";
    case "InsertStmt":
      return effects === "write" && !/update|delete|merge/i.test(shape);
    case "UpdateStmt":
    case "DeleteStmt":
      return (
        (effects === "write" || effects === "delete") &&
        !HAS_MORE_TO_IT.test(shape) &&
        FILTERED_BY_LITERALS.test(shape)
      );
    default:
      return false;
  }
}
