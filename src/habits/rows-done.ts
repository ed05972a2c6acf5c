import type { Classification } from "../sql/classification.ts";
import type { RowsOf } from "../alerts/event.ts";

const NONE: readonly RowsOf[] = [];
const READ: readonly RowsOf[] = ["read"];
const CHANGE: readonly RowsOf[] = ["change"];
const DELETE: readonly RowsOf[] = ["change", "delete"];

/**
 * What kinds of rows a command tag counts (PostgreSQL docs, "CommandComplete"): `DELETE 3`, `SELECT 12`, `COPY 5`. A WITH
 * that changes something ends as `SELECT`, and MERGE may delete: their rows count as what the statement could do.
 */
export function rowsCounted(tag: string, classification: Classification): readonly RowsOf[] {
  const { effects } = classification;
  const command = tag.slice(0, tag.indexOf(" "));
  switch (command) {
    case "DELETE":
      return DELETE;
    case "INSERT":
    case "UPDATE":
      return CHANGE;
    case "MERGE":
      return has(effects, "delete") ? DELETE : CHANGE;
    case "COPY":
      return has(effects, "copy_in") ? CHANGE : READ;
    case "FETCH":
    case "SELECT":
      return selected(classification);
    default:
      return NONE;
  }
}

/** Of a batch, those statements count that have no tag of their own. */
function selected(classification: Classification): readonly RowsOf[] {
  if (classification.kind === "unparsed") return READ;
  const others = classification.statements.filter(({ node }) => !HAS_ITS_OWN_TAG.has(node));
  if (others.some(({ effects }) => has(effects, "delete"))) return DELETE;
  const isChange = others.some(({ effects }) => has(effects, "write") || has(effects, "ddl"));
  return isChange ? CHANGE : READ;
}

const HAS_ITS_OWN_TAG = new Set(["DeleteStmt", "InsertStmt", "UpdateStmt", "MergeStmt"]);

function has(effects: readonly string[], effect: string): boolean {
  return effects.includes(effect);
}

/** Whether rows of the kind may be counted at its end. */
export function mayReach(of: RowsOf, { effects }: Classification): boolean {
  switch (of) {
    case "read":
      return has(effects, "read") || has(effects, "copy_out");
    case "change":
      return has(effects, "write") || has(effects, "delete") || has(effects, "copy_in");
    case "delete":
      return has(effects, "delete");
  }
}
