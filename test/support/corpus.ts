import { readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";

/** A row of the corpus; its meaning stands at the head of `test/corpus/statements.yaml`. */
export interface CorpusCase {
  readonly sql: string;
  readonly effect: readonly string[];
  readonly destructive: boolean;
  readonly also_ok?: readonly string[];
  readonly setup?: readonly string[];
  readonly parses?: boolean;
  readonly must_refuse?: boolean;
}

const TEST = new URL("../", import.meta.url);

/** The files of rows, by their path inside `test/`. */
export const CORPUS_FILES: readonly string[] = [
  ...readdirSync(new URL("corpus/", TEST), { encoding: "utf8" })
    .filter((name) => name.endsWith(".yaml"))
    .toSorted()
    .map((name) => `corpus/${name}`),
  "sql/cases.yaml",
];

export function casesIn(path: string): readonly CorpusCase[] {
  return parse(readFileSync(new URL(path, TEST), "utf8")) as CorpusCase[];
}

export function corpusTexts(): readonly string[] {
  return CORPUS_FILES.flatMap(casesIn).map(({ sql }) => sql);
}
