import { beforeEach, describe, expect, it } from "vitest";
import type { NameChanges } from "../../src/wire/named-objects.ts";
import { ProtocolState, type Outcome } from "../../src/wire/protocol-state.ts";

let state: ProtocolState<string, string>;
let ended: [string, Outcome["kind"]][];

beforeEach(() => {
  ended = [];
  state = new ProtocolState({
    onFinished: (execution, outcome) => ended.push([execution, outcome.kind]),
    nameChanges: (execution) => CHANGES.get(execution),
    isHarmless: (statement) => !statement.startsWith("harmful"),
    maxNames: 3,
  });
});

const changing = (
  kind: "statement" | "portal",
  name: string | undefined,
  value?: string,
  outlivesTransaction = false,
): NameChanges<string> => ({
  changes: [{ kind, name, value, outlivesTransaction }],
  isOneOfSeveral: false,
});

const CHANGES = new Map<string, NameChanges<string>>([
  ["PREPARE s", changing("statement", "s", "by SQL")],
  ["DEALLOCATE s", changing("statement", "s")],
  ["DEALLOCATE ALL", changing("statement", undefined)],
  ["DECLARE c", changing("portal", "c", "by SQL")],
  ["DECLARE c WITH HOLD", changing("portal", "c", "by SQL", true)],
  ["CLOSE c", changing("portal", "c")],
]);

function ran(text: string, status: "I" | "T" = "T"): void {
  state.sentQuery(text);
  state.commandComplete(text);
  state.readyForQuery(status);
}

function parsed(name: string, statement: string): void {
  state.sentParse(name, statement);
  state.sentSync();
  state.parseComplete();
  state.readyForQuery("I");
}

const found = (value: string): unknown => ({ kind: "found", value });
const unknown = { kind: "unknown" };
const unsettled = { kind: "unsettled" };

describe("prepared statements", () => {
  it("are known inside their own pipeline before the server has confirmed them", () => {
    state.sentParse("s", "A");
    expect(state.statement("s")).toEqual(found("A"));
  });

  it("are kept only when the server has confirmed them (checklist 39)", () => {
    state.sentParse("s", "A");
    state.sentSync();
    state.errorResponse("42601");
    state.readyForQuery("I");
    expect(state.statement("s")).toEqual(unknown);
  });

  it("are unsettled while a later pipeline may replace them", () => {
    state.sentParse("", "harmless");
    state.sentSync();
    state.parseComplete();
    state.readyForQuery("I");
    state.sentParse("", "other");
    state.sentSync();
    expect(state.statement("")).toEqual(unsettled);
    state.parseComplete();
    expect(state.statement("")).toEqual(found("other"));
  });

  it("lose the unnamed one when its replacement is refused by the server (checklist 40)", () => {
    state.sentParse("", "A");
    state.sentSync();
    state.parseComplete();
    state.readyForQuery("I");
    state.sentRefusal("");
    state.sentSync();
    state.errorResponse("42501");
    state.readyForQuery("I");
    expect(state.statement("")).toEqual(unknown);
  });

  it("keep a named one when its replacement fails", () => {
    state.sentParse("s", "A");
    state.sentSync();
    state.parseComplete();
    state.readyForQuery("I");
    state.sentRefusal("s");
    state.sentSync();
    state.errorResponse("42501");
    state.readyForQuery("I");
    expect(state.statement("s")).toEqual(found("A"));
  });

  it("lose the unnamed one to a simple query, even one that fails", () => {
    state.sentParse("", "A");
    state.sentSync();
    state.parseComplete();
    state.readyForQuery("I");
    state.sentQuery("q");
    expect(state.statement("")).toEqual(unknown);
    state.errorResponse("42601");
    state.readyForQuery("I");
    expect(state.statement("")).toEqual(unknown);
  });

  it("are also made by SQL PREPARE, once it has succeeded (checklist 42)", () => {
    state.sentQuery("PREPARE s");
    expect(state.statement("s")).toEqual(unsettled);
    state.commandComplete("PREPARE");
    state.readyForQuery("I");
    expect(state.statement("s")).toEqual(found("by SQL"));
  });

  it("are not made by a SQL PREPARE that failed", () => {
    state.sentQuery("PREPARE s");
    state.errorResponse("42601");
    state.readyForQuery("I");
    expect(state.statement("s")).toEqual(unknown);
  });

  it("are gone after Close, which in a later pipeline is unsettled until answered", () => {
    state.sentParse("s", "A");
    state.sentSync();
    state.parseComplete();
    state.readyForQuery("I");
    state.sentClose("statement", "s");
    expect(state.statement("s")).toEqual(unknown);
    state.sentSync();
    expect(state.statement("s")).toEqual(unsettled);
    state.closeComplete();
    expect(state.statement("s")).toEqual(unknown);
  });

  it("are not mistaken for portals of the same name (checklist 38)", () => {
    state.sentParse("x", "statement");
    state.sentBind("x", "portal");
    expect(state.statement("x")).toEqual(found("statement"));
    expect(state.portal("x")).toEqual(found("portal"));
  });
});

