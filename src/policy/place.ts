import type { StatementClassification } from "../sql/classification.ts";

/** Where a statement acts. */
export interface Place {
  /** The name that clients connect to. */
  readonly database: string;
  /** The name on the server, which DROP DATABASE uses. */
  readonly serverDatabase: string;
  readonly environment: string;
}

/**
 * Where a statement acts beside the database that it was typed in. One that reaches the cluster acts on every
 * neighbour: DROP DATABASE typed in a development database takes production's where both are on one server.
 * Databases that are named, and all known, narrow it down to these.
 */
export function placesBeside(
  { reach, objects }: Pick<StatementClassification, "reach" | "objects">,
  neighbours: readonly Place[],
  home: Place,
): readonly Place[] {
  const named = objects.filter(({ kind }) => kind === "database").map(({ name }) => name);
  if (reach === "database" && named.length === 0) return [];
  const known = [home, ...neighbours].map(({ serverDatabase }) => serverDatabase);
  const isNarrow =
    named.length > 0 &&
    named.length === objects.length &&
    named.every((name) => known.includes(name));
  if (!isNarrow) return neighbours;
  return neighbours.filter(({ serverDatabase }) => named.includes(serverDatabase));
}
