/** A piece of SQL inside a PL/pgSQL body, in the order of the source. */
export interface Fragment {
  /**
   * - `static`: a statement, or an expression made into one, that runs as it stands
   * - `dynamic`: an expression whose value is run as SQL
   * - `assigned`: an expression whose value goes into a variable; evaluated too
   */
  readonly kind: "static" | "dynamic" | "assigned";
  /** For `static` a whole statement, otherwise an expression. */
  readonly sql: string;
  /** Inside IF, a loop or an exception handler: may run or not. */
  readonly conditional: boolean;
}

// libpg_query's names (PL/pgSQL's own, from plpgsql.h).
const DYNAMIC_STATEMENTS = new Set(["PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"]);
const CONTROL = new Set(
  ["if", "case", "loop", "while", "fori", "fors", "forc", "foreach_a", "dynfors"].map(
    (statement) => `PLpgSQL_stmt_${statement}`,
  ),
);

interface Place {
  /** The PL/pgSQL statement or declaration around, and the field of it. */
  readonly owner: string;
  readonly field: string;
  readonly conditional: boolean;
}

/** All SQL in what libpg_query makes of a body. */
export function fragmentsOf(functions: readonly unknown[]): readonly Fragment[] {
  return [...walk(functions, { owner: "", field: "", conditional: false })];
}

function* walk(tree: unknown, place: Place): Generator<Fragment> {
  if (Array.isArray(tree)) {
    for (const item of tree) yield* walk(item, place);
    return;
  }
  if (typeof tree !== "object" || tree === null) return;
  for (const [key, value] of Object.entries(tree)) {
    if (key === "PLpgSQL_expr") yield* fragment((value as { query?: string }).query ?? "", place);
    else yield* walk(value, inside(key, value, place));
  }
}

function inside(key: string, value: unknown, { owner, conditional }: Place): Place {
  if (!key.startsWith("PLpgSQL_")) return { owner, field: key, conditional };
  // A block with handlers may be rolled back half-way.
  const isGuarded = typeof value === "object" && value !== null && "exceptions" in value;
  return { owner: key, field: "", conditional: conditional || CONTROL.has(key) || isGuarded };
}

function* fragment(query: string, place: Place): Generator<Fragment> {
  const { owner, field, conditional } = place;
  const isDynamic = field === "dynquery" || (DYNAMIC_STATEMENTS.has(owner) && field === "query");
  if (isDynamic) {
    yield { kind: "dynamic", sql: query, conditional };
    return;
  }
  const isAssignment = owner === "PLpgSQL_stmt_assign" || field === "default_val";
  const value = isAssignment ? query.replace(ASSIGNMENT, "") : query;
  if (isAssignment) yield { kind: "assigned", sql: value, conditional };
  const isStatement = !isAssignment && STATEMENT.test(value);
  yield { kind: "static", sql: isStatement ? value : `SELECT ${value}`, conditional };
}

const ASSIGNMENT = /^\s*[^\s'(=:]+(?:\s*\[[^\]]*\])*\s*:?=/;

const STATEMENT = new RegExp(
  String.raw`^\s*\(*\s*(?:${[
    ...["abort", "alter", "analyze", "begin", "call", "checkpoint", "close", "cluster", "comment"],
    ...["commit", "copy", "create", "deallocate", "declare", "delete", "discard", "do", "drop"],
    ...["end", "execute", "explain", "fetch", "grant", "import", "insert", "listen", "load"],
    ...["lock", "merge", "move", "notify", "prepare", "reassign", "refresh", "reindex"],
    ...["release", "reset", "revoke", "rollback", "savepoint", "security", "select", "set"],
    ...["show", "start", "table", "truncate", "unlisten", "update", "vacuum", "values", "with"],
  ].join("|")})\b`,
  "i",
);