describe("portals", () => {
  it("end with their transaction", () => {
    state.sentBind("p", "A");
    state.sentSync();
    state.bindComplete();
    state.readyForQuery("T");
    expect(state.portal("p")).toEqual(found("A"));
    state.sentQuery("COMMIT");
    state.commandComplete("COMMIT");
    state.readyForQuery("I");
    expect(state.portal("p")).toEqual(unknown);
  });
});

describe("executions", () => {
  it("end in order, those behind an error as skipped", () => {
    state.sentParse("", "A");
    state.sentBind("", "A");
    state.sentExecute("first");
    state.sentExecute("second");
    state.sentExecute("third");
    state.sentSync();
    state.parseComplete();
    state.bindComplete();
    state.commandComplete("INSERT 0 1");
    state.errorResponse("23505");
    state.readyForQuery("I");
    expect(ended).toEqual([
      ["first", "completed"],
      ["second", "failed"],
      ["third", "skipped"],
    ]);
    expect(state.isSettled).toBe(true);
  });

  it("of one simple query end once, at its ReadyForQuery", () => {
    state.sentQuery("batch");
    state.commandComplete("SELECT 1");
    state.commandComplete("SELECT 1");
    expect(ended).toEqual([]);
    state.readyForQuery("I");
    expect(ended).toEqual([["batch", "completed"]]);
  });

  it("are skipped up to the next Sync when none was sent yet", () => {
    state.sentExecute("first");
    state.errorResponse("22012");
    expect(state.isSkipping).toBe(true);
    state.sentSync();
    expect(state.isSkipping).toBe(false);
    state.readyForQuery("E");
    expect(state.transactionStatus).toBe("E");
  });

  it("that never got an answer end with the connection", () => {
    state.sentQuery("running");
    state.connectionLost("08006");
    expect(ended).toEqual([["running", "failed"]]);
  });
});

