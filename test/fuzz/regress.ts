/**
 * PostgreSQL's own regression tests as statements to be judged: no crash, the server's verdict "parses / doesn't" on
 * each, and none that begins like a destructive command judged harmless.
 *
 *   npm run regress                 fetches Debian's source package of PostgreSQL (deb-src, about 23 MB) into a cache
 *   npm run regress -- FOLDER       reads the .sql files below FOLDER
 *
 * Starts the embedded PostgreSQL for the second opinion. Its release may be newer than the tests': what only one of
 * the two grammars knows is counted, not hidden.
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Classification } from "../../src/sql/classification.ts";
import { classify } from "../../src/sql/classify.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { startPostgres } from "../support/postgres.ts";
import { fetchPostgresqlSource } from "./postgresql-source.ts";
import { statementsOfPsqlScript } from "./psql-script.ts";
import { ServerGrammar } from "./server-verdict.ts";

/** By its first words only, knowing nothing of our judgement. `pg_temp` and what never parses is left out by the caller. */
const DESTRUCTIVE =
  /^(drop\s+(?!.*\bpg_temp)|truncate\b|alter\s+table\s+(if\s+exists\s+)?(only\s+)?[\w".]+\s+drop\s+(column|constraint)\b|delete\s+from\s+(only\s+)?[\w".]+\s*;?$|update\s+(only\s+)?[\w".]+\s+set\s+[\w"]+\s*=\s*[\w']+\s*;?$)/i;

interface Report {
  readonly files: number;
  readonly statements: number;
  readonly parsed: number;
  readonly failures: readonly string[];
  readonly harmless: readonly string[];
  /** Texts that we read and the server doesn't, or the other way round. */
  readonly oursOnly: readonly string[];
  readonly serverOnly: readonly string[];
  readonly destructiveSeen: number;
}

async function judgeAll(files: readonly string[], grammar: ServerGrammar): Promise<Report> {
  const texts = new Set<string>();
  for (const file of files) {
    const script = readFileSync(file, "latin1").includes("\u0000")
      ? ""
      : readFileSync(file, "utf8");
    for (const text of statementsOfPsqlScript(script.toWellFormed())) texts.add(text);
  }
  const statements = [...texts];
  const [failures, harmless, oursOnly, serverOnly]: [string[], string[], string[], string[]] = [
    [],
    [],
    [],
    [],
  ];
  let [parsed, destructiveSeen] = [0, 0];
  for (let from = 0; from < statements.length; from += 500) {
    const batch = statements.slice(from, from + 500);
    const verdicts = await grammar.verdicts(batch);
    for (const [index, text] of batch.entries()) {
      const judged = classify(text, { dialect: "postgresql", session: NEW_SESSION });
      if (judged.kind === "parsed") parsed += 1;
      else if (judged.cause === "failed") failures.push(text);
      const isRead = judged.kind === "parsed";
      if (isRead && verdicts[index] === "refused") oursOnly.push(text);
      if (!isRead && verdicts[index] !== "refused") serverOnly.push(text);
      if (isRead && looksDestructive(text)) {
        destructiveSeen += 1;
        if (!isToldDestructive(judged)) harmless.push(text);
      }
    }
  }
  return {
    files: files.length,
    statements: statements.length,
    parsed,
    destructiveSeen,
    failures,
    harmless,
    oursOnly,
    serverOnly,
  };
}

function looksDestructive(text: string): boolean {
  return DESTRUCTIVE.test(text.replaceAll(/--.*$/gm, " ").replaceAll(/\s+/g, " ").trim());
}

function isToldDestructive(judged: Classification): boolean {
  return judged.kind === "parsed" && judged.destructive;
}

async function main(): Promise<void> {
  const folder = process.argv[2] ?? fetchPostgresqlSource("sql", "*/sql/*.sql");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".sql"))
    .toSorted()
    .map((name) => join(folder, name));
  const server = await startPostgres();
  const grammar = await ServerGrammar.connect({
    ...server,
    user: server.superuser,
    database: "postgres",
  });
  const report = await judgeAll(files, grammar);
  grammar.close();
  await server.stop();
  process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  process.exitCode = report.failures.length + report.harmless.length === 0 ? 0 : 1;
}

await main();
