import { describe, expect, it } from "vitest";
import { classify } from "../../src/sql/classify.ts";
import {
  advance,
  expectPrepared,
  isTemporary,
  NEW_SESSION,
  ranAlone,
  settle,
  unsettled,
} from "../../src/sql/session.ts";
import type { SessionChange, SqlSession } from "../../src/sql/session.ts";

const created: SessionChange = { kind: "created_temporary", name: "t", relation: "stays" };
const idle = { status: "I", failed: false } as const;

function after(...statements: readonly string[]): SqlSession {
  return statements.reduce((session, sql) => {
    const classified = classify(sql, { dialect: "postgresql", session });
    if (classified.kind === "unparsed") throw new Error(classified.message);
    return ranAlone(session, classified.statements);
  }, NEW_SESSION);
}

describe("a temporary table", () => {
  it("is certain once its statement completed and the server is ready", () => {
    const session = settle(advance(NEW_SESSION, [created]), idle);
    expect(isTemporary(session, "t")).toBe(true);
  });

  it("is gone when a later statement of the same message failed", () => {
    const session = settle(advance(NEW_SESSION, [created]), { status: "I", failed: true });
    expect(isTemporary(session, "t")).toBe(false);
  });

  it("outlives the failure of a later message", () => {
    const made = settle(advance(NEW_SESSION, [created]), idle);
    expect(isTemporary(settle(advance(made, []), { status: "I", failed: true }), "t")).toBe(true);
  });

  it("goes with the transaction that made it, also when COMMIT ends a failed one", () => {
    const begun = settle(advance(NEW_SESSION, [{ kind: "begin" }]), { status: "T", failed: false });
    const made = settle(advance(begun, [created]), { status: "T", failed: false });
    const failed = settle(made, { status: "E", failed: true });
    const ended = settle(advance(failed, [{ kind: "commit", chain: false }]), idle);
    expect(isTemporary(ended, "t")).toBe(false);
  });

  it("comes back when a DROP is rolled back to a savepoint", () => {
    const session = after(
      "BEGIN",
      "CREATE TEMP TABLE t (a int)",
      "SAVEPOINT s",
      "DROP TABLE t",
      "ROLLBACK TO s",
    );
    expect(isTemporary(session, "t")).toBe(true);
  });

  it("is in doubt when the server's transaction status is not the one we believe in", () => {
    const made = settle(advance(NEW_SESSION, [created]), idle);
    expect(isTemporary(settle(made, { status: "T", failed: false }), "t")).toBe(false);
    const begun = settle(advance(made, [{ kind: "begin" }]), { status: "T", failed: false });
    expect(isTemporary(settle(begun, idle), "t")).toBe(false);
  });

  it("is in doubt after code that nobody has seen, even where an error undoes the rest", () => {
    const made = settle(advance(NEW_SESSION, [created]), idle);
    const called = advance(made, [{ kind: "temporary_in_doubt" }]);
    expect(isTemporary(settle(called, idle), "t")).toBe(false);
    expect(isTemporary(settle(called, { status: "I", failed: true }), "t")).toBe(false);
  });

  it("is not relied upon while answers are outstanding", () => {
    const made = settle(advance(NEW_SESSION, [created]), idle);
    expect(isTemporary(unsettled(made), "t")).toBe(false);
  });
});

describe("a prepared statement", () => {
  const harmless = { destructive: false, mustRefuse: false };
  const destructive = { destructive: true, mustRefuse: false };

  it("survives a rollback, as it does on the server", () => {
    const session = after("BEGIN", "PREPARE wipe AS DELETE FROM users", "ROLLBACK");
    expect(session.prepared.get("wipe")).toEqual(destructive);
  });

  it("counts as the worse of two while it is not known which one the name means", () => {
    const first = expectPrepared(NEW_SESSION, "p", destructive);
    expect(expectPrepared(first, "p", harmless).prepared.get("p")).toEqual(destructive);
  });

  it("is forgotten by DEALLOCATE and DISCARD ALL", () => {
    const prepare = "PREPARE wipe AS DELETE FROM users";
    expect(after(prepare, "DEALLOCATE wipe").prepared.size).toBe(0);
    expect(after(prepare, "DEALLOCATE ALL").prepared.size).toBe(0);
    expect(after(prepare, "DISCARD ALL").prepared.size).toBe(0);
  });
});

describe("the role", () => {
  it("is followed through SET ROLE, RESET ROLE and ROLLBACK", () => {
    expect(after("SET ROLE admin").state.role).toBe("admin");
    expect(after("SET ROLE admin", "RESET ROLE").state.role).toBeUndefined();
    expect(after("BEGIN", "SET ROLE admin", "ROLLBACK").state.role).toBeUndefined();
  });
});
