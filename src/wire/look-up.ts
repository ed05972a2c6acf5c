import type { NamedObjects, NameChanges } from "./named-objects.ts";
import type { NameKind, Unanswered, UnansweredQueue } from "./unanswered.ts";

/** What a name stands for by now, as far as the backend's answers tell. */
export type Lookup<T> =
  | { readonly kind: "found"; readonly value: T }
  | { readonly kind: "unknown" }
  /** An unanswered message may or may not have changed it: ask again after the next answer. */
  | { readonly kind: "unsettled" };

export interface Surroundings<S, X> {
  readonly names: NamedObjects<S>;
  readonly unanswered: UnansweredQueue<S, X>;
  readonly nameChanges: (execution: X) => NameChanges<S> | undefined;
  /** The pipeline that the frontend is sending. */
  readonly group: number;
}

/**
 * What a name will stand for behind all that was forwarded. What is not answered yet may fail. In its own pipeline that
 * does no harm, as the backend skips the rest of it; in a later one the name is unsettled until the answer is there.
 */
export function lookUp<S, X>(
  kind: NameKind,
  name: string,
  surroundings: Surroundings<S, X>,
): Lookup<S> {
  const { names, unanswered } = surroundings;
  const after = kind === "statement" ? statementAfter : portalAfter;
  for (let i = unanswered.length - 1; i >= 0; i--) {
    const lookup = after(unanswered.at(i), name, surroundings);
    if (lookup !== undefined) return lookup;
  }
  return toLookup(names.get(kind, name));
}

function statementAfter<S, X>(
  entry: Unanswered<S, X>,
  name: string,
  surroundings: Surroundings<S, X>,
): Lookup<S> | undefined {
  switch (entry.type) {
    case "Parse":
      if (entry.name !== name) return undefined;
      return resolve(
        entry,
        entry.statement,
        surroundings.names.get("statement", name),
        surroundings,
      );
    case "Close":
      if (entry.kind !== "statement" || entry.name !== name) return undefined;
      return resolve(entry, undefined, surroundings.names.get("statement", name), surroundings);
    case "Query":
      // It removes the unnamed statement, even if it fails.
      return name === "" ? UNKNOWN : changedBy(entry, "statement", name, surroundings);
    case "Execute":
      return changedBy(entry, "statement", name, surroundings);
    case "Refused":
      return entry.name === name && name === "" ? UNKNOWN : undefined;
    case "Bind":
    case "FunctionCall":
    case "Sync":
      return undefined;
  }
}

function portalAfter<S, X>(
  entry: Unanswered<S, X>,
  name: string,
  surroundings: Surroundings<S, X>,
): Lookup<S> | undefined {
  switch (entry.type) {
    case "Bind":
      if (entry.portal !== name) return undefined;
      return resolve(entry, entry.statement, surroundings.names.get("portal", name), surroundings);
    case "Close":
      if (entry.kind !== "portal" || entry.name !== name) return undefined;
      return resolve(entry, undefined, surroundings.names.get("portal", name), surroundings);
    case "Query":
    case "Execute":
      return changedBy(entry, "portal", name, surroundings);
    case "Parse":
    case "FunctionCall":
    case "Refused":
    case "Sync":
      return undefined;
  }
}

function changedBy<S, X>(
  entry: Extract<Unanswered<S, X>, { type: "Query" | "FunctionCall" | "Execute" }>,
  kind: NameKind,
  name: string,
  { nameChanges, group }: Surroundings<S, X>,
): Lookup<S> | undefined {
  if (entry.execution === undefined) return undefined;
  const change = nameChanges(entry.execution)?.changes.findLast(
    (each) => each.kind === kind && (each.name === name || each.name === undefined),
  );
  if (change === undefined) return undefined;
  // As in `resolve`; and no answer would come to wait for before Sync.
  const isReached = entry.type === "Execute" && entry.group === group;
  return isReached ? toLookup(change.value) : UNSETTLED;
}

function resolve<S, X>(
  entry: { readonly group: number },
  defined: S | undefined,
  before: S | undefined,
  { group }: Surroundings<S, X>,
): Lookup<S> {
  if (entry.group === group || before === undefined || before === defined) return toLookup(defined);
  return UNSETTLED;
}

const UNSETTLED = { kind: "unsettled" } as const;
const UNKNOWN = { kind: "unknown" } as const;

function toLookup<T>(value: T | undefined): Lookup<T> {
  return value === undefined ? UNKNOWN : { kind: "found", value };
}
