/**
 * What one session has done that changes how its next statements are judged: temporary tables it certainly still has,
 * statements it prepared by name, the role it acts as. A value; every function here returns a new one.
 *
 * The relay's part: `advance` for each statement that the server reports complete, `settle` at every ReadyForQuery.
 * While answers are outstanding it judges with `unsettled`, because what is on its way may take a temporary table away.
 */
export interface SqlSession {
  /**
   * Whether what a bare name means can be followed at all. Where text is read for its own sake, yes; not in a running
   * session, whose search_path, roles and functions nobody sees whole.
   */
  readonly believesNames: boolean;
  readonly state: TransactionalState;
  /** By name: SQL PREPARE and the extended protocol's Parse share them. Not undone by ROLLBACK. */
  readonly prepared: ReadonlyMap<string, PreparedStatement>;
  /** Functions and procedures that it created and whose written-out bodies do harm, by their last name. */
  readonly defined: ReadonlyMap<string, PreparedStatement>;
  readonly transaction: Transaction | undefined;
}

/** A relation in the session's temporary schema: when it goes by itself, or that it is a view, whose rows are others'. */
type TemporaryRelation = "stays" | "until_commit" | "view";

/** What ROLLBACK takes back. */
interface TransactionalState {
  readonly temporary: ReadonlyMap<string, TemporaryRelation>;
  /** False once search_path names pg_temp behind another schema: then a bare name may be a permanent table's. */
  readonly temporaryFirst: boolean;
  /** As set by SET ROLE; `undefined` for the role that logged in. */
  readonly role: string | undefined;
}

interface Transaction {
  /** Opened by BEGIN; otherwise it is the implicit one of a message, or of a pipeline up to Sync. */
  readonly explicit: boolean;
  readonly failed: boolean;
  readonly start: TransactionalState;
  readonly savepoints: readonly { readonly name: string; readonly state: TransactionalState }[];
}

/** What an EXECUTE of the name would do. */
export interface PreparedStatement {
  readonly destructive: boolean;
  readonly mustRefuse: boolean;
}

/** What a statement, once it has completed, changes about the session. */
export type SessionChange =
  | {
      readonly kind: "created_temporary";
      readonly name: string;
      readonly relation: TemporaryRelation;
    }
  | { readonly kind: "dropped"; readonly names: readonly string[] }
  | { readonly kind: "renamed"; readonly from: string; readonly to: string }
  /** Temporary tables may have gone in a way that the text does not show. */
  | { readonly kind: "temporary_in_doubt" }
  | { readonly kind: "search_path"; readonly temporaryFirst: boolean }
  | { readonly kind: "role"; readonly role: string | undefined }
  | { readonly kind: "prepared"; readonly name: string; readonly statement: PreparedStatement }
  | { readonly kind: "defined"; readonly name: string; readonly statement: PreparedStatement }
  | { readonly kind: "deallocated"; readonly name: string | undefined }
  | { readonly kind: "declared"; readonly name: string; readonly withHold: boolean }
  /** `undefined` for all cursors. */
  | { readonly kind: "closed"; readonly name: string | undefined }
  | { readonly kind: "discarded_all" }
  | { readonly kind: "begin" }
  | { readonly kind: "commit"; readonly chain: boolean }
  | { readonly kind: "rollback"; readonly chain: boolean }
  | { readonly kind: "savepoint"; readonly name: string }
  | { readonly kind: "release"; readonly name: string }
  | { readonly kind: "rollback_to"; readonly name: string };

const NOTHING_TEMPORARY: TransactionalState["temporary"] = new Map();

export const NEW_SESSION: SqlSession = {
  believesNames: true,
  state: { temporary: NOTHING_TEMPORARY, temporaryFirst: true, role: undefined },
  prepared: new Map(),
  defined: new Map(),
  transaction: undefined,
};

/** A running session, of which only what makes things worse is remembered. */
export const CAUTIOUS_SESSION: SqlSession = { ...NEW_SESSION, believesNames: false };

