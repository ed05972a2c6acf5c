import { describe, expect, it } from "vitest";
import {
  bind,
  closePortal,
  closeStatement,
  columnsOf,
  describePortal,
  describeStatement,
  execute,
  fieldsOf,
  flush,
  int16,
  int32,
  message,
  parse,
  query,
  rowsOf,
  run,
  sync,
  terminate,
  trace,
  type RawClient,
} from "../../support/raw-client.ts";
import { compareInOneWorld, countOf, FAILING, REFUSED, withoutCode } from "./comparison.ts";
import { auditOf, eventually, valueOf, type World } from "./world.ts";

let world: World;
let through: RawClient;
let direct: RawClient;

compareInOneWorld({ config: { limits: { named_objects: 100 } } }, (comparison) => {
  ({ world, through, direct } = comparison);
});

const count = (table: string): Promise<unknown> => countOf(world, table);

const insert = (a: number): Buffer => run(`INSERT INTO work VALUES (${a})`);

/** A stream in which `refused` stands for what is refused: by Twokey the one, by the server the other. */
type Stream = (refused: string) => readonly Buffer[];

async function compare(stream: Stream, readies: number): Promise<string[]> {
  through.send(...stream(REFUSED));
  direct.send(...stream(FAILING));
  const ours = trace(await through.untilReady(readies)).map(withoutCode);
  const its = trace(await direct.untilReady(readies)).map(withoutCode);
  expect(ours).toEqual(its);
  expect(await through.quiet(50)).toEqual([]);
  return ours;
}

describe("34: after a refusal everything is dropped up to the next Sync", () => {
  const dropped: readonly [string, Buffer][] = [
    ["Parse", parse("", "INSERT INTO work VALUES (1)")],
    ["a pipeline", insert(1)],
    ["Query", query("INSERT INTO work VALUES (1)")],
    ["a refused Query", query(REFUSED)],
    ["FunctionCall", message("F", Buffer.concat([int32(1), int16(0), int16(0), int16(0)]))],
    ["Describe", describeStatement()],
    ["Close", closeStatement("")],
    ["Flush", flush()],
    ["CopyData and CopyDone", Buffer.concat([message("d", Buffer.from("1\n")), message("c")])],
    ["another refused Parse", parse("", REFUSED)],
  ];
  it.each(dropped)("and %s with it", async (_, messages) => {
    expect(await compare((refused) => [parse("", refused), messages, sync()], 1)).toEqual([
      "E refused",
      "Z I",
    ]);
    expect(await count("work")).toBe(0);
  });

  it("also when the refusal was answered before the rest is sent", async () => {
    for (const [client, refused] of [
      [through, REFUSED],
      [direct, FAILING],
    ] as const) {
      client.send(parse("", refused), flush());
      expect(trace(await client.until("E")).map(withoutCode)).toEqual(["E refused"]);
      client.send(insert(1), query("INSERT INTO work VALUES (2)"));
      expect(await client.quiet(50)).toEqual([]);
      expect(await client.ask(sync())).toEqual(["Z I"]);
      expect(await client.ask(insert(3), sync())).toEqual(["1", "2", "C INSERT 0 1", "Z I"]);
    }
    expect(await valueOf(world.witness, "SELECT array_agg(a) FROM work")).toEqual([3, 3]);
  });

  it("and Terminate still ends the connection", async () => {
    through.send(parse("", REFUSED), terminate());
    expect(trace(await through.untilEnd()).filter((answer) => answer !== "E 42501")).toEqual([]);
  });
});

describe("35: each Sync is answered with one ReadyForQuery", () => {
  it("several in a row after one refusal", async () => {
    expect(await compare((refused) => [parse("", refused), sync(), sync(), sync()], 3)).toEqual([
      "E refused",
      "Z I",
      "Z I",
      "Z I",
    ]);
  });

  it("with nothing before them", async () => {
    expect(await compare(() => [sync(), sync()], 2)).toEqual(["Z I", "Z I"]);
  });
});

