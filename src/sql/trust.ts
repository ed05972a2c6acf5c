import { EFFECTS } from "./classification.ts";
import type {
  Classification,
  Effect,
  ParsedClassification,
  QualifiedName,
  StatementClassification,
} from "./classification.ts";

/** Whether a function is known, for now, to do no more than to read. */
export type Trusts = (called: QualifiedName) => boolean;

/**
 * A text whose only unknowns are functions that are trusted, judged without them; `undefined` where that is not so. A
 * text that could define what it calls is none.
 */
export function trusting(
  classification: Classification,
  trusts: Trusts,
): ParsedClassification | undefined {
  if (classification.kind === "unparsed" || !classification.effects.includes("opaque")) {
    return undefined;
  }
  if (
    !classification.effects.every((effect) => effect === "opaque" || LEAVES_FUNCTIONS.has(effect))
  ) {
    return undefined;
  }
  const unclear = classification.statements.filter(({ effects }) => effects.includes("opaque"));
  const isTrusted = ({ unknownFunctions }: StatementClassification): boolean =>
    unknownFunctions.length > 0 && unknownFunctions.every(trusts);
  if (!unclear.every(isTrusted)) return undefined;
  const statements = classification.statements.map((statement) =>
    statement.unknownFunctions.length === 0 ? statement : withoutOpaque(statement),
  );
  return {
    ...classification,
    statements,
    effects: EFFECTS.filter((effect) => statements.some(({ effects }) => effects.includes(effect))),
  };
}

/** Whether it may leave other functions behind than it found. */
export function mayChangeFunctions(classification: Classification): boolean {
  const { kind, effects } = classification;
  if (kind === "unparsed" || !effects.every((effect) => LEAVES_FUNCTIONS.has(effect))) return true;
  // COMMIT PREPARED has effect what another session did.
  return effects.includes("transaction") && /\bprepared\b/i.test(classification.text);
}

const LEAVES_FUNCTIONS: ReadonlySet<Effect> = new Set([
  "read",
  "write",
  "delete",
  "session",
  "transaction",
  "copy_in",
  "copy_out",
]);

function withoutOpaque(statement: StatementClassification): StatementClassification {
  return {
    ...statement,
    effects: statement.effects.filter((effect) => effect !== "opaque"),
    reasons: statement.reasons.filter(({ of }) => of !== "opaque"),
  };
}
