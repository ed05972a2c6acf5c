import { z } from "zod";
import { existsSync, readFileSync } from "node:fs";
import type { Config } from "../../config/config.ts";
import { loadConfig } from "../../config/load.ts";
import { AUTH_METHODS } from "../../policy/client.ts";
import { searchDirectory } from "../../store/audit-search.ts";
import { parseWhen } from "../audit-when.ts";
import { CommandFailed } from "../command-failed.ts";
import { parseQuestion } from "../explain-json.ts";
import { Explainer, type Circumstances, type Question } from "../explainer.ts";
import type { Terminal } from "../terminal.ts";
import { visibleLine } from "../visible-line.ts";
import { USUAL_STATEMENTS } from "./usual-statements.ts";

export interface DiffOptions {
  readonly statements?: string;
  readonly audit?: string;
  readonly since?: string;
  readonly examples: number;
  readonly json?: true;
}

interface Case {
  readonly question: Question;
  readonly circumstances: Circumstances | undefined;
}

/** What is decided, and by which rule; or why nothing can be. */
interface Verdict {
  readonly action: string;
  readonly rule: string;
}

interface Group {
  readonly before: Verdict;
  readonly after: Verdict;
  readonly cases: Case[];
}

/** @throws CommandFailed (1) where any decision changes */
export async function diffPolicies(
  { before, after }: { readonly before: string; readonly after: string },
  options: DiffOptions,
  terminal: Terminal,
): Promise<void> {
  const [oldConfig, newConfig] = [before, after].map((file) =>
    loadConfig(file, { surroundings: "skip" }),
  ) as [Config, Config];
  const [oldRules, newRules] = [new Explainer(oldConfig), new Explainer(newConfig)];
  const groups = new Map<string, Group>();
  let asked = 0;
  try {
    for (const one of casesOf(oldConfig, options)) {
      asked += 1;
      const was = await verdictOf(oldRules, one);
      const is = await verdictOf(newRules, one);
      if (was.action === is.action && was.rule === is.rule) continue;
      const key = JSON.stringify([was, is]);
      const group = groups.get(key) ?? { before: was, after: is, cases: [] };
      group.cases.push(one);
      groups.set(key, group);
    }
  } finally {
    await Promise.all([oldRules.close(), newRules.close()]);
  }
  tell([...groups.values()], { options, terminal });
  const isOther = ({ before: was, after: is }: Group): boolean => was.action !== is.action;
  const changed = [...groups.values()]
    .filter(isOther)
    .reduce((sum, { cases }) => sum + cases.length, 0);
  if (changed > 0) throw new CommandFailed(1, `${changed} of ${asked} decisions are others`);
  if (options.json !== true) terminal.print(`none of ${asked} decisions is another`);
}

function* casesOf(config: Config, { statements, audit, since }: DiffOptions): Generator<Case> {
  if (audit !== undefined) yield* fromAudit(audit, since);
  if (statements !== undefined) yield* fromFile(statements, config);
  if (audit === undefined && statements === undefined) {
    for (const sql of USUAL_STATEMENTS) yield* forEverybody({ ...NOBODY, sql }, config);
  }
}

const NOBODY = { setup: [], user: undefined, database: undefined, dialect: undefined } as const;

function* fromFile(file: string, config: Config): Generator<Case> {
  if (!existsSync(file)) throw new CommandFailed(2, `no file ${file}`);
  for (const [index, line] of readFileSync(file, "utf8").split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      yield* forEverybody(parseQuestion(line, NOBODY), config);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new CommandFailed(2, `${file}:${index + 1}: ${why}`, { cause });
    }
  }
}

/** Of people with the same roles, one stands for all. */
function* forEverybody(question: Question, { principals, databases }: Config): Generator<Case> {
  const users =
    question.user === undefined
      ? [
          ...new Map(
            [...principals.values()].map((one) => [`${one.kind} ${one.roles.join()}`, one]),
          ).values(),
        ]
          .filter(({ isDisabled }) => !isDisabled)
          .map(({ name }) => name)
      : [question.user];
  const places = question.database === undefined ? [...databases.keys()] : [question.database];
  for (const user of users) {
    for (const database of places) {
      yield { question: { ...question, user, database }, circumstances: undefined };
    }
  }
}

/** What was decided, with who, where, how and when as they were. */
function* fromAudit(directory: string, since: string | undefined): Generator<Case> {
  const sinceMs = since === undefined ? undefined : parseWhen(since, Date.now());
  const ways = new Map<string, Pick<Circumstances, "method" | "hasTls">>();
  for (const { record } of searchDirectory(directory, { event: "session.start" })) {
    const { session, authentication, tls } = startSchema.parse(record);
    const method = AUTH_METHODS.find((known) => known === authentication) ?? "scram-sha-256";
    ways.set(session, { method, hasTls: tls !== undefined });
  }
  for (const { record } of searchDirectory(directory, { event: "statement.decided", sinceMs })) {
    const decided = decidedSchema.safeParse(record);
    if (!decided.success) continue; // too long to stand in its record
    const { sql, person, database, session, client, time } = decided.data;
    yield {
      question: { ...NOBODY, sql, user: person, database },
      circumstances: {
        ...(ways.get(session) ?? { method: "scram-sha-256", hasTls: true }),
        address: client.address === "local" ? undefined : client.address,
        applicationName: client.application_name ?? "",
        at: new Date(time),
      },
    };
  }
}

const startSchema = z.object({
  session: z.string(),
  authentication: z.string(),
  tls: z.string().optional(),
});

const decidedSchema = z.object({
  sql: z.string(),
  person: z.string(),
  database: z.string(),
  session: z.string(),
  client: z.object({ address: z.string(), application_name: z.string().optional() }),
  time: z.string(),
});

async function verdictOf(rules: Explainer, { question, circumstances }: Case): Promise<Verdict> {
  try {
    const { decision } = await rules.explain(question, circumstances);
    if (decision === undefined) return { action: "undecided", rule: "" };
    const observed = decision.action === "allow" ? decision.observed : undefined;
    if (observed === undefined) return { action: decision.action, rule: decision.rule };
    return { action: `${observed.action}, only observed`, rule: decision.rule };
  } catch (error) {
    // Somebody, or a database, that one of the two does not know.
    return {
      action: "can't connect",
      rule: error instanceof Error ? error.message : String(error),
    };
  }
}

function tell(
  groups: readonly Group[],
  { options, terminal }: { readonly options: DiffOptions; readonly terminal: Terminal },
): void {
  const largestFirst = [...groups].sort((a, b) => b.cases.length - a.cases.length);
  for (const { before, after, cases } of largestFirst) {
    const examples = cases.slice(0, options.examples).map(({ question }) => question);
    if (options.json === true) {
      terminal.print(
        JSON.stringify({
          before,
          after,
          count: cases.length,
          examples: examples.map(({ user, database, sql }) => ({ user, database, sql })),
        }),
      );
      continue;
    }
    const change =
      before.action === after.action ? before.action : `${before.action} → ${after.action}`;
    const rules = before.rule === after.rule ? before.rule : `${before.rule} → ${after.rule}`;
    terminal.print(`${terminal.colors.bold(change)}  ${cases.length} × (${rules})`);
    for (const { user, database, sql } of examples) {
      terminal.print(`    ${user ?? ""} on ${database ?? ""}: ${visibleLine(sql).slice(0, 120)}`);
    }
  }
}
