import { existsSync, readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Command, InvalidArgumentError, Option } from "commander";
import { loadConfig } from "../config/load.ts";
import { AUTH_METHODS, type AuthMethod } from "../policy/client.ts";
import type { Dialect } from "../sql/classify.ts";
import { CommandFailed } from "./command-failed.ts";
import { answerLine, parseQuestion } from "./explain-json.ts";
import { describeAnswer } from "./explain-text.ts";
import { Explainer, type Answer, type Question } from "./explainer.ts";
import type { Terminal } from "./terminal.ts";

interface ExplainOptions {
  readonly config?: string;
  readonly user?: string;
  readonly database?: string;
  readonly dialect?: Dialect;
  readonly setup: readonly string[];
  readonly address?: string;
  readonly applicationName: string;
  readonly tls: boolean;
  readonly authMethod: AuthMethod;
  readonly at?: Date;
  readonly json?: boolean;
}

/** `twokey explain`: what a statement does, and what would be decided. It runs nothing and asks no server. */
export function explainCommand(terminal: Terminal, stdin: Readable = process.stdin): Command {
  return new Command("explain")
    .description(
      "Tell what a statement does and, with a configuration, what is decided and by which rule",
    )
    .argument("<sql>", "a statement, a file of statements, or - for standard input")
    .option("--config <file>", "the configuration whose rules decide")
    .option("--user <name>", "who runs it")
    .option("--database <name>", "where, by the name that people connect to")
    .addOption(
      new Option("--dialect <dialect>", "of the server; by default the database's").choices([
        "postgresql",
        "redshift",
      ]),
    )
    .option("--setup <sql>", "run before on the same connection; may be given again", collect, [])
    .option("--address <ip>", "from where (default: the Unix socket)")
    .option("--application-name <name>", "which program says that it runs it", "")
    .option("--no-tls", "over an unencrypted connection")
    .addOption(
      new Option("--auth-method <method>", "how they proved who they are")
        .choices(AUTH_METHODS)
        .default("scram-sha-256"),
    )
    .option("--at <time>", "when, such as 2026-11-27T22:30:00Z (default: now)", parseTime)
    .option("--json", "print JSON; with -, answer each line of JSON by one")
    .action((sql: string, options: ExplainOptions) => explain(sql, { options, terminal, stdin }));
}

interface Context {
  readonly options: ExplainOptions;
  readonly terminal: Terminal;
  readonly stdin: Readable;
}

async function explain(given: string, context: Context): Promise<void> {
  const { options, stdin } = context;
  const config =
    options.config === undefined ? undefined : loadConfig(options.config, { surroundings: "skip" });
  const explainer = new Explainer(config, {
    address: options.address,
    applicationName: options.applicationName,
    hasTls: options.tls,
    method: options.authMethod,
    at: options.at ?? new Date(),
  });
  try {
    if (given === "-" && options.json === true) await explainLines(explainer, context);
    else
      await explainOne(given === "-" ? await text(stdin) : readArgument(given), explainer, context);
  } finally {
    await explainer.close();
  }
}

/** Prints one answer; leaves with 1 where it would not simply run. */
async function explainOne(
  sql: string,
  explainer: Explainer,
  { options, terminal }: Context,
): Promise<void> {
  const answer = await explainer.explain({ ...questionOf(options), sql });
  if (options.json === true) terminal.print(answerLine(answer));
  else
    for (const line of describeAnswer(answer, { sql, colors: terminal.colors }))
      terminal.print(line);
  const verdict = verdictOf(answer);
  if (verdict !== undefined) throw new CommandFailed(1, verdict);
}

function verdictOf({ classification, decision }: Answer): string | undefined {
  switch (decision?.action) {
    case "block":
      return "it would be refused";
    case "require_approval":
      return "it would need an approval";
    case "allow":
      return undefined;
    case undefined:
      return classification.kind === "unparsed" ? "it does not parse" : undefined;
  }
}

/** One line for each line; what can't be answered gets an `error` in its place, so that the lines stay in step. */
async function explainLines(
  explainer: Explainer,
  { options, terminal, stdin }: Context,
): Promise<void> {
  let unanswered = 0;
  for await (const line of createInterface({ input: stdin, crlfDelay: Infinity })) {
    if (line.trim() === "") continue;
    try {
      const question = parseQuestion(line, questionOf(options));
      terminal.print(answerLine(await explainer.explain(question)));
    } catch (error) {
      unanswered += 1;
      const message = error instanceof Error ? error.message : String(error);
      terminal.print(JSON.stringify({ error: message }));
    }
  }
  if (unanswered > 0)
    throw new CommandFailed(2, `${unanswered} of the lines could not be answered`);
}

function questionOf({ setup, user, database, dialect }: ExplainOptions): Omit<Question, "sql"> {
  return { setup, user, database, dialect };
}

/** A file where there is one of that name, else the SQL itself; what looks like a path and is none is a mistake. */
function readArgument(given: string): string {
  if (!given.includes("\n") && existsSync(given)) return readFileSync(given, "utf8");
  if (/^\S+\.sql$/.test(given)) throw new CommandFailed(2, `no file ${given}`);
  return given;
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

function parseTime(given: string): Date {
  const at = new Date(given);
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError("not a time.");
  return at;
}
