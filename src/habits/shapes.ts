import { createHash } from "node:crypto";
import type { ParsedClassification } from "../sql/classification.ts";
import { fingerprint, isSlowToLex } from "../sql/parser.ts";
import { shapeOf } from "../sql/shape.ts";

/** What a text looks like without its literals. */
export interface Shape {
  /** 16 hex digits; another one in another database. */
  readonly id: string;
  /** Shown to people: no literal stands in it. */
  readonly sample: string;
}

/** Longer texts, and those that are slow to lex, would hold the event loop up; they are told apart by what they do to what. */
const MAX_PARSED_CHARACTERS = 4096;
const MAX_SAMPLE = 200;
const MAX_REMEMBERED = 4096;
const ID_DIGITS = 16;

/** What they run stands in a string or under a name, which a fingerprint leaves out: each text is a shape of its own. */
const HIDES_WHAT_IT_RUNS = new Set([
  "DoStmt",
  "CreateFunctionStmt",
  "ExecuteStmt",
  "VariableSetStmt",
]);

/** Shapes of texts, each worked out once for all texts that differ in plain literals. */
export class Shapes {
  #fingerprints = new Map<string, string>();

  /** @returns `undefined` for what has no shape worth knowing: nothing at all, or the limits of a transaction */
  of(classification: ParsedClassification, database: string): Shape | undefined {
    if (isPlain(classification)) return undefined;
    const { text, effects, destructive } = classification;
    const plain = shapeOf(text);
    const likeness = this.#likenessOf(plain, classification);
    // Which rows a constant picks is no matter of shape, but whether it picks them all is.
    const parts = [database, effects.join(), destructive, likeness];
    const id = createHash("sha256").update(JSON.stringify(parts)).digest("hex");
    return { id: id.slice(0, ID_DIGITS), sample: sampleOf(plain, classification) };
  }

  #likenessOf(plain: string | undefined, { text, statements }: ParsedClassification): string {
    if (statements.some(({ node }) => HIDES_WHAT_IT_RUNS.has(node))) return text;
    if (text.length > MAX_PARSED_CHARACTERS || isSlowToLex(text)) return coarseLikeness(statements);
    const key = plain ?? text;
    let known = this.#fingerprints.get(key);
    if (known === undefined) {
      // What was parsed a moment ago, or without its comments, may fail here: then it is alike to itself only.
      known = fingerprint(text) ?? text;
      if (this.#fingerprints.size >= MAX_REMEMBERED) this.#fingerprints = new Map();
      this.#fingerprints.set(key, known);
    }
    return known;
  }
}

function isPlain({ effects }: ParsedClassification): boolean {
  return effects.every((effect) => effect === "transaction");
}

function coarseLikeness(statements: ParsedClassification["statements"]): string {
  const parts = statements.map(({ node, effects, objects }) => ({ node, effects, objects }));
  // As long as its statements are many, and hashed at once.
  return JSON.stringify([...new Set(parts.map((part) => JSON.stringify(part)))]);
}

function sampleOf(plain: string | undefined, { statements }: ParsedClassification): string {
  const words =
    plain?.replaceAll("\u0001", "?").replaceAll("\u0002", "?").replaceAll(/\s+/g, " ").trim() ??
    statements
      .slice(0, 3)
      .map(({ summary }) => summary)
      .join("; ");
  return words.length > MAX_SAMPLE ? `${words.slice(0, MAX_SAMPLE - 1)}…` : words;
}