/** True when a judgement made for a new session holds for this one too. */
export function isPlain(session: SqlSession): boolean {
  const { believesNames, state, prepared, defined } = session;
  return (
    believesNames === NEW_SESSION.believesNames &&
    state.temporary.size === 0 &&
    prepared.size === 0 &&
    defined.size === 0
  );
}

/** True when `name`, written without a schema, is certainly a temporary relation of this session. */
export function isTemporary({ believesNames, state }: SqlSession, name: string): boolean {
  return believesNames && state.temporaryFirst && state.temporary.has(name);
}

/** True for a temporary view: dropping it loses nothing, but its rows are those of other tables. */
export function isTemporaryView({ state }: SqlSession, name: string): boolean {
  return state.temporary.get(name) === "view";
}

/** A statement has completed. */
export function advance(session: SqlSession, changes: readonly SessionChange[]): SqlSession {
  const inTransaction =
    session.transaction === undefined
      ? { ...session, transaction: startTransaction(session.state, { explicit: false }) }
      : session;
  return changes.reduce(applyChange, inTransaction);
}

/**
 * The server is ready for the next query.
 *
 * @param status - ReadyForQuery's: idle, in a transaction, in a failed one
 * @param failed - an ErrorResponse came since the last ReadyForQuery
 */
export function settle(
  session: SqlSession,
  { status, failed }: { readonly status: "I" | "T" | "E"; readonly failed: boolean },
): SqlSession {
  const { transaction } = session;
  if (status === "I") {
    if (transaction === undefined) return session;
    if (failed) return ended(session, transaction.start);
    // We believe in an open block, the server doesn't: we have missed something.
    return transaction.explicit ? doubt(ended(session, session.state)) : committed(session, false);
  }
  if (transaction?.explicit !== true) {
    const doubted = doubt({ ...session, transaction: undefined });
    return {
      ...doubted,
      transaction: {
        ...startTransaction(doubted.state, { explicit: true }),
        failed: status === "E",
      },
    };
  }
  return { ...session, transaction: { ...transaction, failed: status === "E" } };
}

/** As {@link advance} and {@link settle} for a message that ran without an error, by what its statements say. */
export function ranAlone(
  session: SqlSession,
  statements: readonly { readonly changes: readonly SessionChange[] }[],
): SqlSession {
  const advanced = statements.reduce((before, { changes }) => advance(before, changes), session);
  const status = advanced.transaction?.explicit === true ? "T" : "I";
  return settle(advanced, { status, failed: false });
}

/** The session as it is safe to judge by while earlier statements have no answer yet: nothing is surely temporary. */
export function unsettled(session: SqlSession): SqlSession {
  if (session.state.temporary.size === 0) return session;
  return { ...session, state: { ...session.state, temporary: NOTHING_TEMPORARY } };
}

/** A statement of that name is on its way: until it is known to have failed, EXECUTE may run the old or the new one. */
export function expectPrepared(
  session: SqlSession,
  name: string,
  statement: PreparedStatement,
): SqlSession {
  const old = session.prepared.get(name);
  return withPrepared(session, name, {
    destructive: statement.destructive || old?.destructive === true,
    mustRefuse: statement.mustRefuse || old?.mustRefuse === true,
  });
}