describe("36: what ran earlier in the same pipeline is rolled back with the refusal", () => {
  it("so that Sync commits nothing of it", async () => {
    await compare((refused) => [insert(1), insert(2), parse("", refused), insert(3), sync()], 1);
    expect(await count("work")).toBe(0);
  });

  it("but what an earlier Sync has committed stays", async () => {
    await compare((refused) => [insert(1), sync(), insert(2), parse("", refused), sync()], 2);
    expect(await valueOf(world.witness, "SELECT array_agg(a) FROM work")).toEqual([1, 1]);
  });

  it("and inside a transaction block COMMIT is a ROLLBACK", async () => {
    const answers = await compare(
      (refused) => [
        run("BEGIN"),
        insert(1),
        parse("", refused),
        sync(),
        run("COMMIT"),
        sync(),
        run("SELECT 1"),
        sync(),
      ],
      3,
    );
    expect(answers).toContain("Z E");
    expect(answers).toContain("C ROLLBACK");
    expect(await count("work")).toBe(0);
  });
});

describe("34 to 37: a refusal at each position of a pipeline", () => {
  const steps = [
    parse("s", "INSERT INTO work VALUES ($1) RETURNING a", [23]),
    describeStatement("s"),
    bind({ portal: "p", statement: "s", values: ["1"] }),
    describePortal("p"),
    execute("p"),
    closePortal("p"),
    closeStatement("s"),
    insert(7),
  ];
  const states: readonly [string, readonly string[]][] = [
    ["outside a transaction", []],
    ["inside a transaction", ["BEGIN"]],
    ["inside a failed transaction", ["BEGIN", "SELECT 1/0"]],
  ];
  describe.each(states)("%s", (_, before) => {
    it.each(steps.map((_step, position) => [position]))("at position %i", async (position) => {
      for (const text of before) {
        await through.ask(query(text));
        await direct.ask(query(text));
      }
      await compare(
        (refused) => [
          ...steps.slice(0, position),
          parse("", refused),
          ...steps.slice(position),
          sync(),
          // Whether s and p are there now has to agree as well.
          describeStatement("s"),
          sync(),
          describePortal("p"),
          sync(),
          run("COMMIT"),
          sync(),
        ],
        4,
      );
      expect(await count("work")).toBe(0);
    });

    it("never", async () => {
      for (const text of before) {
        await through.ask(query(text));
        await direct.ask(query(text));
      }
      await compare(() => [...steps, sync(), run("COMMIT"), sync()], 2);
    });
  });
});

describe("37: answers to messages in front of the refused one come before the error", () => {
  it("all of them", async () => {
    await world.witness.query("INSERT INTO work VALUES (1), (2), (3)");
    expect(
      await compare(
        (refused) => [
          parse("s", "SELECT a FROM work ORDER BY a"),
          describeStatement("s"),
          bind({ portal: "p", statement: "s" }),
          describePortal("p"),
          execute("p", 2),
          closePortal("p"),
          parse("", "CREATE TEMP TABLE t (a int)"),
          describeStatement(),
          parse("", refused),
          sync(),
        ],
        1,
      ),
    ).toEqual(["1", "t", "T", "2", "T", "D", "D", "s", "3", "1", "t", "n", "E refused", "Z I"]);
  });

  it("from a slow statement, too", async () => {
    expect(
      await compare((refused) => [run("SELECT pg_sleep(0.2)"), parse("", refused), sync()], 1),
    ).toEqual(["1", "2", "D", "C SELECT 1", "E refused", "Z I"]);
  });
});

