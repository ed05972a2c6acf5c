import type { RawStmt } from "libpg-query";
import { builtInName } from "./catalogue.ts";
import type { CatalogueExtension } from "./catalogue.ts";
import { judgeCallByName } from "./calls.ts";
import type {
  Classification,
  StatementClassification,
  UnparsedClassification,
} from "./classification.ts";
import { newJudgement } from "./judgement.ts";
import type { Consequences, Surroundings } from "./judgement.ts";
import { parse } from "./parser.ts";
import type { ParseFailure } from "./parser.ts";
import { cutRedshift, hasBackslashLiteral, judgeRedshift, redshiftExtension } from "./redshift.ts";
import { advance, NEW_SESSION } from "./session.ts";
import type { SqlSession } from "./session.ts";
import { judgeStatement } from "./statements/judge-statement.ts";
import { statementOf, unite } from "./unite.ts";
import type { Judged } from "./unite.ts";

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
    return options.dialect === "redshift"
      ? classifyRedshift(text, options)
      : classifyPostgresql(text, options);
  } catch (error) {
    // Our own walk overflowing: the tree was read, but it is too deep for us. Anything else is a mistake of ours.
    if (error instanceof RangeError) return unparsed("too_deep", "statement is nested too deeply");
    return unparsed("failed", "the statement could not be judged");
  }
}

/** What a FunctionCall message does, which names a function by its OID and nothing else. */
export function classifyFunctionCall(
  oid: number,
  extension: CatalogueExtension = NO_EXTENSION,
): StatementClassification {
  const j = newJudgement({
    session: NEW_SESSION,
    extension,
    judgeText: () => NO_CONSEQUENCES,
  });
  const name = builtInName(oid);
  j.effects.add("read");
  judgeCallByName(j, { schema: undefined, name: name ?? `with OID ${oid}` }, [], undefined);
  // Which large object, or which setting, is in the message's arguments.
  if (name === "set_config") j.mustRefuse = true;
  const summary = `function call ${name ?? oid}`;
  return statementOf({
    j,
    tree: undefined,
    node: "FunctionCall",
    summary,
    startByte: 0,
    endByte: 0,
  });
}

function classifyPostgresql(text: string, options: ClassifyOptions): Classification {
  const parsed = parse(text);
  if (parsed.kind === "refused") return failure(parsed);
  return unite(parsed.text, judgeAll(parsed.statements, options, 0));
}

/** PostgreSQL's grammar first; statements that it does not read, by their words. */
function classifyRedshift(text: string, given: ClassifyOptions): Classification {
  const options = { ...given, functions: redshiftExtension(given.functions ?? NO_EXTENSION) };
  if (hasBackslashLiteral(text)) {
    return unparsed("syntax", "a literal with a backslash is not certain to end where it seems to");
  }
  const parsed = parse(text);
  if (parsed.kind === "parsed") return unite(parsed.text, judgeAll(parsed.statements, options, 0));
  if (parsed.cause !== "syntax") return failure(parsed);
  const bytes = Buffer.from(text);
  const judged: Judged[] = [];
  let { session } = options;
  for (const cut of cutRedshift(text) ?? [undefined]) {
    if (cut === undefined) return failure(parsed);
    const { startByte, endByte } = cut;
    const alone = parse(bytes.toString("utf8", startByte, endByte));
    if (alone.kind === "parsed") {
      const own = judgeAll(alone.statements, { ...options, session }, 0);
      judged.push(...own.map((one) => ({ ...one, startByte, endByte })));
      session = own.reduce((before, { j }) => advance(before, j.changes), session);
      continue;
    }
    const judgement = judgeRedshift(cut, surroundingsOf({ ...options, session }, 0));
    if (judgement === undefined) return failure(parsed);
    judged.push({ ...judgement, tree: undefined, node: "RedshiftStmt", startByte, endByte });
  }
  return unite(text, judged);
}

/** Judges statements in the order in which they run: each in the session that those before it leave. */
function judgeAll(
  statements: readonly RawStmt[],
  options: ClassifyOptions,
  depth: number,
): readonly Judged[] {
  let { session } = options;
  return statements.flatMap(({ stmt, stmt_location: startByte = 0, stmt_len: bytes }) => {
    if (stmt === undefined) return [];
    const j = newJudgement(surroundingsOf({ ...options, session }, depth));
    judgeStatement(j, stmt);
    // Code that we don't see may drop temporary tables, but not the one that this statement is about to create.
    if (j.runsUserCode || j.runsText) j.changes.unshift({ kind: "temporary_in_doubt" });
    session = advance(session, j.changes);
    const endByte = bytes === undefined ? undefined : startByte + bytes;
    return [{ j, tree: stmt, node: undefined, summary: undefined, startByte, endByte }];
  });
}

function surroundingsOf(options: ClassifyOptions, depth: number): Surroundings {
  return {
    session: options.session,
    extension: options.functions ?? NO_EXTENSION,
    judgeText: (sql, session) => consequencesOf(sql, { ...options, session }, depth + 1),
  };
}

function consequencesOf(sql: string, options: ClassifyOptions, depth: number): Consequences {
  if (depth > MAX_NESTED_TEXTS) return { ...NO_CONSEQUENCES, destroys: "nested too deeply" };
  if (!sql.isWellFormed() || sql.includes("\0")) return NO_CONSEQUENCES;
  const parsed = parse(sql);
  if (parsed.kind === "refused") {
    // What is no SQL does nothing; what can't be read may do anything.
    return parsed.cause === "syntax"
      ? NO_CONSEQUENCES
      : { ...NO_CONSEQUENCES, destroys: parsed.message };
  }
  const judgements = judgeAll(parsed.statements, options, depth).map(({ j }) => j);
  return {
    destroys: judgements.flatMap((j) => j.findings).find(({ of }) => of === "destructive")?.because,
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

function failure({ cause, message, position }: ParseFailure): UnparsedClassification {
  return unparsed(cause, message, position);
}

function unparsed(
  cause: UnparsedClassification["cause"],
  message: string,
  position?: number,
): UnparsedClassification {
  return { kind: "unparsed", effects: ["unparsed"], cause, message, position };
}
