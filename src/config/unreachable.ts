import { isDeepStrictEqual } from "node:util";
import type { Mistake } from "./mistakes.ts";
import type { ConditionsText, RuleText } from "./rule-schema.ts";
import type { ConfigText } from "./schema.ts";

/** Rules that can never decide anything: most likely somebody believes in what they say. */
export function checkReachable({ rules, databases }: ConfigText): Mistake[] {
  return rules.flatMap((rule, index): Mistake[] => {
    const earlier = rules.slice(0, index).find((candidate) => covers(candidate, rule));
    if (earlier !== undefined) {
      return [
        {
          path: ["rules", index, "name"],
          of: "value",
          message: `is never reached: ${earlier.name} above it takes everything that it would match`,
        },
      ];
    }
    return contradictions(rule, databases).map((message) => ({
      path: ["rules", index, "name"],
      of: "value",
      message: `never matches: ${message}`,
    }));
  });
}

const LISTS = [
  "environments",
  "databases",
  "roles",
  "people",
  "workloads",
  "warnings",
  "clients",
  "application_names",
  "auth_methods",
] as const satisfies readonly (keyof ConditionsText)[];

const SINGLE = [
  "destructive",
  "tls",
  "during",
] as const satisfies readonly (keyof ConditionsText)[];

/** Whether `wide` matches whenever `narrow` does. Sure where it says yes; a no may be for want of insight. */
function covers(wide: RuleText, narrow: RuleText): boolean {
  return (
    (wide.unless === undefined || isDeepStrictEqual(wide.unless, narrow.unless)) &&
    LISTS.every((key) => isWithinList(narrow[key], wide[key])) &&
    SINGLE.every((key) => wide[key] === undefined || isDeepStrictEqual(wide[key], narrow[key])) &&
    isWithinList(narrow.effects?.any, wide.effects?.any) &&
    isWithinList(narrow.effects?.only, wide.effects?.only) &&
    isWithinList(wide.effects?.all ?? [], narrow.effects?.all ?? []) &&
    isWithinList(narrow.objects?.any, wide.objects?.any) &&
    isWithinList(narrow.objects?.only, wide.objects?.only)
  );
}

function isWithinList(
  narrow: readonly unknown[] | undefined,
  wide: readonly unknown[] | undefined,
): boolean {
  if (wide === undefined) return true;
  return narrow?.every((item) => wide.some((other) => isDeepStrictEqual(item, other))) ?? false;
}

function contradictions(
  { environments, databases: named, effects, people, workloads }: RuleText,
  databases: ConfigText["databases"],
): string[] {
  const found: string[] = [];
  if (
    environments !== undefined &&
    named?.every((name) => !environments.includes(databases[name]?.environment ?? "")) === true
  ) {
    found.push(`none of its databases is in ${environments.join(", ")}`);
  }
  const { any, all, only } = effects ?? {};
  if (
    only !== undefined &&
    (any?.every((effect) => !only.includes(effect)) === true ||
      all?.some((effect) => !only.includes(effect)) === true)
  ) {
    found.push("it asks for an effect that its only leaves out");
  }
  if (people !== undefined && workloads !== undefined) {
    found.push("nobody is a person and a workload");
  }
  return found;
}