describe("38: statement and portal names are kept apart", () => {
  it("and Bind is read in the order portal, statement", async () => {
    const answers = await compare(
      () => [
        parse("a", "SELECT 'statement a'"),
        parse("b", "SELECT 'statement b'"),
        bind({ portal: "a", statement: "b" }),
        bind({ portal: "b", statement: "a" }),
        execute("a"),
        closeStatement("a"),
        execute("b"),
        closePortal("a"),
        describeStatement("b"),
        sync(),
      ],
      1,
    );
    expect(answers.filter((answer) => answer.startsWith("E"))).toEqual([]);
  });
});

describe("39: a name is recorded only when the server has confirmed it", () => {
  it("a Parse that the server rejects changes nothing", async () => {
    const answers = await compare(
      () => [
        parse("s", "SELECT 'first'"),
        sync(),
        parse("s", "SELECT 'second'"),
        sync(),
        bind({ statement: "s" }),
        execute(),
        sync(),
        parse("t", "SELECT no_such_column"),
        sync(),
        bind({ statement: "t" }),
        execute(),
        sync(),
      ],
      5,
    );
    expect(answers).toEqual(
      [
        ["1", "Z I"],
        ["E 42P05", "Z I"],
        ["2", "D", "C SELECT 1", "Z I"],
        ["E 42703", "Z I"],
        ["E 26000", "Z I"],
      ].flat(),
    );
  });

  it("names are case-sensitive", async () => {
    await compare(
      () => [parse("Name", "SELECT 1"), bind({ statement: "name" }), execute(), sync()],
      1,
    );
  });

  it("names count up to their 63rd byte", async () => {
    const long = "n".repeat(63);
    const answers = await compare(
      () => [
        parse(`${long}one`, "SELECT 'one'"),
        sync(),
        bind({ portal: `${long}p`, statement: `${long}two` }),
        execute(`${long}q`),
        sync(),
        parse(long, "SELECT 'again'"),
        sync(),
        closeStatement(`${long}three`),
        describeStatement(long),
        sync(),
      ],
      4,
    );
    expect(answers).toEqual(
      [
        ["1", "Z I"],
        ["2", "D", "C SELECT 1", "Z I"],
        ["E 42P05", "Z I"],
        ["3", "E 26000", "Z I"],
      ].flat(),
    );
  });

  it("names are bytes", async () => {
    await compare(
      () => [
        parse("naïve", "SELECT 1"),
        bind({ portal: "ü", statement: "naïve" }),
        execute("ü"),
        describeStatement("nai\u0308ve"),
        sync(),
      ],
      1,
    );
  });
});

describe("40: a refused Parse with the empty name leaves no unnamed statement behind", () => {
  it("a later Bind of it fails", async () => {
    const answers = await compare(
      (refused) => [
        parse("", "INSERT INTO work VALUES (1)"),
        sync(),
        parse("", refused),
        sync(),
        bind(),
        execute(),
        sync(),
      ],
      3,
    );
    expect(answers).toEqual(["1", "Z I", "E refused", "Z I", "E 26000", "Z I"]);
    expect(await count("work")).toBe(0);
  });

  it("but one that was skipped behind it does", async () => {
    const answers = await compare(
      (refused) => [
        parse("", "SELECT 'kept'"),
        sync(),
        parse("other", refused),
        parse("", "SELECT 'skipped'"),
        sync(),
        bind(),
        execute(),
        sync(),
      ],
      3,
    );
    expect(answers.slice(-4)).toEqual(["2", "D", "C SELECT 1", "Z I"]);
  });

  it("a Query also removes the unnamed statement", async () => {
    for (const text of ["SELECT 1", "SELECT 1/0", ""]) {
      const answers = await compare(
        () => [parse("", "SELECT 1"), sync(), query(text), bind(), execute(), sync()],
        3,
      );
      expect(answers.slice(-2)).toEqual(["E 26000", "Z I"]);
    }
    const answers = await compare(
      (refused) => [parse("", "SELECT 1"), sync(), query(refused), bind(), execute(), sync()],
      3,
    );
    expect(answers.slice(-2)).toEqual(["E 26000", "Z I"]);
  });
});

