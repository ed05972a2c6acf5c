import { encodeFragment, type Fragment } from "../audit/record.ts";
import { maskLiterals } from "../sql/mask-literals.ts";
import type { AuditFile } from "../store/audit-file.ts";

export interface RecordedText {
  readonly fragment: Fragment;
  /** Its text is in a file of its own, which has to be there whenever a record names it. */
  readonly isSpilled: boolean;
}

/**
 * The members of a record that give a statement's text, as far as it is wanted in the log. `sql_sha256` is of the text
 * as recorded: of a masked one, the original's would tell a short secret to whoever tries.
 *
 * @throws AuditUnavailable when a long text can't be put into its file
 */
export function recordedText(
  audit: Pick<AuditFile, "statementText">,
  sql: string,
  literals: "keep" | "mask",
): RecordedText {
  const masked = maskLiterals(sql, literals === "mask" ? "all" : "passwords");
  const text = audit.statementText(masked);
  return {
    fragment: encodeFragment({ ...text, sql_masked: masked === sql ? undefined : true }),
    isSpilled: "sql_spilled" in text,
  };
}
