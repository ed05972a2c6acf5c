import type { ApprovalTerms } from "./decision.ts";
import type { Rule } from "./rule.ts";

/** What happens to a text that the grammar does not read. */
export type UnparsedTreatment =
  | { readonly action: "block" }
  | { readonly action: "require_approval"; readonly terms: ApprovalTerms }
  /** The rules decide: it has the one effect `unparsed`, counts as destructive and names no object. */
  | { readonly action: "ask_rules" };

export interface Policy {
  /** First match wins. */
  readonly rules: readonly Rule[];
  /** By environment; one that is missing here blocks. */
  readonly unparsed: ReadonlyMap<string, UnparsedTreatment>;
  /** Environments whose rules decide, but let pass. */
  readonly observed?: ReadonlySet<string> | undefined;
  /** Where false, every decision stands for as long as principal, client and place do, and may be kept. */
  readonly dependsOnTime: boolean;
}

export function createPolicy(policy: Omit<Policy, "dependsOnTime">): Policy {
  const { rules } = policy;
  const dependsOnTime = rules.some(
    ({ when, unless }) => when.during !== undefined || unless?.during !== undefined,
  );
  return { ...policy, dependsOnTime };
}