describe("41: unknown names fail", () => {
  it.each([
    ["Bind", [bind({ statement: "none" })], "26000"],
    ["Bind of the unnamed statement", [bind()], "26000"],
    ["Describe of a statement", [describeStatement("none")], "26000"],
    ["Describe of a portal", [describePortal("none")], "34000"],
    ["Execute", [execute("none")], "34000"],
    ["Execute of the unnamed portal", [execute()], "34000"],
  ])("%s", async (_, messages, code) => {
    const answers = await compare(() => [...messages, insert(1), sync()], 1);
    expect(answers).toEqual([`E ${code}`, "Z I"]);
    through.send(...messages, sync());
    direct.send(...messages, sync());
    const [ours] = await through.untilReady();
    const [its] = await direct.untilReady();
    expect(ours && fieldsOf(ours).get("M")).toBe(its && fieldsOf(its).get("M"));
    expect(await count("work")).toBe(0);
  });

  it("and Close of one is no error", async () => {
    expect(await compare(() => [closeStatement("none"), closePortal("none"), sync()], 1)).toEqual([
      "3",
      "3",
      "Z I",
    ]);
  });

  it("and an object of a function's making is not reached", async () => {
    // The server has it, but nobody has judged its text.
    await through.ask(query("DO $$ BEGIN EXECUTE 'PREPARE hidden AS DELETE FROM keep'; END $$"));
    expect(await through.ask(bind({ statement: "hidden" }), execute(), sync())).toEqual([
      "E 26000",
      "Z I",
    ]);
  });
});

