import type { Node } from "libpg-query";
import type { Scope } from "../scope.ts";
import type { Verdict } from "./verdict.ts";

/** A scope in which conditions inside conditions can be judged: the judge knows all kinds, each kind knows only its own. */
export interface FilterScope extends Scope {
  readonly judge: (node: Node, scope: FilterScope, negated: boolean) => Verdict;
}

/**
 * The verdict on `node`, or on `NOT node` when `negated`.
 *
 * @throws RangeError for a condition that takes too long to understand
 */
export function verdictOf(node: Node, scope: FilterScope, negated: boolean): Verdict {
  spend(scope);
  return scope.judge(node, scope, negated);
}

/** @throws RangeError when the patience with the whole condition is at its end */
export function spend({ budget }: Scope): void {
  budget.steps -= 1;
  if (budget.steps < 0) throw new RangeError("too many steps to understand a filter");
}