describe("COPY", () => {
  it("ends with the last of its rows, or with the statement", () => {
    state.sentQuery("two copies", 2);
    state.sentCopyEnd();
    expect(state.copyIn).toBeDefined();
    state.sentCopyEnd();
    expect(state.copyIn).toBeUndefined();
    state.sentExecute("fails", 1);
    state.errorResponse("22P02");
    state.readyForQuery("I");
    state.errorResponse("22P02");
    expect(state.copyIn).toBeUndefined();
  });

  it("is open from the server's answer to it on, not from an earlier one's", () => {
    state.sentExecute("first", 1);
    state.sentCopyEnd();
    state.sentExecute("second", 1);
    state.copyInResponse();
    expect(state.copyIn?.isOpen).toBe(false);
    state.commandComplete("COPY 0");
    state.copyInResponse();
    expect(state.copyIn?.isOpen).toBe(true);
  });

  it("gives back a Sync that stood behind its failure (checklist 48)", () => {
    state.sentExecute("copy", 1);
    state.copyInResponse();
    if (state.copyIn !== undefined) state.copyIn.heldSyncs += 1;
    state.errorResponse("22P02");
    expect(state.releaseSyncs()).toBe(1);
    expect(state.releaseSyncs()).toBe(0);
  });

  it("forgets a Sync that more rows follow, or the end (checklist 48)", () => {
    state.sentExecute("copy", 1);
    state.copyInResponse();
    const { copyIn } = state;
    if (copyIn !== undefined) copyIn.heldSyncs += 1;
    copyIn?.sentData();
    expect(copyIn?.heldSyncs).toBe(0);
    if (copyIn !== undefined) copyIn.heldSyncs += 1;
    state.sentCopyEnd();
    state.errorResponse("22P02");
    expect(state.releaseSyncs()).toBe(0);
  });

  it("that nobody asked for is a violation", () => {
    expect(() => {
      state.copyInResponse();
    }).toThrow("no statement asked for");
  });

  it("leaves nothing to wait for when a simple query's has been answered", () => {
    state.sentQuery("copy");
    state.copyInResponse();
    state.sentCopyEnd();
    state.commandComplete("COPY 2");
    state.readyForQuery("I");
    expect(ended).toEqual([["copy", "completed"]]);
    expect(state.isSettled).toBe(true);
  });

  it("ended outside of one is dropped (checklist 49)", () => {
    state.sentCopyEnd();
    state.sentQuery("q");
    state.commandComplete("SELECT 1");
    state.readyForQuery("I");
    expect(ended).toEqual([["q", "completed"]]);
  });
});

describe("names in doubt", () => {
  it("what seems to be skipped and is not harmless leaves no older meaning behind", () => {
    parsed("s", "harmless");
    state.sentExecute("fails");
    state.sentParse("s", "harmful");
    state.errorResponse("57014");
    state.readyForQuery("I");
    expect(state.statement("s")).toEqual(unknown);
  });

  it("what is skipped and harmless does", () => {
    parsed("s", "harmless");
    state.sentExecute("fails");
    state.sentParse("s", "as harmless");
    state.errorResponse("57014");
    state.sentSync();
    state.readyForQuery("I");
    expect(state.statement("s")).toEqual(found("harmless"));
  });

  it("a portal, too", () => {
    state.sentBind("p", "harmless");
    state.sentSync();
    state.bindComplete();
    state.readyForQuery("T");
    state.sentExecute("fails");
    state.sentBind("p", "harmful", "approved");
    state.errorResponse("57014");
    expect(state.portal("p")).toEqual(unknown);
    expect(ended).toEqual([
      ["fails", "failed"],
      ["approved", "skipped"],
    ]);
  });
});

describe("names by SQL (checklist 42)", () => {
  it("are given up by DEALLOCATE", () => {
    parsed("s", "A");
    parsed("t", "B");
    state.sentQuery("DEALLOCATE s");
    expect(state.statement("s")).toEqual(unsettled);
    state.commandComplete("DEALLOCATE");
    state.readyForQuery("I");
    expect(state.statement("s")).toEqual(unknown);
    expect(state.statement("t")).toEqual(found("B"));
    ran("DEALLOCATE ALL");
    expect(state.statement("t")).toEqual(unknown);
  });

  it("are cursors that Execute reaches, up to CLOSE or the end of the transaction", () => {
    ran("DECLARE c");
    expect(state.portal("c")).toEqual(found("by SQL"));
    ran("CLOSE c");
    expect(state.portal("c")).toEqual(unknown);
    ran("DECLARE c");
    ran("COMMIT", "I");
    expect(state.portal("c")).toEqual(unknown);
    ran("DECLARE c WITH HOLD");
    ran("COMMIT", "I");
    expect(state.portal("c")).toEqual(found("by SQL"));
  });

  it("are bounded: one more is not known, and the unnamed has always room", () => {
    for (const name of ["a", "b", "d"]) parsed(name, "A");
    expect(state.hasRoomFor("statement", "e")).toBe(false);
    expect(state.hasRoomFor("statement", "a")).toBe(true);
    expect(state.hasRoomFor("portal", "")).toBe(true);
    ran("PREPARE s");
    expect(state.statement("s")).toEqual(unknown);
  });
});
