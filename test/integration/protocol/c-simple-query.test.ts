import { describe, expect, it } from "vitest";
import {
  fieldsOf,
  keyOf,
  parse,
  query,
  rowsOf,
  run,
  sync,
  trace,
} from "../../support/raw-client.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { compareInOneWorld, countOf, FAILING, REFUSED, withoutCode } from "./comparison.ts";
import { valueOf, type World } from "./world.ts";

let world: World;
let through: RawClient;
let direct: RawClient;

compareInOneWorld({}, (comparison) => {
  ({ world, through, direct } = comparison);
});

const count = (table: string): Promise<unknown> => countOf(world, table);

/** Each text in a Query of its own, one after the other; the refused ones as `REFUSED`. */
async function conversation(texts: readonly string[]): Promise<{ ours: string[]; its: string[] }> {
  const ours: string[] = [];
  const its: string[] = [];
  for (const text of texts) {
    ours.push(...(await through.ask(query(text))));
    its.push(...(await direct.ask(query(text.replaceAll(REFUSED, FAILING)))));
  }
  return { ours: ours.map(withoutCode), its: its.map(withoutCode) };
}

describe("26: a Query is judged as a whole", () => {
  it.each([
    ["behind what may run", `INSERT INTO work VALUES (1); ${REFUSED}`],
    ["in front of it", `${REFUSED}; INSERT INTO work VALUES (1)`],
    ["between", `INSERT INTO work VALUES (1); ${REFUSED}; INSERT INTO work VALUES (2)`],
    ["behind a COMMIT", `BEGIN; INSERT INTO work VALUES (1); COMMIT; ${REFUSED}`],
    ["in a transaction of its own", `INSERT INTO work VALUES (1); BEGIN; ${REFUSED}; COMMIT`],
    ["behind a ROLLBACK", `INSERT INTO work VALUES (1); ROLLBACK; ${REFUSED}`],
  ])("and nothing of it runs when the refused statement stands %s", async (_, text) => {
    expect(await through.ask(query(text))).toEqual(["E 42501", "Z I"]);
    expect(await count("work")).toBe(0);
    expect(await valueOf(world.witness, "SELECT to_regclass('keep')::text")).toBe("keep");
  });
});

it("27: answers a refused Query with one ErrorResponse and one ReadyForQuery", async () => {
  through.send(query(REFUSED));
  expect(trace(await through.untilReady())).toEqual(["E 42501", "Z I"]);
  expect(await through.quiet()).toEqual([]);
});

it.each([
  ["nothing", ""],
  ["blanks", "  \n\t "],
  ["semicolons", ";;"],
  ["comments", "-- nothing\n /* at /* all */ */"],
])("28: answers a Query of %s as the server does", async (_, text) => {
  const answers = await through.ask(query(text));
  expect(answers).toEqual(await direct.ask(query(text)));
  expect(answers).toEqual(["I", "Z I"]);
});

it("29: ReadyForQuery carries the server's transaction status", async () => {
  const { ours, its } = await conversation([
    "SELECT 1",
    "BEGIN",
    "SELECT 1",
    REFUSED,
    "SELECT 1",
    "ROLLBACK",
    "BEGIN; SELECT 1",
    "COMMIT; BEGIN",
    "END",
  ]);
  expect(ours).toEqual(its);
  expect(ours.filter((answer) => answer.startsWith("Z")).join()).toBe(
    "Z I,Z T,Z T,Z E,Z E,Z I,Z T,Z T,Z I",
  );
});

describe("30: a refusal inside a transaction is an error there", () => {
  it("fails every further statement, and COMMIT is a ROLLBACK", async () => {
    const { ours, its } = await conversation([
      "BEGIN",
      "INSERT INTO work VALUES (1)",
      REFUSED,
      "INSERT INTO work VALUES (2)",
      "COMMIT",
    ]);
    expect(ours).toEqual(its);
    expect(ours).toContain("E 25P02");
    expect(ours.at(-2)).toBe("C ROLLBACK");
    expect(await count("work")).toBe(0);
  });

  it("in a failed transaction is one more error", async () => {
    const { ours, its } = await conversation(["BEGIN", "SELECT 1/0", REFUSED, REFUSED, "ROLLBACK"]);
    expect(ours).toEqual(its);
  });

  it("lets a savepoint save what stands before it", async () => {
    const { ours, its } = await conversation([
      "BEGIN",
      "INSERT INTO work VALUES (1)",
      "SAVEPOINT s",
      "INSERT INTO work VALUES (2)",
      REFUSED,
      "ROLLBACK TO s",
      "INSERT INTO work VALUES (3)",
      "COMMIT",
    ]);
    expect(ours).toEqual(its);
    // Each of the two has run on its own.
    expect(await valueOf(world.witness, "SELECT array_agg(a ORDER BY a) FROM work")).toEqual([
      1, 1, 3, 3,
    ]);
  });

  it("behind a chained transaction", async () => {
    const { ours, its } = await conversation([
      "BEGIN",
      "INSERT INTO work VALUES (1)",
      "COMMIT AND CHAIN",
      REFUSED,
      "ROLLBACK AND CHAIN",
      "INSERT INTO work VALUES (2)",
      "COMMIT",
    ]);
    expect(ours).toEqual(its);
  });
});

