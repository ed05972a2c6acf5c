import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Classifier } from "../../src/session/classifier.ts";
import type { ClassifierOptions } from "../../src/session/classifier.ts";
import type { Classification } from "../../src/sql/classification.ts";
import { NEW_SESSION, ranAlone } from "../../src/sql/session.ts";

// On Node 20 `--import tsx` does not reach into worker threads by itself.
const tsx = import.meta.resolve("tsx/esm/api");
const LOADS_TYPESCRIPT = `data:text/javascript,import {register} from "${tsx}"; register()`;

const open: Classifier[] = [];

function newClassifier(options: Partial<ClassifierOptions> = {}): Classifier {
  const classifier = new Classifier({
    dialect: "postgresql",
    workerOptions: { execArgv: ["--import", LOADS_TYPESCRIPT] },
    ...options,
  });
  open.push(classifier);
  return classifier;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((classifier) => classifier.close()));
});

/** Where in the text a reason stems from moves with the literals before it. */
function withoutPlaces(classification: Classification): unknown {
  return JSON.parse(
    JSON.stringify(classification, (key, value: unknown) => (key === "at" ? undefined : value)),
  );
}

const wideColumns = (count: number): string =>
  Array.from({ length: count }, (_, n) => `"t0"."column_${n}" AS "t0_column_${n}"`).join(", ");

const LONG_INSERT = `INSERT INTO t VALUES ${"(1, 'some text'),".repeat(2000)} (1, 'x')`;

