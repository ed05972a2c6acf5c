import { z } from "zod";
import { AUTH_METHODS } from "../policy/client.ts";
import { parseNetwork } from "../policy/network.ts";
import { parseMinuteOfWeek, type Freeze } from "../policy/freeze.ts";
import { localTimeIn, WEEKDAYS } from "../policy/local-time.ts";
import { parseSchedule } from "../policy/schedule.ts";
import { effect, messageOf, name, nonEmpty, parsedBy } from "./schema-parts.ts";
import { duration } from "./units.ts";

const effects = nonEmpty(effect);

const objectPattern = z
  .strictObject({
    kind: z.string().min(1).optional().describe("Such as `table`, `database`, `role`."),
    schema: z.string().min(1).optional().describe("Of a qualified name."),
    name: z.string().min(1).optional().describe("Without its schema."),
  })
  .refine((pattern) => Object.keys(pattern).length > 0, "needs kind, schema or name");

/** Times of the week, somewhere. */
export const schedule = z
  .strictObject({
    days: nonEmpty(z.enum(WEEKDAYS)).optional().describe("By default every day."),
    hours: nonEmpty(z.string())
      .optional()
      .describe(
        'Such as `"08:00-18:00"`; `"22:00-06:00"` ends on the next day. By default all day.',
      ),
    time_zone: z.string().describe("Such as `Europe/Madrid`."),
  })
  .transform(({ days, hours, time_zone: timeZone }, context) => {
    try {
      return parseSchedule({ days, hours, timeZone });
    } catch (error) {
      context.addIssue({ code: "custom", message: messageOf(error) });
      return z.NEVER;
    }
  });

const conditions = {
  environments: nonEmpty(z.string()).optional().describe("In one of these."),
  databases: nonEmpty(z.string()).optional().describe("In one of these."),
  roles: nonEmpty(z.string()).optional().describe("By somebody who has one of these."),
  people: nonEmpty(z.string()).optional().describe("By one of these."),
  workloads: nonEmpty(z.string()).optional().describe("By one of these."),
  effects: z
    .strictObject({
      any: effects.optional().describe("It has at least one of these."),
      all: effects.optional().describe("It has each of these."),
      only: effects.optional().describe("It has none but these."),
    })
    .refine((asked) => Object.keys(asked).length > 0, "needs any, all or only")
    .optional()
    .describe("What the statement can do."),
  destructive: z
    .boolean()
    .optional()
    .describe("Whether it loses data or structure that the client can't bring back."),
  objects: z
    .strictObject({
      any: nonEmpty(
        objectPattern.refine(
          ({ schema, name: its }) => schema === undefined || its !== undefined,
          'needs a name, too: any unqualified name may be in that schema (name: "*" if that is meant)',
        ),
      )
        .optional()
        .describe(
          "It names at least one that is one of these; an unqualified name may be in any schema.",
        ),
      only: nonEmpty(objectPattern)
        .optional()
        .describe(
          "It names objects, all of them one of these; an unqualified name is in no schema for certain.",
        ),
    })
    .refine((asked) => Object.keys(asked).length > 0, "needs any or only")
    .optional()
    .describe("What it names. Patterns may have `*` and `?`."),
  warnings: nonEmpty(z.string().min(1))
    .optional()
    .describe("It carries one of these migration warnings. Patterns may have `*` and `?`."),
  clients: nonEmpty(parsedBy(parseNetwork))
    .optional()
    .describe(
      "From one of these addresses or networks (`10.0.0.0/8`); `local` is the Unix socket.",
    ),
  application_names: nonEmpty(z.string().min(1))
    .optional()
    .describe(
      "By a program that says it is one of these, which proves nothing. Patterns may have `*` and `?`.",
    ),
  tls: z.boolean().optional().describe("Over an encrypted connection, or not."),
  auth_methods: nonEmpty(z.enum(AUTH_METHODS)).optional().describe("Proved in one of these ways."),
  during: schedule.optional().describe("At these times of the week."),
};

const freezeSchema = z
  .strictObject({
    name: name.describe("Stands in refusals."),
    from: z
      .string()
      .describe(
        "When it begins: every week (`fri 16:00`) or once (`2026-12-23T18:00:00Z`), as `to`.",
      ),
    to: z.string().describe("When it ends."),
    time_zone: z
      .string()
      .optional()
      .describe("Such as `Europe/Madrid`, of a weekly one; by default `UTC`."),
  })
  .transform((freeze, context): Freeze => {
    try {
      return toFreeze(freeze);
    } catch (error) {
      context.addIssue({ code: "custom", message: messageOf(error) });
      return z.NEVER;
    }
  });

function toFreeze({
  name: its,
  from,
  to,
  time_zone: timeZone = "UTC",
}: {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly time_zone?: string | undefined;
}): Freeze {
  const [fromInstant, toInstant] = [from, to].map((text) =>
    z.iso.datetime().safeParse(text).success ? new Date(text) : undefined,
  );
  if (fromInstant !== undefined && toInstant !== undefined) {
    if (fromInstant >= toInstant) throw new Error("ends before it begins");
    return {
      name: its,
      kind: "once",
      from: fromInstant.toISOString(),
      to: toInstant.toISOString(),
    };
  }
  localTimeIn(timeZone);
  const [fromMinute, toMinute] = [parseMinuteOfWeek(from), parseMinuteOfWeek(to)];
  if (fromMinute === toMinute) throw new Error("begins and ends at once");
  return { name: its, kind: "weekly", fromMinute, toMinute, timeZone };
}

