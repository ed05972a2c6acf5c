import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HabitsConfig, Mode } from "../../src/config/habits.ts";
import { parseSchedule } from "../../src/policy/schedule.ts";
import { Bench, EVERYBODY, NOTHING } from "./harness.ts";

const root = mkdtempSync(path.join(tmpdir(), "twokey-habits-"));
afterAll(() => {
  rmSync(root, { recursive: true });
});

let directory: string;
let bench: Bench;
beforeEach(() => {
  directory = path.join(mkdtempSync(path.join(root, "t-")), "habits");
});
afterEach(async () => {
  await bench.habits.close();
});

async function open(config: Partial<HabitsConfig>): Promise<Bench> {
  bench = await Bench.open({ ...NOTHING, directory, ...config });
  return bench;
}

function statements(mode: Mode, maxShapes = 100): Partial<HabitsConfig> {
  return { statements: [{ ...EVERYBODY, name: "profile", mode, maxShapes }] };
}

function unknownOf(name: string): { shape: string; sample: string; times: number }[] {
  return [...(bench.habits.get(name)?.unknown ?? [])];
}

describe("a profile of statements", () => {
  it("that learns tells nothing and takes every shape in", async () => {
    await open(statements("learn"));
    await bench.run("SELECT a FROM t WHERE b = 1");
    await bench.run("SELECT a FROM t WHERE b = 2");
    await bench.run("DELETE FROM t WHERE b = 2");
    expect(bench.kinds()).toEqual([]);
    expect(bench.habits.get("alice")).toMatchObject({
      mode: "learn",
      habit: "profile",
      known: [
        { sample: "SELECT a FROM t WHERE b = ?", database: "shop" },
        { sample: "DELETE FROM t WHERE b = ?", database: "shop" },
      ],
      unknown: [],
    });
  });

  it("that warns tells of what it never saw, once", async () => {
    await open(statements("learn"));
    await bench.run("SELECT a FROM t WHERE b = 1");
    bench.habits.promote("alice", "warn");
    const session = bench.session();
    await bench.run("SELECT a FROM t WHERE b = 2", { session });
    expect(bench.kinds()).toEqual([]);
    await bench.run("SELECT a FROM t WHERE b = 2 OR 1 = 1", { session });
    await bench.run("SELECT a FROM t WHERE b = 3 OR 1 = 1", { session });
    expect(bench.told).toMatchObject([
      { kind: "unusual.statement", rule: "profile", person: "alice", environment: "production" },
    ]);
    expect(unknownOf("alice")).toMatchObject([{ times: 2 }]);
  });

  it("that is enforced refuses it, and says how to have it learned", async () => {
    await open(statements("learn"));
    await bench.run("SELECT a FROM t WHERE b = 1");
    bench.habits.promote("alice", "enforce");
    expect(await bench.run("SELECT a FROM t WHERE b = 9")).toBeUndefined();
    expect(await bench.run("BEGIN")).toBeUndefined();
    const breach = await bench.run("SELECT password FROM users");
    const [met] = unknownOf("alice");
    expect(breach).toEqual({
      rule: "profile",
      message: `alice has never run a statement of this shape (${met?.shape ?? ""})`,
      hint: `If it is right, ask an operator to run: twokey habits learn alice ${met?.shape ?? ""}`,
    });
    expect(bench.habits.learn("alice", [met?.shape ?? ""])).toBe(true);
    expect(await bench.run("SELECT password FROM users")).toBeUndefined();
    expect(bench.habits.learn("alice", ["0123456789abcdef"])).toBe(false);
  });

  it("reaches a session that is open: promotion and reset count at once", async () => {
    await open(statements("learn"));
    const session = bench.session();
    await bench.run("SELECT 1 FROM t", { session });
    bench.habits.promote("alice", "enforce");
    expect(await bench.run("SELECT 1 FROM t", { session })).toBeUndefined();
    expect(await bench.run("SELECT 2 FROM u", { session })).toBeDefined();
    bench.habits.reset("alice", "everything");
    expect(bench.habits.get("alice")).toMatchObject({ mode: "learn", known: [], unknown: [] });
    expect(await bench.run("SELECT 2 FROM u", { session })).toBeUndefined();
    expect(bench.habits.get("alice")?.known).toHaveLength(1);
  });

  it("is never laxer than the configuration", async () => {
    await open(statements("enforce"));
    expect(await bench.run("SELECT 1 FROM t")).toBeDefined();
    bench.habits.promote("alice", "warn");
    expect(await bench.run("SELECT 1 FROM t")).toBeDefined();
  });

  it("does not learn what was refused", async () => {
    await open(statements("learn"));
    const sql = "DROP TABLE t";
    bench.session()?.decided(sql, bench.classified(sql), false);
    await new Promise((resolve) => setImmediate(resolve));
    expect(bench.habits.get("alice")?.known).toEqual([]);
  });

  it("is bounded, in what it learns and in what it meets", async () => {
    await open(statements("learn", 10));
    for (let n = 0; n < 600; n++) await bench.run(`SELECT c${n} FROM t`);
    expect(bench.habits.get("alice")?.known).toHaveLength(10);
    expect(bench.habits.get("alice")?.unknown).toHaveLength(500);
  });

  it("is one person's own, over all their sessions", async () => {
    await open(statements("learn"));
    await bench.run("SELECT 1 FROM t");
    await bench.run("SELECT 2 FROM u", { session: bench.session({ person: "bob" }) });
    expect(bench.habits.list().map(({ name, known }) => [name, known.length])).toEqual([
      ["alice", 1],
      ["bob", 1],
    ]);
  });

  it("survives a restart; a file that is no use is set aside", async () => {
    await open(statements("learn"));
    await bench.run("SELECT 1 FROM t");
    bench.habits.promote("alice", "enforce");
    await bench.habits.close();
    writeFileSync(path.join(directory, "bob.json"), "{");
    writeFileSync(path.join(directory, "carol.json.unfinished"), "{");
    await open(statements("learn"));
    expect(await bench.run("SELECT 1 FROM t")).toBeUndefined();
    expect(await bench.run("SELECT 2 FROM u")).toBeDefined();
    expect(readdirSync(directory).sort()).toEqual(["alice.json", "bob.json.unreadable"]);
  });

  it("is asked of whom it is about only", async () => {
    await open({
      statements: [
        { ...EVERYBODY, principals: ["shop"], name: "p", mode: "enforce", maxShapes: 10 },
      ],
    });
    expect(bench.session()).toBeUndefined();
    expect(bench.session({ person: "shop" })).toBeDefined();
  });
});

