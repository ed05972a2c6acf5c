import { z } from "zod";
import type { Answer, Question } from "./explainer.ts";

/** One line of `explain --json -`. Other members are ignored, so that a case of a corpus can be fed as it is. */
const lineSchema = z.union([
  z.string().transform((sql) => ({ sql })),
  z.object({
    sql: z.string(),
    setup: z.array(z.string()).exactOptional(),
    user: z.string().exactOptional(),
    database: z.string().exactOptional(),
    dialect: z.enum(["postgresql", "redshift"]).exactOptional(),
  }),
]);

/** @throws Error that says what the line is instead */
export function parseQuestion(line: string, defaults: Omit<Question, "sql">): Question {
  const given = lineSchema.safeParse(JSON.parse(line));
  if (!given.success) throw new Error('neither a JSON string nor an object with "sql"');
  return { ...defaults, ...given.data };
}

/** The line that answers; its form is a contract, scripts read it. */
export function answerLine({ classification, decision }: Answer): string {
  const isParsed = classification.kind === "parsed";
  return JSON.stringify({
    parses: isParsed,
    statements: isParsed
      ? classification.statements.map(({ effects, destructive, objects }) => ({
          effects,
          destructive,
          objects: objects.map(({ kind, schema = null, name }) => ({ kind, schema, name })),
        }))
      : [],
    effects: classification.effects,
    destructive: isParsed && classification.destructive,
    must_refuse: isParsed && classification.mustRefuse,
    decision: decision === undefined ? null : { action: decision.action, rule: decision.rule },
  });
}
