import type { Node } from "libpg-query";
import type { Judgement } from "../judgement.ts";
import type { NodeName, NodeOf } from "../nodes.ts";

/** PostgreSQL's statements: every node of the grammar that is named so. */
export type StatementName = Extract<NodeName, `${string}Stmt`>;

/** Judges a whole statement, such as one inside another. */
export type JudgeStatement = (j: Judgement, statement: Node) => void;

/** What each statement does by itself; `judge` is for statements inside it. */
export type StatementTable = {
  readonly [Name in StatementName]: (
    j: Judgement,
    statement: NodeOf<Name>,
    judge: JudgeStatement,
  ) => void;
};