describe("a budget of rows", () => {
  const DELETES = {
    ...EVERYBODY,
    name: "deletes",
    of: "delete",
    rows: 10,
    windowMs: 3_600_000,
  } as const;

  it("adds many small deletes of one person up, over their sessions", async () => {
    await open({ budgets: [{ ...DELETES, per: "person", isEnforced: false }] });
    for (let n = 0; n < 12; n++)
      await bench.run("DELETE FROM t WHERE id = 1", { tags: ["DELETE 1"] });
    expect(bench.told).toMatchObject([
      { kind: "unusual.budget", rule: "deletes", of: "delete", rows: 11, limit: 10 },
    ]);
  });

  it("counts every statement of a batch, and what WITH and MERGE delete", async () => {
    await open({ budgets: [{ ...DELETES, per: "person", isEnforced: false }] });
    await bench.run("DELETE FROM t WHERE id = 1; DELETE FROM t WHERE id = 2; SELECT 1", {
      tags: ["DELETE 4", "DELETE 4", "SELECT 1"],
    });
    expect(bench.told).toEqual([]);
    await bench.run("WITH d AS (DELETE FROM t WHERE id = 1 RETURNING 1) SELECT * FROM d", {
      tags: ["SELECT 1"],
    });
    await bench.run("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE", {
      tags: ["MERGE 2"],
    });
    expect(bench.told).toMatchObject([{ rows: 11 }]);
  });

  it("of a session is that session's", async () => {
    await open({ budgets: [{ ...DELETES, per: "session", isEnforced: false }] });
    for (let n = 0; n < 12; n++)
      await bench.run("DELETE FROM t WHERE id = 1", { tags: ["DELETE 1"] });
    expect(bench.told).toEqual([]);
  });

  it("that is enforced refuses what would add to it, until time has passed or somebody resets it", async () => {
    await open({ budgets: [{ ...DELETES, per: "person", isEnforced: true }] });
    expect(await bench.run("DELETE FROM t WHERE id = 1", { tags: ["DELETE 12"] })).toBeUndefined();
    expect(await bench.run("DELETE FROM t WHERE id = 1")).toEqual({
      rule: "deletes",
      message: "alice has a budget of 10 rows to delete in 3600 s, and has spent 12",
      hint: "Wait until some of that time has passed, or ask an operator to run: twokey habits reset alice --budgets",
    });
    expect(await bench.run("SELECT 1 FROM t")).toBeUndefined();
    expect(await bench.run("UPDATE t SET a = 1 WHERE id = 1")).toBeUndefined();
    bench.clock.nowMs += 3_700_000;
    expect(await bench.run("DELETE FROM t WHERE id = 1", { tags: ["DELETE 12"] })).toBeUndefined();
    expect(await bench.run("DELETE FROM t WHERE id = 1")).toBeDefined();
    bench.habits.reset("alice", "budgets");
    expect(await bench.run("DELETE FROM t WHERE id = 1")).toBeUndefined();
  });
});

