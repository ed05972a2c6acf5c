import { z } from "zod";
import { AUTH_METHODS } from "../../policy/client.ts";
import { readYamlFile } from "../../config/yaml-file.ts";
import { CommandFailed } from "../command-failed.ts";
import type { Circumstances, Question } from "../explainer.ts";

const circumstances = {
  address: z.string().optional(),
  application_name: z.string().optional(),
  tls: z.boolean().optional(),
  auth_method: z.enum(AUTH_METHODS).optional(),
  at: z.iso.datetime({ offset: true }).optional(),
};

const caseSchema = z.strictObject({
  name: z.string().min(1).optional(),
  user: z.string(),
  database: z.string(),
  sql: z.string().min(1),
  setup: z.array(z.string()).default([]),
  ...circumstances,
  expect: z.enum(["allow", "block", "require_approval"]),
  rule: z.string().optional(),
});

const fileSchema = z.strictObject({
  /** Where cases say nothing else. */
  defaults: z.strictObject(circumstances).default({}),
  cases: z.array(caseSchema).min(1),
});

/** One thing that a policy is meant to do. */
export interface PolicyCase {
  readonly name: string;
  readonly question: Question;
  readonly circumstances: Circumstances;
  readonly expect: "allow" | "block" | "require_approval";
  /** `undefined`: whichever. */
  readonly rule: string | undefined;
}

/** @throws CommandFailed (2) that names every mistake of the file */
export function readCases(file: string, now: Date): readonly PolicyCase[] {
  const parsed = fileSchema.safeParse(readYamlFile(file).raw);
  if (!parsed.success) {
    const mistakes = parsed.error.issues.map(
      ({ path, message }) => `${path.join(".")}: ${message}`,
    );
    throw new CommandFailed(2, `${file} has mistakes: ${mistakes.join("; ")}`);
  }
  const { defaults, cases } = parsed.data;
  return cases.map(({ name, expect, rule, user, database, sql, setup, ...own }) => {
    const given = { ...defaults, ...own };
    return {
      name: name ?? `${user} on ${database}: ${sql}`,
      question: { sql, setup, user, database, dialect: undefined },
      circumstances: {
        address: given.address,
        applicationName: given.application_name ?? "",
        hasTls: given.tls ?? true,
        method: given.auth_method ?? "scram-sha-256",
        at: given.at === undefined ? now : new Date(given.at),
      },
      expect,
      rule,
    };
  });
}
