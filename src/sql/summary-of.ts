import type { Classification } from "./classification.ts";

/** What it is called to people: of a batch, the statement that decided. */
export function summaryOf(classification: Classification, statement: number | undefined): string {
  if (classification.kind === "unparsed") {
    return "a statement that PostgreSQL's grammar does not read";
  }
  const { statements } = classification;
  const deciding = statements[statement ?? 0];
  if (deciding === undefined) return "an empty statement";
  return statements.length === 1
    ? deciding.summary
    : `${deciding.summary} (in a batch of ${statements.length} statements)`;
}
