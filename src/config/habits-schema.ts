import { z } from "zod";
import { schedule } from "./rule-schema.ts";
import { name, nonEmpty, path } from "./schema-parts.ts";
import { duration } from "./units.ts";

/** Whose habit it is; what is not said is not asked. */
const scope = {
  name: name.describe("People see it in alerts and refusals; no rule of the policy has the same."),
  environments: nonEmpty(z.string()).optional().describe("In one of these."),
  databases: nonEmpty(z.string()).optional().describe("In one of these."),
  roles: nonEmpty(z.string()).optional().describe("Of who has one of these."),
  people: nonEmpty(z.string()).optional().describe("Of these; with `workloads`, of either."),
  workloads: nonEmpty(z.string()).optional().describe("Of these."),
};

const rowsOf = z
  .enum(["read", "change", "delete"])
  .describe("Rows returned; inserted, updated or deleted; or deleted alone.");

const rowCount = z.int().min(1).max(1_000_000_000_000);

const statementsSchema = z.strictObject({
  ...scope,
  mode: z
    .enum(["learn", "warn", "enforce"])
    .default("learn")
    .describe(
      "`learn` takes every shape in; `warn` alerts at one that is not known, once; `enforce` refuses it. " +
        "`twokey habits promote` makes it stricter for one person or workload, never laxer.",
    ),
  max_shapes: z
    .int()
    .min(10)
    .max(100_000)
    .default(2000)
    .describe("Of one person or workload; what comes after is not learned."),
});

const budgetSchema = z.strictObject({
  ...scope,
  of: rowsOf,
  rows: rowCount.describe("Together; more than these is unusual."),
  within: duration({ min: "1s", max: "7d" })
    .prefault("1h")
    .describe("The time they are counted in."),
  per: z
    .enum(["person", "session"])
    .default("person")
    .describe("Whose rows are added up; `person` counts a workload's, too, over all its sessions."),
  mode: z
    .enum(["warn", "enforce"])
    .default("warn")
    .describe(
      "`enforce` refuses further statements of the kind until some of the time has passed.",
    ),
});

const rowsSchema = z
  .strictObject({
    ...scope,
    of: rowsOf,
    more_than: rowCount.optional().describe("Of one statement."),
    times_usual: z
      .number()
      .min(2)
      .max(1_000_000)
      .optional()
      .describe(
        "Of one statement, in multiples of what 99 in 100 of their statements stay below; counts from the 100th on.",
      ),
  })
  .refine(
    ({ more_than: most, times_usual: times }) => most !== undefined || times !== undefined,
    "needs more_than or times_usual",
  );

const hoursSchema = z.strictObject({
  ...scope,
  outside: schedule.describe("The hours in which changes are expected."),
});

const honeypotSchema = z.strictObject({
  ...scope,
  tables: nonEmpty(
    z.string().regex(/^[^\s."]+(\.[^\s."]+)?$/u, "must be name or schema.name, without quotes"),
  ).describe("Tables and views that nobody has a reason to touch; `*` and `?` stand for others."),
});

export const habitsSchema = z
  .strictObject({
    statements: z
      .array(statementsSchema)
      .default([])
      .describe(
        "What somebody runs: a profile of the shapes of their statements. The first that matches counts.",
      ),
    budgets: z.array(budgetSchema).default([]).describe("How many rows add up, over a time."),
    rows: z.array(rowsSchema).default([]).describe("How many rows one statement reaches."),
    hours: z.array(hoursSchema).default([]).describe("When somebody changes anything."),
    honeypots: z.array(honeypotSchema).default([]).describe("What nobody touches."),
    directory: path.default("data/habits").describe("Where what was learned is kept."),
  })
  .prefault({})
  .describe(
    "What is usual, and what happens to what is not. [Find odd behaviour](../how-to/find-odd-behaviour.md) tells how to begin.",
  );

export type HabitsText = z.output<typeof habitsSchema>;
