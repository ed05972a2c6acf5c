import nodeSqlParser from "node-sql-parser";
import { parse } from "../../src/sql/parser.ts";

const { Parser } = nodeSqlParser;
const second = new Parser();

/** How many statements node-sql-parser sees in a text; `undefined` where it refuses it. */
export function countWith(text: string): number | undefined {
  try {
    const tree: unknown = second.astify(text, { database: "postgresql" });
    const statements = Array.isArray(tree) ? tree : [tree];
    return statements.filter((statement) => statement !== null && statement !== undefined).length;
  } catch {
    return undefined;
  }
}

/** The second reader beside PostgreSQL's grammar; `fewer` is how a statement is smuggled past it. */
export type Agreement = "same" | "fewer" | "more" | "refused";

export function compareParsers(text: string): Agreement {
  const parsed = parse(text);
  const count = countWith(text);
  if (parsed.kind === "refused" || count === undefined) return "refused";
  const ours = parsed.statements.length;
  if (count === ours) return "same";
  return count < ours ? "fewer" : "more";
}