describe("42: SQL and the extended protocol share names", () => {
  it("PREPARE and Bind", async () => {
    const answers = await compare(
      () => [
        query("PREPARE s AS SELECT 'by SQL'"),
        bind({ statement: "s" }),
        execute(),
        describeStatement("s"),
        sync(),
        closeStatement("s"),
        sync(),
        query("EXECUTE s"),
      ],
      4,
    );
    expect(answers.slice(-2)).toEqual(["E 26000", "Z I"]);
  });

  it("PREPARE by Execute and Bind in the same pipeline", async () => {
    await compare(
      () => [
        run("PREPARE s AS SELECT 'by SQL'"),
        bind({ statement: "s" }),
        execute(),
        describeStatement("s"),
        sync(),
      ],
      1,
    );
  });

  it("Parse and EXECUTE, DEALLOCATE and Bind", async () => {
    const answers = await compare(
      () => [
        parse("s", "SELECT 'by Parse'"),
        sync(),
        query("EXECUTE s"),
        query("DEALLOCATE s"),
        bind({ statement: "s" }),
        sync(),
        parse("s", "SELECT 'again'"),
        sync(),
        query("DEALLOCATE ALL"),
        describeStatement("s"),
        sync(),
        parse("s", "SELECT 'and again'"),
        sync(),
        query("DISCARD ALL"),
        describeStatement("s"),
        sync(),
      ],
      10,
    );
    expect(answers.filter((answer) => answer === "E 26000")).toHaveLength(3);
  });

  it("DECLARE, FETCH, CLOSE and portals", async () => {
    await compare(
      () => [
        query("BEGIN"),
        parse("s", "SELECT generate_series(1, 3)"),
        bind({ portal: "p", statement: "s" }),
        sync(),
        query("FETCH 1 FROM p"),
        execute("p", 1),
        sync(),
        query("CLOSE p"),
        execute("p"),
        sync(),
        query("ROLLBACK"),
      ],
      7,
    );
  });

  it("Execute, Describe and Close of a cursor that SQL declared", async () => {
    const answers = await compare(
      () => [
        query("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 5)"),
        execute("c", 2),
        describePortal("c"),
        sync(),
        query("FETCH 1 FROM c"),
        execute("c"),
        closePortal("c"),
        sync(),
        query("FETCH 1 FROM c"),
        query("ROLLBACK"),
        execute("c"),
        sync(),
      ],
      7,
    );
    expect(answers).toContain("s");
    expect(answers.slice(-2)).toEqual(["E 34000", "Z I"]);
  });

  it("in the pipeline that declares it, WITH HOLD behind its transaction, and closed by SQL", async () => {
    await compare(
      () => [
        query("BEGIN"),
        run("DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 3)"),
        run("DECLARE d CURSOR FOR SELECT 1"),
        execute("c", 1),
        sync(),
        query("COMMIT"),
        execute("c", 1),
        sync(),
        execute("d"),
        sync(),
        query("CLOSE ALL"),
        execute("c"),
        sync(),
      ],
      7,
    );
  });

  it("DEALLOCATE makes room, by SQL as by message", async () => {
    for (let i = 0; i < 120; i += 1) {
      expect(await through.ask(parse(`s${i}`, "SELECT 1"), sync())).toEqual(["1", "Z I"]);
      await through.ask(query(`DEALLOCATE s${i}`));
    }
  });

  it("a cursor that SQL declared is described, as psycopg asks for", async () => {
    await compare(
      () => [
        query("BEGIN; DECLARE c CURSOR FOR SELECT 1 AS one, 'x' AS letter"),
        describePortal("c"),
        sync(),
        query("FETCH 1 FROM c"),
        query("CLOSE c"),
        describePortal("c"),
        sync(),
        query("ROLLBACK"),
      ],
      6,
    );
  });

  it("what PREPARE may do is refused at PREPARE, and by no other name", async () => {
    expect(await through.ask(query(`PREPARE s AS DELETE FROM keep`))).toEqual(["E 42501", "Z I"]);
    expect(await through.ask(query("EXECUTE s"))).toEqual(["E 26000", "Z I"]);
    expect(await through.ask(bind({ statement: "s" }), execute(), sync())).toEqual([
      "E 26000",
      "Z I",
    ]);
  });

  it("running what PREPARE made does not take its name back from what Parse made later", async () => {
    await world.witness.query("INSERT INTO keep VALUES (1)");
    for (const text of ["BEGIN", "PREPARE s AS SELECT 'harmless'"]) await through.ask(query(text));
    await through.ask(bind({ portal: "p", statement: "s" }), sync());
    await through.ask(query("DEALLOCATE s"));
    await through.ask(parse("s", "SELECT 'new'"), execute("p"), sync());
    through.send(bind({ statement: "s" }), execute(), sync());
    expect(rowsOf(await through.untilReady())).toEqual([["new"]]);
    // What is on record is what ran.
    await through.ask(query("COMMIT"));
    await eventually(
      () => Promise.resolve(auditOf(world).some(({ sql }) => sql === "SELECT 'new'")),
      "the new statement is on record",
    );
  });

  it("a batch that fails half way may have replaced a name, which is then not trusted", async () => {
    await through.ask(query("PREPARE s AS SELECT 'harmless'"));
    await through.ask(query("DEALLOCATE s; PREPARE s AS SELECT 'other'; SELECT 1/0"));
    expect(await through.ask(bind({ statement: "s" }), execute(), sync())).toEqual([
      "E 26000",
      "Z I",
    ]);
  });
});