describe("rows of one statement", () => {
  const ROWS = { ...EVERYBODY, name: "many", of: "read" } as const;

  it("above a threshold are told", async () => {
    await open({ rows: [{ ...ROWS, moreThan: 1000, timesUsual: undefined }] });
    await bench.run("SELECT a FROM t", { tags: ["SELECT 1000"] });
    expect(bench.told).toEqual([]);
    await bench.run("COPY t TO STDOUT", { tags: ["COPY 1001"] });
    expect(bench.told).toMatchObject([
      { kind: "unusual.rows", rule: "many", of: "read", rows: 1001, limit: 1000, by: "threshold" },
    ]);
  });

  it("far above what is usual for somebody are told, once enough is known, and after a restart", async () => {
    const rows = [{ ...ROWS, moreThan: undefined, timesUsual: 10 }];
    await open({ rows });
    await bench.run("SELECT a FROM t", { tags: ["SELECT 5000"] });
    for (let n = 0; n < 200; n++) await bench.run("SELECT a FROM t", { tags: ["SELECT 20"] });
    await bench.habits.close();
    await open({ rows });
    await bench.run("SELECT a FROM t", { tags: ["SELECT 300"] });
    expect(bench.told).toEqual([]);
    await bench.run("SELECT a FROM t", { tags: ["SELECT 5000"] });
    expect(bench.told).toMatchObject([
      { kind: "unusual.rows", rows: 5000, limit: 32, by: "habit" },
    ]);
  });
});

describe("hours", () => {
  const outside = parseSchedule({
    days: ["mon", "tue", "wed", "thu", "fri"],
    hours: ["08:00-18:00"],
    timeZone: "UTC",
  });

  it.each([
    ["2027-03-15T09:00:00Z", []],
    ["2027-03-15T18:00:00Z", ["unusual.hours"]],
    ["2027-03-14T09:00:00Z", ["unusual.hours"]],
  ])("at %s a change tells %j", async (at, kinds) => {
    await open({ hours: [{ ...EVERYBODY, name: "office", outside }] });
    bench.clock.nowMs = Date.parse(at);
    await bench.run("SELECT 1 FROM t");
    expect(bench.kinds()).toEqual([]);
    await bench.run("UPDATE t SET a = 1 WHERE id = 1");
    expect(bench.kinds()).toEqual(kinds);
  });

  it("end while a session is open", async () => {
    await open({ hours: [{ ...EVERYBODY, name: "office", outside }] });
    bench.clock.nowMs = Date.parse("2027-03-15T17:59:59Z");
    const session = bench.session();
    await bench.run("UPDATE t SET a = 1 WHERE id = 1", { session });
    bench.clock.nowMs += 1000;
    await bench.run("UPDATE t SET a = 1 WHERE id = 1", { session });
    await bench.run("CREATE TABLE x (a int)", { session });
    expect(bench.kinds()).toEqual(["unusual.hours", "unusual.hours"]);
  });
});

describe("a honeypot", () => {
  const honeypots = [{ ...EVERYBODY, name: "bait", tables: ["salaries_*", "hr.passwords"] }];

  it.each([
    ["SELECT * FROM salaries_2019", "salaries_2019"],
    ["SELECT * FROM t WHERE a IN (SELECT a FROM public.salaries_2020)", "public.salaries_2020"],
    ["SELECT * FROM hr.passwords", "hr.passwords"],
    ["COPY passwords TO STDOUT", "passwords"],
    ["SELECT * FROM shop.passwords", undefined],
    ["SELECT * FROM salary", undefined],
  ])("%s", async (sql, table) => {
    await open({ honeypots });
    await bench.run(sql);
    expect(bench.told).toMatchObject(
      table === undefined ? [] : [{ kind: "unusual.honeypot", rule: "bait", table }],
    );
  });

  it("is told each time, and of what was refused, too", async () => {
    await open({ honeypots });
    const session = bench.session();
    const sql = "DROP TABLE salaries_2019";
    for (const isAllowed of [true, true, false]) {
      session?.decided(sql, bench.classified(sql), isAllowed);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(bench.kinds()).toHaveLength(3);
  });
});
