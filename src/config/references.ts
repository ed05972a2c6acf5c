import { didYouMean } from "./did-you-mean.ts";
import type { Mistake, Path } from "./mistakes.ts";

const HABITS = ["statements", "budgets", "rows", "hours", "honeypots"];

/** Where a name stands that another section must hold. `*` is any key or index. */
const REFERENCES: readonly (readonly [pattern: string, section: string])[] = [
  ["databases.*.upstream", "upstreams"],
  ["databases.*.environment", "environments"],
  ["databases.*.logins.*.roles.*", "roles"],
  ["environments.*.read_only.*", "roles"],
  ["people.*.only_from.*.environments.*", "environments"],
  ["workloads.*.only_from.*.environments.*", "environments"],
  ["people.*.roles.*", "roles"],
  ["workloads.*.roles.*", "roles"],
  ["people.*.tokens.*.issuer", "tokens"],
  ["workloads.*.tokens.*.issuer", "tokens"],
  ["tokens.*.groups.roles.*", "roles"],
  ["access.*.role", "roles"],
  ["access.*.for_roles.*", "roles"],
  ["access.*.environments.*", "environments"],
  ["access.*.approval.approvers.*", "roles"],
  ["admin.operators.*", "roles"],
  ["approvals.defaults.approvers.*", "roles"],
  ["rules.*.approval.approvers.*", "roles"],
  ["approvals.defaults.break_glass.*", "roles"],
  ["rules.*.approval.break_glass.*", "roles"],
  ["alerts.rules.*.environments.*", "environments"],
  ["alerts.rules.*.people.*", "people"],
  ["alerts.rules.*.workloads.*", "workloads"],
  ["alerts.rules.*.sinks.*", "alerts.sinks"],
  ["backups.databases.*.store", "backups.stores"],
  ...["environments", "databases", "roles", "people", "workloads"].flatMap((section) => [
    [`rules.*.${section}.*`, section] as const,
    [`rules.*.unless.${section}.*`, section] as const,
    ...HABITS.map((habit) => [`habits.${habit}.*.${section}.*`, section] as const),
  ]),
];

/**
 * Names that lead nowhere, and names given twice. Works on the raw file, so that a mistake elsewhere does not
 * hide these.
 */
export function checkReferences(raw: unknown): Mistake[] {
  return [...danglingNames(raw), ...repeatedNames(raw)];
}

function danglingNames(raw: unknown): Mistake[] {
  return REFERENCES.flatMap(([pattern, section]) => {
    const known = namesIn(raw, section);
    return select(raw, pattern).flatMap(({ path, value }): Mistake[] =>
      typeof value !== "string" || known.includes(value)
        ? []
        : [
            {
              path,
              of: "value",
              message: `"${value}" is not in ${section}${didYouMean(value, known)}`,
            },
          ],
    );
  });
}

function repeatedNames(raw: unknown): Mistake[] {
  const people = namesIn(raw, "people");
  return [
    // What decided is told by its name alone, so that habits and rules share their names.
    ...repetitions([
      ...select(raw, "rules.*.name"),
      ...HABITS.flatMap((habit) => select(raw, `habits.${habit}.*.name`)),
    ]),
    ...repetitions(select(raw, "alerts.rules.*.name")),
    ...repetitions(select(raw, "roles.*")),
    ...namesIn(raw, "workloads")
      .filter((name) => people.includes(name))
      .map((name): Mistake => ({
        path: ["workloads", name],
        of: "key",
        message: "is a person already; who logs in must be one or the other",
      })),
  ];
}

function repetitions(found: readonly Found[]): Mistake[] {
  return found
    .filter(({ value }, index) => found.slice(0, index).some((earlier) => earlier.value === value))
    .map(({ path, value }) => ({
      path,
      of: "value",
      message: `"${String(value)}" is given twice; names are unique`,
    }));
}

/** The names that a section declares: its keys, or its items where it is a list. */
export function namesIn(raw: unknown, section: string): string[] {
  const [found] = select(raw, section);
  if (Array.isArray(found?.value)) return found.value.map(String);
  return typeof found?.value === "object" && found.value !== null ? Object.keys(found.value) : [];
}

interface Found {
  readonly path: Path;
  readonly value: unknown;
}

/** Everything in `raw` whose path fits the pattern. */
export function select(raw: unknown, pattern: string): Found[] {
  return pattern.split(".").reduce<Found[]>(
    (found, step) =>
      found.flatMap(({ path, value }) => {
        if (typeof value !== "object" || value === null) return [];
        const members: [string | number, unknown][] = Array.isArray(value)
          ? [...(value as unknown[]).entries()]
          : Object.entries(value);
        return members
          .filter(([key]) => step === "*" || step === key)
          .map(([key, member]) => ({ path: [...path, key], value: member }));
      }),
    [{ path: [], value: raw }],
  );
}
