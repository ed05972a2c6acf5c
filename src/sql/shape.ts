import type { Classification, ParsedClassification } from "./classification.ts";

/** Stand for an integer and for a string; no text that has a shape holds them itself. */
const INTEGER = "\x01";
const STRING = "\x02";
const UNFOLLOWED = "\x03";

const LONGEST = 4096;

// In this order: what can't be told apart without the grammar (comments, E'…', dollar quotes, backslashes, anything
// but printable ASCII) matches nothing but the last branch.
const TOKEN =
  // eslint-disable-next-line no-control-regex -- they are what it keeps out
  /([A-Za-z_][A-Za-z0-9_]*(?!['"&$A-Za-z0-9_]))|"[^"\\\x00-\x1f\x7f-\uffff]*"|('[^'\\\x00-\x1f\x7f-\uffff]*'(?!'))|(\.?[0-9][A-Za-z0-9_.]*)|\$[0-9]+(?![A-Za-z0-9_$])|[ \t\r\n]+|-(?!-)|\/(?!\*)|[.,;:()=<>+*%^|~!@#&?[\]]|([^])/g;

/**
 * A text with its integers (of up to nine digits) and its plainest strings taken out. Two texts of one shape parse to
 * the same tree but for the values of those literals: what is left out has one token wherever it stands.
 *
 * @returns `undefined` for a text that this little lexer does not follow for certain
 */
export function shapeOf(text: string): string | undefined {
  if (text.length > LONGEST) return undefined;
  const shape = text.replace(
    TOKEN,
    (token, _word: unknown, string: unknown, number: unknown, other: unknown) => {
      if (other !== undefined) return UNFOLLOWED;
      if (string !== undefined) return STRING;
      // `1.5`, `1e5` and `0x1F` stay as they are; so does `012`, and what no longer fits an integer.
      if (number !== undefined) return /^(0|[1-9][0-9]{0,8})$/.test(token) ? INTEGER : token;
      return token;
    },
  );
  return shape.includes(UNFOLLOWED) ? undefined : shape;
}

/**
 * Whether what was judged of one text holds for every text of its shape: a plain SELECT that only reads, or an INSERT
 * with nothing else in it. Neither is judged by the value of a literal, as filters, settings and options are.
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
  if (statement.node === "SelectStmt") return effects === "read";
  return (
    statement.node === "InsertStmt" && effects === "write" && !/update|delete|merge/i.test(shape)
  );
}
