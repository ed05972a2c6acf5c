import type { Node } from "libpg-query";
import { constantOf } from "../constants.ts";
import { as } from "../tree.ts";
import { comparisonVerdict, isNeverNull } from "./comparison.ts";
import { verdictOf } from "./filter-scope.ts";
import type { FilterScope } from "./filter-scope.ts";
import { unanimous } from "./verdict.ts";
import type { Verdict } from "./verdict.ts";

export function coalesceVerdict(
  args: readonly Node[],
  scope: FilterScope,
  negated: boolean,
): Verdict {
  const relevant = args.filter((arg) => constantOf(arg) !== null);
  const end = relevant.findIndex((arg) => constantOf(arg) !== undefined || isNeverNull(arg));
  const reached = end === -1 ? relevant : relevant.slice(0, end + 1);
  return unanimous(reached.map((arg) => verdictOf(arg, scope, negated)));
}

export function caseVerdict(node: Node, scope: FilterScope, negated: boolean): Verdict {
  const { arg, args = [], defresult } = as(node, "CaseExpr") ?? {};
  const outcomes: Verdict[] = [];
  for (const branch of args) {
    const { expr, result } = as(branch, "CaseWhen") ?? {};
    if (expr === undefined || result === undefined) return "some";
    const taken =
      arg === undefined
        ? verdictOf(expr, scope, false)
        : comparisonVerdict("=", arg, expr, scope, false);
    if (taken === "none") continue;
    outcomes.push(verdictOf(result, scope, negated));
    if (taken === "every") return unanimous(outcomes);
    if (taken === "some") outcomes.push("some");
  }
  outcomes.push(defresult === undefined ? "none" : verdictOf(defresult, scope, negated));
  const results = outcomes.filter((outcome) => outcome !== "some");
  // Which branch is taken depends on the row, but all of them say the same.
  const same = results.length > 0 && results.every((outcome) => outcome === results[0]);
  return same && resultsAreConstant(args, defresult, scope, negated)
    ? (results[0] ?? "some")
    : unanimous(outcomes);
}

function resultsAreConstant(
  branches: readonly Node[],
  defresult: Node | undefined,
  scope: FilterScope,
  negated: boolean,
): boolean {
  const results = [...branches.map((branch) => as(branch, "CaseWhen")?.result), defresult];
  return results.every(
    (result) => result === undefined || verdictOf(result, scope, negated) !== "some",
  );
}
