import type { Node } from "libpg-query";
import { EFFECTS } from "./classification.ts";
import type { ParsedClassification, Reason, StatementClassification } from "./classification.ts";
import type { Finding, Judgement } from "./judgement.ts";
import { summarize } from "./summary.ts";
import { as, entryOf } from "./tree.ts";
import { warningsOf } from "./warnings.ts";
import type { Before } from "./warnings.ts";

/** A statement judged, and where it stands in the text. */
export interface Judged {
  readonly j: Judgement;
  /** `undefined` where there is no tree: then `node` and `summary` are given. */
  readonly tree: Node | undefined;
  readonly node: string | undefined;
  readonly summary: string | undefined;
  readonly startByte: number;
  /** `undefined` for the end of the text. */
  readonly endByte: number | undefined;
}

/** The classification of a text: its statements', and their union. */
export function unite(text: string, judged: readonly Judged[]): ParsedClassification {
  const judgements = judged.map(({ j }) => j);
  const bytes = Buffer.from(text);
  const created = new Set<string | undefined>();
  let inTransaction = false;
  return {
    kind: "parsed",
    text,
    statements: judged.map((one) => {
      const statement = statementOf(one, bytes, {
        isNew: (table) => created.has(table),
        inTransaction,
      });
      created.add(createdTable(one.tree));
      inTransaction = isOpenAfter(one.tree, inTransaction);
      return statement;
    }),
    effects: EFFECTS.filter((effect) => judgements.some((j) => j.effects.has(effect))),
    destructive: judgements.some((j) => j.destructive),
    mustRefuse: judgements.some((j) => j.mustRefuse),
    mayChangeLexing: judgements.some((j) => j.mayChangeLexing),
    hasParameters: judgements.some((j) => j.hasParameters),
    dependsOnSession: judgements.some((j) => j.dependsOnSession),
  };
}

const NO_TEXT = Buffer.alloc(0);

/** @param bytes - the whole text, in UTF-8 */
export function statementOf(
  { j, tree, node, summary, startByte, endByte }: Judged,
  bytes: Buffer = NO_TEXT,
  before: Before = { isNew: () => false, inTransaction: false },
): StatementClassification {
  const range = { startByte, endByte: endByte ?? bytes.length };
  return {
    node: node ?? (tree === undefined ? "" : (entryOf(tree)?.[0] ?? "")),
    summary: summary ?? (tree === undefined ? "" : summarize(tree, j)),
    effects: EFFECTS.filter((effect) => j.effects.has(effect)),
    destructive: j.destructive,
    mustRefuse: j.mustRefuse,
    reach: j.reach,
    objects: [...j.objects.values()],
    reasons: j.findings.map((finding) => reasonOf(finding, bytes, range)),
    warnings: tree === undefined ? [] : warningsOf(tree, before),
    unknownFunctions: j.isOpaqueAnyway ? [] : j.unknownFunctions,
    changes: j.changes,
  };
}

/** A finding with the piece of text it stems from: the word at its place, or the whole statement. */
function reasonOf(
  { of, because, at }: Finding,
  bytes: Buffer,
  range: { readonly startByte: number; readonly endByte: number },
): Reason {
  if (at === undefined || at < range.startByte || at >= range.endByte) {
    return { of, because, at: range };
  }
  const rest = bytes.toString("utf8", at, Math.min(range.endByte, at + 200));
  const word = /^(?:"[^"]*"|[^\s"(),;])+/.exec(rest)?.[0] ?? "";
  return { of, because, at: { startByte: at, endByte: at + Buffer.byteLength(word) } };
}

function createdTable(tree: Node | undefined): string | undefined {
  const table = as(tree, "CreateStmt")?.relation ?? as(tree, "CreateTableAsStmt")?.into?.rel;
  return table?.relname;
}

/** Whether BEGIN has been written, and not yet what ends it. */
function isOpenAfter(tree: Node | undefined, wasOpen: boolean): boolean {
  const transaction = as(tree, "TransactionStmt");
  switch (transaction?.kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START":
      return true;
    case "TRANS_STMT_COMMIT":
    case "TRANS_STMT_ROLLBACK":
      return transaction.chain === true;
    case "TRANS_STMT_PREPARE":
      return false;
    default:
      return wasOpen;
  }
}
