import type { SessionChange } from "./session.ts";

/** What a statement can do. Meanings stand at the head of `test/corpus/statements.yaml`, in this order. */
export const EFFECTS = [
  "read",
  "write",
  "delete",
  "ddl",
  "destructive_ddl",
  "privilege",
  "session",
  "admin",
  "opaque",
  "file_access",
  "program_execution",
  "replication",
  "transaction",
  "copy_in",
  "copy_out",
  "unparsed",
] as const;

export type Effect = (typeof EFFECTS)[number];

/** A name as the parse tree gives it: folded, unescaped. */
export interface QualifiedName {
  readonly schema: string | undefined;
  readonly name: string;
}

/** An object that a statement names, as written: an unqualified name has no schema. */
export interface SqlObject {
  readonly kind: string;
  readonly schema: string | undefined;
  readonly name: string;
}

/** Why an effect, or `destructive`, was given: one sentence, and the piece of SQL it stems from. */
export interface Reason {
  readonly of: Effect | "destructive" | "must_refuse";
  readonly because: string;
  /** UTF-8 byte offsets into the text, where the parse tree tells. For display only; never cut SQL by them. */
  readonly at: { readonly startByte: number; readonly endByte: number } | undefined;
}

/** A migration hazard that is not a loss: a long lock, a table rewrite. */
export interface Warning {
  readonly name: string;
  readonly why: string;
  readonly safer: string;
}

/** How far a statement's effects go beyond the database that the session is connected to. */
export type Reach = "database" | "cluster";

export interface StatementClassification {
  /** The grammar's node type, such as `DropdbStmt`. */
  readonly node: string;
  /** What refusals and alerts call it: `DROP DATABASE "shop"`. At most 120 characters, no control characters. */
  readonly summary: string;
  /** In the order of {@link EFFECTS}, without repetition. */
  readonly effects: readonly Effect[];
  readonly destructive: boolean;
  readonly mustRefuse: boolean;
  readonly reach: Reach;
  readonly objects: readonly SqlObject[];
  readonly reasons: readonly Reason[];
  readonly warnings: readonly Warning[];
  /** The functions that alone make it `opaque`; none where anything else does, too. */
  readonly unknownFunctions: readonly QualifiedName[];
  /** What its completion changes about the session, for `advance` in `session.ts`. */
  readonly changes: readonly SessionChange[];
}

/** A text that PostgreSQL's grammar reads: all its statements, and their union. */
export interface ParsedClassification {
  readonly kind: "parsed";
  /** What was judged and is to be forwarded: the client's own text, or the same without comments (rule 4 of docs/explanation/parsers.md). */
  readonly text: string;
  readonly statements: readonly StatementClassification[];
  readonly effects: readonly Effect[];
  readonly destructive: boolean;
  readonly mustRefuse: boolean;
  /** After it the server may read text differently without having said so yet: nothing is judged ahead of its answer. */
  readonly mayChangeLexing: boolean;
  /** Holds `$n`: what is executed is only known once values are bound. */
  readonly hasParameters: boolean;
  /** Judged by the session's state, so the same text may be judged otherwise in another session. */
  readonly dependsOnSession: boolean;
}

/** A text that it does not read, or that is too large, too deep or not decodable: never guessed harmless. */
export interface UnparsedClassification {
  readonly kind: "unparsed";
  readonly effects: readonly ["unparsed"];
  readonly cause: "syntax" | "too_large" | "too_deep" | "timed_out" | "failed";
  /** The parser's own words where it has any: `syntax error at or near "EXIST"`. */
  readonly message: string;
  /** 1-based, in characters, as ErrorResponse field `P` counts. */
  readonly position: number | undefined;
}

export type Classification = ParsedClassification | UnparsedClassification;