function applyChange(session: SqlSession, change: SessionChange): SqlSession {
  switch (change.kind) {
    case "created_temporary":
      return withTemporary(session, (temporary) => temporary.set(change.name, change.relation));
    case "dropped":
      return withTemporary(session, (temporary) => {
        for (const name of change.names) temporary.delete(name);
      });
    case "renamed":
      return withTemporary(session, (temporary) => {
        const lifetime = temporary.get(change.from);
        if (lifetime === undefined || !temporary.delete(change.from)) return;
        temporary.set(change.to, lifetime);
      });
    case "temporary_in_doubt":
      return doubt(session);
    case "search_path":
      return withState(session, { temporaryFirst: change.temporaryFirst });
    case "role":
      return withState(session, { role: change.role });
    case "prepared":
      return expectPrepared(session, change.name, change.statement);
    case "defined":
      return { ...session, defined: new Map(session.defined).set(change.name, change.statement) };
    case "deallocated":
      return withoutPrepared(session, change.name);
    case "declared":
    case "closed":
      // Cursors matter to the protocol only: what they read was judged when they were declared.
      return session;
    case "discarded_all":
      return { ...NEW_SESSION, defined: session.defined, transaction: session.transaction };
    case "begin":
      return session.transaction === undefined
        ? session
        : { ...session, transaction: { ...session.transaction, explicit: true } };
    case "commit":
      return session.transaction?.failed === true
        ? rolledBack(session, change.chain)
        : committed(session, change.chain);
    case "rollback":
      return rolledBack(session, change.chain);
    case "savepoint":
      return withSavepoints(session, (savepoints) => [
        ...savepoints,
        { name: change.name, state: session.state },
      ]);
    case "release":
      return withSavepoints(session, (savepoints) =>
        savepoints.slice(0, Math.max(0, lastNamed(savepoints, change.name))),
      );
    case "rollback_to":
      return rolledBackTo(session, change.name);
  }
}

function startTransaction(
  start: TransactionalState,
  { explicit }: { readonly explicit: boolean },
): Transaction {
  return { explicit, failed: false, start, savepoints: [] };
}

function committed(session: SqlSession, chain: boolean): SqlSession {
  const left = new Map(
    [...session.state.temporary].filter(([, relation]) => relation !== "until_commit"),
  );
  return ended(session, { ...session.state, temporary: left }, chain);
}

function rolledBack(session: SqlSession, chain: boolean): SqlSession {
  return ended(session, session.transaction?.start ?? session.state, chain);
}

function ended(session: SqlSession, state: TransactionalState, chain = false): SqlSession {
  const transaction = chain ? startTransaction(state, { explicit: true }) : undefined;
  return { ...session, state, transaction };
}

function rolledBackTo(session: SqlSession, name: string): SqlSession {
  const { transaction } = session;
  if (transaction === undefined) return doubt(session);
  const index = lastNamed(transaction.savepoints, name);
  const savepoint = transaction.savepoints[index];
  if (savepoint === undefined) return doubt(session);
  return {
    ...session,
    state: savepoint.state,
    transaction: {
      ...transaction,
      failed: false,
      savepoints: transaction.savepoints.slice(0, index + 1),
    },
  };
}

function lastNamed(savepoints: Transaction["savepoints"], name: string): number {
  return savepoints.findLastIndex((savepoint) => savepoint.name === name);
}

function doubt(session: SqlSession): SqlSession {
  const forgotten = withState(session, { temporary: NOTHING_TEMPORARY });
  const { transaction } = forgotten;
  // A procedure may have committed what it did, so an error after it does not bring the tables back.
  if (transaction === undefined || transaction.explicit) return forgotten;
  return {
    ...forgotten,
    transaction: {
      ...transaction,
      start: { ...transaction.start, temporary: NOTHING_TEMPORARY },
    },
  };
}

function withState(session: SqlSession, part: Partial<TransactionalState>): SqlSession {
  return { ...session, state: { ...session.state, ...part } };
}

function withTemporary(
  session: SqlSession,
  edit: (temporary: Map<string, TemporaryRelation>) => void,
): SqlSession {
  const temporary = new Map(session.state.temporary);
  edit(temporary);
  return withState(session, { temporary });
}

function withSavepoints(
  session: SqlSession,
  edit: (savepoints: Transaction["savepoints"]) => Transaction["savepoints"],
): SqlSession {
  const { transaction } = session;
  if (transaction === undefined) return session;
  return { ...session, transaction: { ...transaction, savepoints: edit(transaction.savepoints) } };
}

function withPrepared(session: SqlSession, name: string, statement: PreparedStatement): SqlSession {
  return { ...session, prepared: new Map(session.prepared).set(name, statement) };
}

function withoutPrepared(session: SqlSession, name: string | undefined): SqlSession {
  const prepared = new Map(name === undefined ? [] : session.prepared);
  if (name !== undefined) prepared.delete(name);
  return { ...session, prepared };
}
