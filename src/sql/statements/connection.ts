import { addEffect } from "../judgement.ts";
import type { Judgement } from "../judgement.ts";
import type { NodeOf } from "../nodes.ts";
import { judgeSet } from "../settings.ts";
import type { StatementTable } from "./statement-table.ts";

/** Transactions, settings and other state of one connection. */
export const CONNECTION = {
  TransactionStmt: judgeTransaction,
  ConstraintsSetStmt: (j) => {
    addEffect(j, "transaction", "sets when constraints are checked");
  },

  VariableSetStmt: judgeSet,
  VariableShowStmt: (j) => {
    addEffect(j, "read", "shows a setting");
  },
  DiscardStmt: (j, s) => {
    addEffect(j, "session", "discards session state");
    if (s.target === "DISCARD_ALL") j.changes.push({ kind: "discarded_all" });
    if (s.target === "DISCARD_TEMP") j.changes.push({ kind: "temporary_in_doubt" });
  },
  NotifyStmt: (j) => {
    addEffect(j, "session", "sends a notification");
  },
  ListenStmt: (j) => {
    addEffect(j, "session", "listens for notifications");
  },
  UnlistenStmt: (j) => {
    addEffect(j, "session", "stops listening");
  },
  LoadStmt: (j) => {
    addEffect(j, "admin", "loads a library into the server");
    addEffect(j, "opaque", "what a loaded library does is not known");
  },
} satisfies Partial<StatementTable>;

function judgeTransaction(j: Judgement, s: NodeOf<"TransactionStmt">): void {
  addEffect(j, "transaction", "controls the transaction");
  const chain = s.chain === true;
  const name = s.savepoint_name ?? "";
  switch (s.kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START":
      j.changes.push({ kind: "begin" });
      return;
    case "TRANS_STMT_COMMIT":
      j.changes.push({ kind: "commit", chain });
      return;
    case "TRANS_STMT_ROLLBACK":
    case "TRANS_STMT_PREPARE":
      j.changes.push({ kind: "rollback", chain });
      return;
    case "TRANS_STMT_SAVEPOINT":
      j.changes.push({ kind: "savepoint", name });
      return;
    case "TRANS_STMT_RELEASE":
      j.changes.push({ kind: "release", name });
      return;
    case "TRANS_STMT_ROLLBACK_TO":
      j.changes.push({ kind: "rollback_to", name });
      return;
    case "TRANS_STMT_COMMIT_PREPARED":
    case "TRANS_STMT_ROLLBACK_PREPARED":
    case undefined:
      addEffect(j, "opaque", "what was prepared is not in this text");
  }
}
