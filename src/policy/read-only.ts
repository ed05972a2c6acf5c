import type {
  Effect,
  ParsedClassification,
  StatementClassification,
} from "../sql/classification.ts";

// A session that only reads is kept so twice: the server's transactions are read-only by default, which stops what no
// parser can see, and nothing passes here that writes, runs unseen code, or could take that default away.

const READS: readonly Effect[] = ["read", "session", "transaction", "copy_out"];

/** Statements that change a session by what stands in them; others have a set_config() somewhere inside. */
const PLAIN = new Set([
  "VariableSetStmt",
  "TransactionStmt",
  "DiscardStmt",
  "ClosePortalStmt",
  "DeallocateStmt",
  "ListenStmt",
  "UnlistenStmt",
  "NotifyStmt",
]);

/** @returns the first statement that a session which only reads must not run, as an index */
export function firstThatWrites({ text, statements }: ParsedClassification): number | undefined {
  const index = statements.findIndex(
    (statement) => !onlyReads(statement) || mayUnset(statement, text),
  );
  return index === -1 ? undefined : index;
}

function onlyReads({ effects, destructive }: StatementClassification): boolean {
  return !destructive && effects.every((effect) => READS.includes(effect));
}

/**
 * SET and BEGIN spell "read write" in many ways: what holds the words, or could spell them by an escape, is taken for
 * it. RESET goes back to what the session began with, which is read-only.
 */
function mayUnset({ effects, node }: StatementClassification, text: string): boolean {
  if (!effects.includes("session") && !effects.includes("transaction")) return false;
  return !PLAIN.has(node) || /write|read_only|u&|\\/i.test(text);
}
