/**
 * What a condition does to the rows of its target (rule F at the head of `test/corpus/statements.yaml`):
 * - `every`: true for every row by its form
 * - `free`: the same for every row, whatever that is
 * - `none`: false or null for every row by its form
 * - `some`: depends on the row; a filter
 */
export type Verdict = "every" | "free" | "none" | "some";

export function opposite(verdict: Verdict): Verdict {
  if (verdict === "every") return "none";
  return verdict === "none" ? "every" : verdict;
}

export function any(verdicts: readonly Verdict[]): Verdict {
  return (["every", "some", "free"] as const).find((one) => verdicts.includes(one)) ?? "none";
}

export function all(verdicts: readonly Verdict[]): Verdict {
  return (["none", "some", "free"] as const).find((one) => verdicts.includes(one)) ?? "every";
}

/** What is left when any of several may be taken. */
export function unanimous(verdicts: readonly Verdict[]): Verdict {
  const [first = "none"] = verdicts;
  if (verdicts.every((verdict) => verdict === first)) return first;
  return verdicts.includes("some") ? "some" : "free";
}

export function constantVerdict(value: boolean | null | undefined, negated: boolean): Verdict {
  if (value === undefined) return "free";
  if (value === null) return "none"; // and so is NOT null
  return value === negated ? "none" : "every";
}
