import type { RawStmt } from "libpg-query";
import type { CatalogueExtension } from "./catalogue.ts";
import { EFFECTS } from "./classification.ts";
import type {
  Classification,
  ParsedClassification,
  Reason,
  StatementClassification,
  UnparsedClassification,
} from "./classification.ts";
import { newJudgement } from "./judgement.ts";
import type { Consequences, Finding, Judgement } from "./judgement.ts";
import { parse } from "./parser.ts";
import { advance } from "./session.ts";
import type { SqlSession } from "./session.ts";
import { judgeStatement } from "./statements.ts";
import { summarize } from "./summary.ts";
import { as, entryOf } from "./tree.ts";
import { warningsOf } from "./warnings.ts";

/** Whose grammar the upstream speaks. */
export type Dialect = "postgresql" | "redshift";

export interface ClassifyOptions {
  readonly dialect: Dialect;
  readonly session: SqlSession;
  readonly functions?: CatalogueExtension;
}

const NO_EXTENSION: CatalogueExtension = {};

/** SQL text inside SQL text inside …: deeper than this it is not looked into, and destroys for all we know. */
const MAX_NESTED_TEXTS = 4;

/**
 * What a text does that a client sends as one Query or Parse message. Returns for every string, never throws; what
 * can't be read is `unparsed`.
 */
export function classify(text: string, options: ClassifyOptions): Classification {
  if (!text.isWellFormed() || text.includes("\0")) {
    return unparsed("syntax", "the text is not valid UTF-8 without a zero byte");
  }
  try {
    const parsed = parse(text);
    if (parsed.kind === "refused") return unparsed(parsed.cause, parsed.message, parsed.position);
    return united(parsed.text, parsed.statements, judgeAll(parsed.statements, options, 0));
  } catch (error) {
    // Our own walk overflowing: the tree was read, but it is too deep for us. Anything else is a mistake of ours.
    if (error instanceof RangeError) return unparsed("too_deep", "statement is nested too deeply");
    return unparsed("failed", "the statement could not be judged");
  }
}

/** Judges statements in the order in which they run: each in the session that those before it leave. */
function judgeAll(
  statements: readonly RawStmt[],
  options: ClassifyOptions,
  depth: number,
): readonly Judgement[] {
  let { session } = options;
  return statements.flatMap(({ stmt }) => {
    if (stmt === undefined) return [];
    const j = newJudgement({
      session,
      extension: options.functions ?? NO_EXTENSION,
      judgeText: (sql, inSession) =>
        consequencesOf(sql, { ...options, session: inSession }, depth + 1),
    });
    judgeStatement(j, stmt);
    // Code that we don't see may drop temporary tables, but not the one that this statement is about to create.
    if (j.runsUserCode || j.runsText) j.changes.unshift({ kind: "temporary_in_doubt" });
    session = advance(session, j.changes);
    return [j];
  });
}

function consequencesOf(sql: string, options: ClassifyOptions, depth: number): Consequences {
  if (depth > MAX_NESTED_TEXTS) return { ...NO_CONSEQUENCES, destroys: "nested too deeply" };
  if (!sql.isWellFormed() || sql.includes("\0")) return NO_CONSEQUENCES;
  const parsed = parse(sql);
  if (parsed.kind === "refused") return NO_CONSEQUENCES;
  const judgements = judgeAll(parsed.statements, options, depth);
  return {
    destroys: judgements.flatMap((j) => j.findings).find((finding) => finding.of === "destructive")
      ?.because,
    mustRefuse: judgements.some((j) => j.mustRefuse),
    unlinksMany: judgements.some((j) => j.unlinksMany),
    readsAllLargeObjects: judgements.some((j) => j.readsAllLargeObjects),
    objects: judgements.flatMap((j) => [...j.objects.values()]),
    changes: judgements.flatMap((j) => j.changes),
  };
}

const NO_CONSEQUENCES: Consequences = {
  destroys: undefined,
  mustRefuse: false,
  unlinksMany: false,
  readsAllLargeObjects: false,
  objects: [],
  changes: [],
};

function united(
  text: string,
  raw: readonly RawStmt[],
  judgements: readonly Judgement[],
): ParsedClassification {
  const present = raw.filter(({ stmt }) => stmt !== undefined);
  const places = new Places(text);
  const created = new Set<string | undefined>();
  return {
    kind: "parsed",
    text,
    statements: judgements.map((j, index) => {
      const statement = present[index] ?? {};
      const judged = statementOf(j, statement, places, (table) => created.has(table));
      created.add(createdTable(statement));
      return judged;
    }),
    effects: EFFECTS.filter((effect) => judgements.some((j) => j.effects.has(effect))),
    destructive: judgements.some((j) => j.destructive),
    mustRefuse: judgements.some((j) => j.mustRefuse),
    mayChangeLexing: judgements.some((j) => j.mayChangeLexing),
    hasParameters: judgements.some((j) => j.hasParameters),
    dependsOnSession: judgements.some((j) => j.dependsOnSession),
  };
}

function statementOf(
  j: Judgement,
  raw: RawStmt,
  places: Places,
  isNew: (table: string | undefined) => boolean,
): StatementClassification {
  const statement = raw.stmt ?? { List: {} };
  return {
    node: entryOf(statement)?.[0] ?? "",
    summary: summarize(statement, j),
    effects: EFFECTS.filter((effect) => j.effects.has(effect)),
    destructive: j.destructive,
    mustRefuse: j.mustRefuse,
    reach: j.reach,
    objects: [...j.objects.values()],
    reasons: j.findings.map((finding) => places.reason(finding, raw)),
    warnings: warningsOf(statement, isNew),
    changes: j.changes,
  };
}

function createdTable({ stmt }: RawStmt): string | undefined {
  const table = as(stmt, "CreateStmt")?.relation ?? as(stmt, "CreateTableAsStmt")?.into?.rel;
  return table?.relname;
}

/** Finds the piece of text that a finding stems from. libpg_query counts UTF-8 bytes. */
class Places {
  readonly #bytes: Buffer;

  constructor(text: string) {
    this.#bytes = Buffer.from(text);
  }

  reason({ of, because, at }: Finding, { stmt_location = 0, stmt_len }: RawStmt): Reason {
    const endByte = stmt_len === undefined ? this.#bytes.length : stmt_location + stmt_len;
    if (at === undefined || at < stmt_location || at >= endByte) {
      return { of, because, at: { startByte: stmt_location, endByte } };
    }
    const rest = this.#bytes.toString("utf8", at, Math.min(endByte, at + 200));
    const token = /^(?:"[^"]*"|[^\s"(),;])+/.exec(rest)?.[0] ?? "";
    return { of, because, at: { startByte: at, endByte: at + Buffer.byteLength(token) } };
  }
}

function unparsed(
  cause: UnparsedClassification["cause"],
  message: string,
  position?: number,
): UnparsedClassification {
  return { kind: "unparsed", effects: ["unparsed"], cause, message, position };
}
