import { beforeEach, describe, expect, it } from "vitest";
import { ProtocolState, type Outcome } from "../../src/wire/protocol-state.ts";

let state: ProtocolState<string, string>;
let ended: [string, Outcome["kind"]][];

beforeEach(() => {
  ended = [];
  state = new ProtocolState(
    (execution, outcome) => ended.push([execution, outcome.kind]),
    (execution) =>
      execution === "PREPARE s"
        ? { statements: [["s", "by SQL"]], portals: [], isOneOfSeveral: false }
        : undefined,
  );
});

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
  it("ignores a Sync that came right behind its Execute, as the server does (checklist 48)", () => {
    state.sentExecute("copy");
    state.sentSync();
    state.copyInResponse();
    state.sentCopyEnd();
    state.sentSync();
    state.commandComplete("COPY 2");
    state.readyForQuery("I");
    expect(ended).toEqual([["copy", "completed"]]);
    expect(state.isSettled).toBe(true);
  });

  it("that was ended before the server began it still takes one Sync", () => {
    state.sentExecute("copy");
    state.sentSync();
    state.sentCopyEnd();
    state.sentSync();
    state.copyInResponse();
    state.commandComplete("COPY 0");
    state.readyForQuery("I");
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