describe("44: row limits, suspended portals, Flush, binary formats and NULL", () => {
  it("work as without the proxy", async () => {
    const stream: Stream = () => [
      query("BEGIN"),
      parse("s", "SELECT g, $1::text, $2::int8 FROM generate_series(1, 5) g", [25, 20]),
      describeStatement("s"),
      bind({
        portal: "p",
        statement: "s",
        formats: [0, 1],
        values: [null, Buffer.from([0, 0, 0, 0, 0, 0, 1, 0])],
        resultFormats: [1, 0, 1],
      }),
      describePortal("p"),
      execute("p", 2),
      execute("p", 2),
      sync(),
      execute("p", 2),
      sync(),
      execute("p", 2),
      sync(),
      query("COMMIT"),
    ];
    through.send(...stream(""));
    direct.send(...stream(""));
    const ours = await through.untilReady(5);
    const its = await direct.untilReady(5);
    expect(trace(ours)).toEqual(trace(its));
    expect(trace(ours).filter((answer) => answer === "s")).toHaveLength(2);
    // Bytes and all.
    expect(ours.filter(({ type }) => "DTt".includes(type))).toEqual(
      its.filter(({ type }) => "DTt".includes(type)),
    );
  });

  it("Flush brings answers without Sync", async () => {
    for (const client of [through, direct]) {
      client.send(parse("", "SELECT 1"), flush());
      expect(trace(await client.until("1"))).toEqual(["1"]);
      client.send(bind(), describePortal(), flush());
      expect(trace(await client.until("T"))).toEqual(["2", "T"]);
      client.send(execute(), flush());
      expect(trace(await client.until("C"))).toEqual(["D", "C SELECT 1"]);
      expect(await client.ask(sync())).toEqual(["Z I"]);
    }
  });

  it("one execution per row limit is no second one of a statement", async () => {
    through.send(
      query("BEGIN"),
      parse("", "SELECT generate_series(1, 3)"),
      bind(),
      execute("", 1),
      execute("", 1),
      execute(),
      sync(),
    );
    expect(trace(await through.untilReady(2))).toEqual(
      [
        ["C BEGIN", "Z T"],
        ["1", "2", "D", "s", "D", "s", "D", "C SELECT 1", "Z T"],
      ].flat(),
    );
  });

  it("values keep every bit", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    through.send(
      parse("", "SELECT $1::bytea", [17]),
      bind({ formats: [1], values: [bytes], resultFormats: [1] }),
      execute(),
      sync(),
    );
    const row = (await through.untilReady()).find(({ type }) => type === "D");
    expect(row?.body.subarray(6)).toEqual(bytes);
    expect(row && columnsOf(row)).toHaveLength(1);
  });
});

it("45: a Parse with several statements is refused, as the server does", async () => {
  through.send(parse("", "SELECT 1; SELECT 2"), sync());
  direct.send(parse("", "SELECT 1; SELECT 2"), sync());
  const [ours] = await through.untilReady();
  const [its] = await direct.untilReady();
  expect(ours && fieldsOf(ours)).toEqual(its && fieldsOf(its));
  expect(await through.ask(parse("", `SELECT 1; ${REFUSED}`), sync())).toEqual(["E 42501", "Z I"]);
});

describe("pipelines long and short", () => {
  it("several hundred statements without waiting, some refused", async () => {
    const isRefused = (i: number): boolean => i % 7 === 3;
    const stream: Stream = (refused) =>
      Array.from({ length: 300 }, (_, i) =>
        Buffer.concat([isRefused(i) ? parse("", refused) : insert(i), sync()]),
      );
    await compare(stream, 300);
    expect(await count("work")).toBe(2 * 257);
  });

  it("one pipeline with thousands of messages, and one Sync", async () => {
    const stream: Stream = () => [...Array.from({ length: 5000 }, (_, i) => insert(i)), sync()];
    await compare(stream, 1);
    expect(await count("work")).toBe(10_000);
  }, 60_000);

  it("behind a slow statement", async () => {
    const ours = rowsOf(await pipelined(through)).join();
    const its = rowsOf(await pipelined(direct)).join();
    expect(its).toHaveLength(6000 * 2);
    expect(ours).toBe(its);
  }, 60_000);
});

async function pipelined(client: RawClient) {
  client.send(run("SELECT pg_sleep(1)"));
  client.send(...Array.from({ length: 6000 }, (_, i) => run(`SELECT ${i % 10}`)), sync());
  return client.untilReady();
}
