import type { Effect } from "../sql/classification.ts";

/** What a statement can do, for a person who decides about it. */
const WORDS = {
  read: "reads",
  write: "adds or changes rows",
  delete: "deletes rows",
  ddl: "creates or alters objects",
  destructive_ddl: "destroys objects, or rows with them",
  privilege: "changes who may do what",
  session: "changes settings of the session",
  admin: "administers the server",
  opaque: "runs code that can't be seen in it",
  file_access: "reads or writes files of the server",
  program_execution: "runs programs on the server",
  replication: "changes replication",
  transaction: "controls a transaction",
  copy_in: "takes data in",
  copy_out: "gives data out",
  unparsed: "is no SQL that PostgreSQL's grammar reads",
} as const satisfies Record<Effect, string>;

export function effectsInWords(effects: readonly string[]): string {
  return effects.map((effect) => new Map(Object.entries(WORDS)).get(effect) ?? effect).join("; ");
}