describe("31: answers keep the order of requests", () => {
  it("when a refusal stands between slow queries", async () => {
    through.send(
      query("SELECT pg_sleep(0.2), 'first'"),
      query(REFUSED),
      query("SELECT 'second'"),
      query(`INSERT INTO work VALUES (1); ${REFUSED}`),
      query("INSERT INTO work VALUES (2)"),
    );
    expect(trace(await through.untilReady(5))).toEqual(
      [
        ["T", "D", "C SELECT 1", "Z I"],
        ["E 42501", "Z I"],
        ["T", "D", "C SELECT 1", "Z I"],
        ["E 42501", "Z I"],
        ["C INSERT 0 1", "Z I"],
      ].flat(),
    );
  });

  it("when a long text goes to the parser's thread and short ones stand behind it", async () => {
    const long = `SELECT 'long' -- ${"x".repeat(20_000)}`;
    through.send(
      query(long),
      query("SELECT 'short'"),
      query(REFUSED),
      run("SELECT 'extended'"),
      sync(),
    );
    const answers = await through.untilReady(4);
    expect(rowsOf(answers).flat()).toEqual(["long", "short", "extended"]);
    expect(trace(answers)).toEqual(
      [
        ["T", "D", "C SELECT 1", "Z I"],
        ["T", "D", "C SELECT 1", "Z I"],
        ["E 42501", "Z I"],
        ["1", "2", "D", "C SELECT 1", "Z I"],
      ].flat(),
    );
  });
});

describe("32: what can't be parsed is refused with the parser's message", () => {
  it.each([
    "SELEC 1",
    "SELECT 1 FROM (",
    "SELECT 'open",
    'SELECT "open',
    "SELECT $$open",
    "SELECT /* open",
    "DROP TABLE keep; SELEC",
  ])("%s", async (text) => {
    through.send(query(text));
    direct.send(query(text));
    const [ours] = await through.untilReady();
    const [its] = await direct.untilReady();
    for (const field of ["S", "V", "C", "M", "P"]) {
      expect([field, ours && fieldsOf(ours).get(field)]).toEqual([
        field,
        its && fieldsOf(its).get(field),
      ]);
    }
  });

  it("and not forwarded in the hope that the server rejects it", async () => {
    const { processId } = keyOf(through);
    for (const text of ["SELEC 1", REFUSED]) {
      await through.ask(query(text));
      // What the server was last given is a text of Twokey's own.
      expect(
        await valueOf(world.witness, `SELECT query FROM pg_stat_activity WHERE pid = ${processId}`),
      ).toMatch(/^twokey_refused_[0-9a-z]+_[0-9a-z]+$/);
    }
  });
});

describe("33: text is decoded strictly", () => {
  it.each([
    ["a lone continuation byte", [0x80]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a character cut short", [0xe2, 0x82]],
    ["beyond Unicode", [0xf4, 0x90, 0x80, 0x80]],
  ])("and %s is refused", async (_, bytes) => {
    const text = Buffer.concat([Buffer.from("SELECT '"), Buffer.from(bytes), Buffer.from("'")]);
    expect(await through.ask(query(text))).toEqual(["E 22021", "Z I"]);
    expect(await direct.ask(query(text))).toEqual(["E 22021", "Z I"]);
    expect(await through.ask(parse("", text), sync())).toEqual(["E 22021", "Z I"]);
  });

  it("and a byte order mark stays what it is for the server", async () => {
    const bom = "\ufeff";
    for (const text of [`${bom}SELECT 1`, `SELECT '${bom}'`, `SELECT 1 AS "${bom}"`]) {
      expect([text, ...(await through.ask(query(text)))]).toEqual([
        text,
        ...(await direct.ask(query(text))),
      ]);
    }
  });

  it("and nothing is normalised", async () => {
    const texts = ["o\u0308", "\u00f6", "\u212b", "\ufb01", "\u2028", "e\u0301\u0323"];
    for (const text of texts) {
      through.send(query(`SELECT '${text}'`));
      expect(rowsOf(await through.untilReady())).toEqual([[text]]);
    }
  });

  it("and outside ASCII only in UTF-8, as the same bytes are other names elsewhere", async () => {
    const latin = await world.through({ parameters: { client_encoding: "LATIN1" } });
    latin.send(query(Buffer.from("SELECT 'caf\u00e9'", "latin1")));
    const [error] = await latin.untilReady();
    expect(error && fieldsOf(error).get("C")).toBe("22021");
    latin.send(query(Buffer.from("SELECT chr(233), length('plain')")));
    const answers = await latin.untilReady();
    expect(answers.find(({ type }) => type === "D")?.body.toString("latin1")).toContain("\u00e9");
    expect(rowsOf(answers)[0]?.[1]).toBe("5");
  });
});
