import { z } from "zod";
import type { ParsedClassification } from "../sql/classification.ts";
import type { ServerSession } from "../provision/server-session.ts";

/** What a plan of the planner's can hold, as far as it matters here. */
interface Plan {
  readonly "Node Type": string;
  readonly "Plan Rows": number;
  readonly Plans?: readonly Plan[] | undefined;
}

const plan: z.ZodType<Plan> = z.looseObject({
  "Node Type": z.string(),
  "Plan Rows": z.number(),
  get Plans() {
    return z.array(plan).optional();
  },
});

const explained = z.array(z.looseObject({ Plan: plan })).min(1);

/**
 * How many rows the planner expects the statement to change, or to give. By EXPLAIN, which runs nothing but what
 * planning evaluates; so no text that may call what nobody knows is planned.
 *
 * @returns `null` for what has no plan, or should have none
 */
export async function estimateRows(
  classification: ParsedClassification,
  session: ServerSession,
): Promise<number | null> {
  // INVARIANT: one statement, or EXPLAIN would be about the first and the rest would run.
  const [statement, ...others] = classification.statements;
  if (statement === undefined || others.length > 0 || !PLANNED.has(statement.node)) return null;
  if (statement.effects.some((effect) => !HARMLESS_TO_PLAN.has(effect))) return null;
  const generic = classification.hasParameters ? ", GENERIC_PLAN" : "";
  const [json = "null"] = await session.texts(
    `EXPLAIN (FORMAT JSON${generic}) ${classification.text}`,
  );
  const [first] = explained.parse(JSON.parse(json));
  return first === undefined ? null : rowsOf(first.Plan);
}

const PLANNED = new Set(["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

/** No `opaque`: planning may run what is declared immutable. */
const HARMLESS_TO_PLAN: ReadonlySet<string> = new Set(["read", "write", "delete"]);

/** What a ModifyTable returns is 0 without RETURNING; what it changes is what it reads. */
function rowsOf({ "Node Type": type, "Plan Rows": rows, Plans: plans = [] }: Plan): number {
  if (type !== "ModifyTable") return Math.round(rows);
  return Math.round(plans.reduce((sum, child) => sum + child["Plan Rows"], 0));
}
