/**
 * libpg-query against node-sql-parser, over this repository's statements: what each reads, where they disagree, and how
 * fast. Prints the tables of docs/explanation/parsers.md: `node --import tsx test/bench/parsers.ts`.
 */
import { createRequire } from "node:module";
import { parse, warmUp } from "../../src/sql/parser.ts";
import { CORPUS_FILES, casesIn } from "../support/corpus.ts";
import { compareParsers, countWith } from "../sql/second-reader.ts";
import type { Agreement } from "../sql/second-reader.ts";

const CORPORA: readonly (readonly [name: string, files: readonly string[]])[] = [
  ["the statement corpus", ["corpus/statements.yaml"]],
  ["our own cases", CORPUS_FILES.filter((file) => file !== "corpus/statements.yaml")],
];

function statementsIn(files: readonly string[]): readonly string[] {
  return files
    .flatMap(casesIn)
    .filter(({ parses }) => parses !== false)
    .map(({ sql }) => sql);
}

function line(...cells: readonly (string | number)[]): void {
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
}

warmUp();
line("statements that PostgreSQL parses", "libpg-query", "node-sql-parser", "both, another count");
line("---", "---", "---", "---");
for (const [name, files] of CORPORA) {
  const texts = statementsIn(files);
  const seen = texts.map(compareParsers);
  const count = (...kinds: readonly Agreement[]): number =>
    seen.filter((agreement) => kinds.includes(agreement)).length;
  const read = count("same", "fewer", "more");
  line(
    `${name}: ${texts.length}`,
    texts.length,
    `${read} (${Math.round((read / texts.length) * 100)} %)`,
    count("fewer", "more"),
  );
}

function medianMicroseconds(work: () => unknown, repeats: number): number {
  const runs = Array.from({ length: 7 }, () => {
    const started = performance.now();
    for (let n = 0; n < repeats; n++) work();
    return ((performance.now() - started) * 1000) / repeats;
  }).toSorted((a, b) => a - b);
  return Math.round(runs[3] ?? 0);
}

const SHORT = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";
const JOIN = `SELECT c.id, c.name, sum(o.total) AS spent FROM customers c JOIN orders o ON o.customer_id = c.id
  WHERE c.country IN ('PT', 'DE') AND o.created_at > '2024-01-01' GROUP BY c.id, c.name HAVING sum(o.total) > 100
  ORDER BY spent DESC LIMIT 50`;
const BULK = `INSERT INTO t (a, b) VALUES ${"(1, 'some text'), ".repeat(5000)}(2, 'x')`;

process.stdout.write("\n");
line("µs a text, warm (median of 7)", "libpg-query", "node-sql-parser", "ratio");
line("---", "---", "---", "---");
for (const [name, text, repeats] of [
  ["a SELECT by key", SHORT, 500],
  ["a join with grouping", JOIN, 200],
  [`an INSERT of ${Math.round(BULK.length / 1024)} kB`, BULK, 3],
] as const) {
  const ours = medianMicroseconds(() => parse(text), repeats);
  const theirs = medianMicroseconds(() => countWith(text), repeats);
  line(name, ours, theirs, `${(theirs / ours).toFixed(1)} ×`);
}

const { version } = createRequire(import.meta.url)("node-sql-parser/package.json") as {
  readonly version: string;
};
process.stdout.write(`\nnode-sql-parser ${version}, Node ${process.version}\n`);