/** Terms of an approval; what is left out comes from `approvals.defaults`, and there from what is described. */
export const approvalSchema = z.strictObject({
  approvers: nonEmpty(z.string())
    .optional()
    .describe("Roles of which any member may sign, but never the requester."),
  signatures: z
    .int()
    .min(1)
    .max(10)
    .optional()
    .describe("How many different people. By default 1."),
  max_validity: duration({ min: "1m", max: "30d" })
    .optional()
    .describe("How long an approval may be good for. By default `1h`."),
  max_uses: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe("How often it may be used. By default once."),
  reason: z.boolean().optional().describe("Whether the approver must give one. By default not."),
  parameters: z
    .enum(["exact", "any"])
    .optional()
    .describe(
      "`exact`: for the values bound to `$1`, `$2`, … as well, or `any`: for the text, whatever is bound to it. By default `exact`.",
    ),
  wait: z
    .enum(["refuse", "hold"])
    .optional()
    .describe(
      "`refuse` at once, with a request number, or `hold` the session until it is signed. By default `refuse`.",
    ),
  hold_for: duration({ min: "1s", max: "24h" })
    .optional()
    .describe("How long a session is held. By default `10m`."),
  break_glass: z
    .array(z.string())
    .optional()
    .describe(
      "Roles whose members may go alone when it can't wait, with a reason that they sign; everybody is alerted, and a " +
        "second person reviews it afterwards. By default nobody.",
    ),
  freeze: z
    .array(freezeSchema)
    .optional()
    .describe(
      "Times when nothing may be signed, nor run by what was signed before, but by breaking the glass. By default none.",
    ),
});

const common = {
  name: name.describe("Stands in refusals and records."),
  ...conditions,
  unless: z
    .strictObject(conditions)
    .refine((asked) => Object.keys(asked).length > 0, "needs a condition")
    .optional()
    .describe(
      "The exception: where all of this holds, the rule does not match. Takes the same conditions.",
    ),
};

const ACTION =
  "What follows. `message` and `hint` go with a refusal, `approval` with `require_approval`.";

const told = {
  message: z.string().min(1).max(500).optional().describe("Why, for the person who is refused."),
  hint: z.string().min(1).max(500).optional().describe("What to do instead."),
};

const backup = z
  .union(
    [
      z.literal("before"),
      z.strictObject({
        before: z
          .literal("tables")
          .describe(
            "Of the tables that a DROP TABLE or TRUNCATE takes without CASCADE; for all else the whole database.",
          ),
      }),
      z.strictObject({
        max_age: duration({ min: "1m", max: "400d" }).describe("Not older than this."),
        verified: z.boolean().default(false).describe("And tested: it was restored and compared."),
      }),
    ],
    'must be "before", {before: tables} or {max_age: 24h, verified: true}',
  )
  .optional()
  .describe(
    "What must be there before it runs: a backup of every database that it reaches, taken now (`before`: outside a " +
      "transaction, the session waits) or not long ago. Without it the statement is refused.",
  );

/** One rule. All conditions that are given must hold; within a list, one is enough. */
export const ruleSchema = z.discriminatedUnion("action", [
  z
    .strictObject({ ...common, action: z.literal("allow").describe(ACTION), backup })
    .superRefine(({ effects, objects }, context) => {
      refuseVague("allow", { effects, objects }, context, []);
    }),
  z
    .strictObject({ ...common, ...told, action: z.literal("block").describe(ACTION) })
    .superRefine(({ unless }, context) => {
      refuseVague("an exception", unless ?? {}, context, ["unless"]);
    }),
  z
    .strictObject({
      ...common,
      ...told,
      action: z.literal("require_approval").describe(ACTION),
      approval: approvalSchema
        .prefault({})
        .describe("Terms of the approval, where `approvals.defaults` won't do."),
      backup,
    })
    .superRefine(({ unless }, context) => {
      refuseVague("an exception", unless ?? {}, context, ["unless"]);
    }),
]);

export type RuleText = z.output<typeof ruleSchema>;
export type ConditionsText = NonNullable<RuleText["unless"]>;
export type BackupText = NonNullable<Extract<RuleText, { action: "allow" }>["backup"]>;
export type ApprovalText = z.output<typeof approvalSchema>;

/** `effects: {any: [read]}` in a rule that lets pass would let pass a SELECT that deletes: only `only` says enough. */
function refuseVague(
  what: string,
  asked: Pick<ConditionsText, "effects" | "objects">,
  context: z.RefinementCtx,
  at: readonly string[],
): void {
  for (const key of ["effects", "objects"] as const) {
    if (asked[key] === undefined || asked[key].only !== undefined) continue;
    context.addIssue({
      code: "custom",
      path: [...at, key],
      message: `${what} must say only: what it has besides would pass as well`,
    });
  }
}
