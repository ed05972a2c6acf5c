/**
 * Mutated statements through our parser and a real server's: no crash, no slow one, no other verdict.
 *
 *   npm run fuzz -- [statements] [seed]
 *
 * Starts the embedded PostgreSQL, or uses the server of PGHOST, PGPORT, PGUSER and PGPASSWORD if PGHOST is set.
 */
import type { Classification } from "../../src/sql/classification.ts";
import { classify } from "../../src/sql/classify.ts";
import { NEW_SESSION } from "../../src/sql/session.ts";
import { corpusTexts } from "../support/corpus.ts";
import { startPostgres } from "../support/postgres.ts";
import { mutate, seededRandom } from "./mutate.ts";
import { ServerGrammar } from "./server-verdict.ts";
import type { ServerVerdict } from "./server-verdict.ts";

interface FuzzReport {
  readonly statements: number;
  readonly parsed: number;
  readonly slowest: { readonly ms: number; readonly text: string };
  readonly failures: readonly string[];
  readonly disagreements: readonly string[];
  /** Texts that libpg_query takes and the server doesn't, for a parameter with a letter or a word right behind it. */
  readonly looseParameters: number;
  /** DO without exactly one body: the server's grammar takes it, its execution doesn't, and neither do we. */
  readonly bodiless: number;
}

interface Batch {
  readonly texts: readonly string[];
  readonly verdicts: Promise<readonly ServerVerdict[]>;
}

const BATCH = 500;

export async function fuzz(
  grammar: ServerGrammar,
  { statements, seed }: { readonly statements: number; readonly seed: number },
): Promise<FuzzReport> {
  const random = seededRandom(seed);
  const texts = corpusTexts();
  const failures: string[] = [];
  const disagreements: string[] = [];
  let [parsed, looseParameters, bodiless] = [0, 0, 0];
  let slowest = { ms: 0, text: "" };
  const ask = (): Batch => {
    const batch = Array.from({ length: BATCH }, () => mutate(texts, random).toWellFormed());
    return { texts: batch, verdicts: grammar.verdicts(batch) };
  };
  let next = ask();
  for (let done = 0; done < statements; done += BATCH) {
    const batch = next;
    next = ask(); // the server reads these while we judge those
    const verdicts = await batch.verdicts;
    for (const [index, text] of batch.texts.entries()) {
      const started = performance.now();
      const classified = classify(text, { dialect: "postgresql", session: NEW_SESSION });
      const tookMs = performance.now() - started;
      if (tookMs > slowest.ms) slowest = { ms: tookMs, text };
      const ours = verdictOf(classified);
      const theirs = verdicts[index] ?? "refused";
      if (ours === "failed") failures.push(text);
      if (ours !== "refused") parsed += 1;
      if (agree(ours, theirs)) continue;
      if (isBodiless(classified)) {
        bodiless += 1;
        continue;
      }
      // What the server gets is the text itself, or the same without the comments that libpg_query trips over.
      const forwarded = classified.kind === "parsed" ? classified.text : text;
      const [verdict] = await grammar.verdicts([forwarded]);
      if (verdict !== undefined && agree(ours, verdict)) continue;
      if (theirs === "refused" && /\$\d/.test(text)) looseParameters += 1;
      else disagreements.push(`${ours}, the server ${theirs}: ${JSON.stringify(text)}`);
    }
  }
  return { statements, parsed, slowest, failures, disagreements, looseParameters, bodiless };
}

type OurVerdict = ServerVerdict | "failed";

function verdictOf(classified: Classification): OurVerdict {
  if (classified.kind === "unparsed") return classified.cause === "failed" ? "failed" : "refused";
  const { length } = classified.statements;
  return length === 0 ? "none" : length === 1 ? "one" : "many";
}

function isBodiless(classified: Classification): boolean {
  return classified.kind === "unparsed" && classified.message.startsWith("DO needs");
}

/** The server says the same of no statement and of one. */
function agree(ours: OurVerdict, theirs: ServerVerdict): boolean {
  return (ours === "none" ? "one" : ours) === (theirs === "none" ? "one" : theirs);
}

async function main(): Promise<void> {
  const [statements = 100_000, seed = Date.now() % 2 ** 31] = process.argv.slice(2).map(Number);
  const own = process.env["PGHOST"] === undefined ? await startPostgres() : undefined;
  const grammar = await ServerGrammar.connect(
    own === undefined ? {} : { ...own, user: own.superuser, database: "postgres" },
  );
  const report = await fuzz(grammar, { statements, seed });
  grammar.close();
  await own?.stop();
  process.stdout.write(`${JSON.stringify({ seed, ...report }, undefined, 2)}\n`);
  process.exitCode = report.failures.length + report.disagreements.length === 0 ? 0 : 1;
}

if (process.argv[1]?.endsWith("fuzz/sql.ts") === true) await main();