describe("Classifier", () => {
  it("answers a text seen before with the very same object", () => {
    const classifier = newClassifier();
    const first = classifier.classify("SELECT 1", NEW_SESSION);
    expect(classifier.classify("SELECT 1", NEW_SESSION)).toBe(first);
    expect(classifier.stats()).toMatchObject({ hits: 1, misses: 1, cachedTexts: 1 });
  });

  it.each([
    ["an IN list", `DELETE FROM t WHERE a IN (1${",1".repeat(1900)})`, 1],
    ["a long sum", `SELECT 1${"+1".repeat(1000)}`, 1],
    ["a sum of two hundred", `SELECT 1${"+1".repeat(200)}`, 1],
    ["casts of casts", `SELECT a${"::int".repeat(600)} FROM t`, 1],
    ["strings of SQL in a DO", `DO $$BEGIN ${"EXECUTE 'a b';".repeat(250)}END$$`, 1],
    ["many statements", "BEGIN;".repeat(600), 1],
    ["a wide query as ORMs write it", `SELECT ${wideColumns(90)} FROM "t" AS "t0"`, 0],
    ["a filter of a hundred conditions", `SELECT 1 FROM t WHERE a = 1${" OR b = 2".repeat(99)}`, 0],
    ["a long literal", `INSERT INTO t VALUES ('${"some text ".repeat(300)}')`, 0],
  ])("reads %s in the thread or here, whichever it needs", async (_, text, threadRuns) => {
    const classifier = newClassifier();
    expect(text.length).toBeLessThan(4096);
    await classifier.classify(text, NEW_SESSION);
    expect(classifier.stats()).toMatchObject({ threadRuns });
  });

  it("needs the thread but once for bulk inserts of one shape", async () => {
    const classifier = newClassifier();
    const insert = (n: number): string =>
      `INSERT INTO t VALUES ${Array.from({ length: 150 }, () => `(${n}, 'x')`).join()}`;
    const first = await classifier.classify(insert(1), NEW_SESSION);
    expect(await classifier.classify(insert(2), NEW_SESSION)).toEqual({
      ...first,
      text: insert(2),
    });
    expect(classifier.stats()).toMatchObject({ threadRuns: 1, shapeHits: 1 });
  });

  it("does not parse a text that differs from an earlier one in literals only", async () => {
    const classifier = newClassifier();
    const first = await classifier.classify("SELECT a FROM t WHERE b = 1", NEW_SESSION);
    const second = await classifier.classify("SELECT a FROM t WHERE b = 22", NEW_SESSION);
    expect(second).toEqual({ ...first, text: "SELECT a FROM t WHERE b = 22" });
    expect(classifier.stats()).toMatchObject({ hits: 0, misses: 2, shapeHits: 1 });
  });

  it("says of a text of a known shape what it would say of it alone (property)", async () => {
    const shared = newClassifier();
    const literal = fc.oneof(
      fc.nat(999_999_999).map(String),
      fc.constantFrom("0", "1", "'a'", "'off'", "'DELETE FROM users'", "'x%'", "''", "1.5", "true"),
    );
    const template = fc.constantFrom(
      "SELECT a FROM t WHERE b = ? AND c = ?",
      "SELECT set_config(?, ?, false)",
      "SELECT lo_unlink(?), ? FROM t",
      "INSERT INTO t VALUES (?, ?)",
      "DELETE FROM t WHERE ? = ?",
      "UPDATE t SET a = ? WHERE b = ? OR b <> 1",
      "SELECT query_to_xml(?, true, false, ?)",
      "SELECT CASE WHEN ? = ? THEN nextval('s') END",
      "EXPLAIN (ANALYZE ?) DELETE FROM t WHERE a = ?",
      "WITH d AS (DELETE FROM t WHERE ? = ?) SELECT 1",
      "SELECT * FROM t LIMIT ? OFFSET ?",
      "SELECT pg_terminate_backend(?), f(?)",
      "SET statement_timeout = ?; SELECT ?",
    );
    await fc.assert(
      fc.asyncProperty(template, literal, literal, async (sql, a, b) => {
        const text = sql.replace("?", () => a).replace("?", () => b);
        const alone = await newClassifier().classify(text, NEW_SESSION);
        expect(withoutPlaces(await shared.classify(text, NEW_SESSION))).toEqual(
          withoutPlaces(alone),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it("does not answer from the cache where the session decides", async () => {
    const classifier = newClassifier();
    const permanent = await classifier.classify("DROP TABLE scratch", NEW_SESSION);
    expect(permanent).toMatchObject({ destructive: true });
    const created = await classifier.classify("CREATE TEMP TABLE scratch (a int)", NEW_SESSION);
    if (created.kind === "unparsed") throw new Error(created.message);
    const session = ranAlone(NEW_SESSION, created.statements);
    expect(await classifier.classify("DROP TABLE scratch", session)).toMatchObject({
      destructive: false,
    });
    expect(await classifier.classify("DROP TABLE scratch", NEW_SESSION)).toMatchObject({
      destructive: true,
    });
  });

  it("keeps the cache within its bytes, forgetting the oldest texts", () => {
    const classifier = newClassifier({ cacheBytes: 20_000 });
    for (let n = 0; n < 200; n++) void classifier.classify(`SELECT ${n}`, NEW_SESSION);
    const { cachedBytes, cachedTexts } = classifier.stats();
    expect(cachedBytes).toBeLessThanOrEqual(20_000);
    expect(cachedTexts).toBeGreaterThan(5);
  });

  it("reads long texts in a thread", async () => {
    const classifier = newClassifier();
    const pending = classifier.classify(LONG_INSERT, NEW_SESSION);
    expect(pending).toBeInstanceOf(Promise);
    expect(await pending).toMatchObject({ kind: "parsed", effects: ["write"] });
    expect(classifier.stats().threadRuns).toBe(1);
  });

  it("stops a text that the lexer needs too long for, and serves the next one", async () => {
    const classifier = newClassifier({ timeLimitMs: 300 });
    await classifier.classify(LONG_INSERT, NEW_SESSION);
    const slow = classifier.classify("/*".repeat(60_000), NEW_SESSION);
    const next = classifier.classify(`${LONG_INSERT}, (2, 'y')`, NEW_SESSION);
    const started = performance.now();
    expect(classifier.classify("SELECT 1", NEW_SESSION)).toMatchObject({ effects: ["read"] });
    expect(performance.now() - started).toBeLessThan(50);
    expect(await slow).toMatchObject({ kind: "unparsed", cause: "timed_out" });
    expect(await next).toMatchObject({ kind: "parsed" });
    expect(classifier.stats().timeouts).toBe(1);
  });

  it("sends runs of operators and many comments to the thread, however short", async () => {
    const classifier = newClassifier();
    const shapes = [`SELECT ${"+".repeat(64)}1`, `SELECT ${"/*".repeat(64)}`];
    for (const text of shapes) {
      expect(classifier.classify(text, NEW_SESSION)).toBeInstanceOf(Promise);
    }
    for (const text of shapes) await classifier.classify(text, NEW_SESSION);
  });

  it("refuses a text above the limit unread", async () => {
    const classifier = newClassifier({ maxTextBytes: 10_000 });
    expect(await classifier.classify(LONG_INSERT, NEW_SESSION)).toMatchObject({
      kind: "unparsed",
      cause: "too_large",
    });
  });

  it("refuses what still waits when it is closed", async () => {
    const classifier = newClassifier();
    const pending = classifier.classify(LONG_INSERT, NEW_SESSION);
    await classifier.close();
    expect(await pending).toMatchObject({ kind: "unparsed", cause: "failed" });
  });
});
