import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  bind,
  closeStatement,
  cString,
  copyData,
  copyDone,
  describeStatement,
  execute,
  fieldsOf,
  flush,
  int16,
  int32,
  message,
  parse,
  query,
  rawMessage,
  run,
  sync,
  terminate,
  trace,
  type Answer,
  RawClient,
} from "../../support/raw-client.ts";
import { commandComplete, ready, startFakeUpstream } from "./fake-upstream.ts";
import { REFUSE_DESTRUCTION, startWorld, valueOf, type World } from "./world.ts";
import { startTestTwokey } from "../../support/twokey.ts";

let world: World;
let through: RawClient;
let direct: RawClient;

beforeAll(async () => {
  world = await startWorld({
    config: { limits: { max_message: "64KiB", max_statement: "64KiB" } },
  });
  await world.witness.query("CREATE TABLE keep (a int); CREATE TABLE work (a text)");
});

afterAll(async () => {
  await world.stop();
});

beforeEach(async () => {
  await world.witness.query("TRUNCATE work");
  through = await world.through();
  direct = await world.direct();
});

afterEach(() => {
  world.hangUp();
});

const count = (table: string): Promise<unknown> =>
  valueOf(world.witness, `SELECT count(*)::int FROM ${table}`);

describe("1: boundaries come from the length word alone", () => {
  const stream = Buffer.concat([
    query("SELECT 'é', '日本'"),
    parse("", "INSERT INTO work VALUES ($1) RETURNING length(a)"),
    describeStatement(),
    bind({ values: ["ü\u{1f511}"] }),
    execute(),
    sync(),
    query("DROP TABLE keep"),
    query("COPY work FROM STDIN"),
    copyData("eins\nzwei\n"),
    copyData("drei\n"),
    copyDone(),
    parse("", "DROP TABLE keep"),
    execute(),
    sync(),
    query(""),
  ]);
  const whole = [
    ...["T", "D", "C SELECT 1", "Z I"],
    ...["1", "t", "T", "2", "D", "C INSERT 0 1", "Z I"],
    ...["E 42501", "Z I"],
    ...["G", "C COPY 3", "Z I"],
    ...["E 42501", "Z I"],
    ...["I", "Z I"],
  ];

  it.each([1, 2, 3, 5, 7, 64, 10_000])("in pieces of %i bytes", async (pieceBytes) => {
    await through.sendInPieces(stream, pieceBytes);
    expect(trace(await through.untilReady(6))).toEqual(whole);
    expect(await count("work")).toBe(4);
  });

  it("cut in two at every byte of a message", async () => {
    const text = parse("", "SELECT '日本', $1::int", [23]);
    for (let cut = 1; cut < text.length; cut += 1) {
      const bytes = Buffer.concat([text, bind({ values: ["1"] }), execute(), sync()]);
      through.send(bytes.subarray(0, cut));
      await new Promise(setImmediate);
      through.send(bytes.subarray(cut));
      expect(trace(await through.untilReady())).toEqual(["1", "2", "D", "C SELECT 1", "Z I"]);
    }
  });
});

/** What came back, and that nothing else will. */
async function closed(client: RawClient, ...bytes: readonly Buffer[]): Promise<readonly Answer[]> {
  client.send(...bytes);
  const answers = await client.untilEnd();
  expect(client.isEnded).toBe(true);
  return answers;
}

async function closedWith(code: string, ...bytes: readonly Buffer[]): Promise<void> {
  const client = await world.through();
  const last = (await closed(client, ...bytes)).at(-1);
  expect(last && fieldsOf(last).get("C")).toBe(code);
  expect(last && fieldsOf(last).get("S")).toBe("FATAL");
}

describe("2 and 3: a length that can't be closes the connection", () => {
  const lengths = [0, 1, 2, 3, -1, -4, -5, 0x80000000, 0x7fffffff, 0xffffffff, 0xfffffffc];
  it.each(lengths)("%i, of a Query", (length) =>
    closedWith("08P01", rawMessage("Q", length, cString("SELECT 1"))),
  );
  it.each(lengths)("%i, of a Bind", (length) =>
    closedWith("08P01", rawMessage("B", length, Buffer.alloc(8))),
  );
  it.each(lengths)("%i, of CopyData", (length) =>
    closedWith("08P01", query("COPY work FROM STDIN"), rawMessage("d", length, Buffer.alloc(8))),
  );
  it("and what stands behind it is not read", async () => {
    await closedWith("08P01", rawMessage("Q", 3), query("INSERT INTO work VALUES (1)"));
    expect(await count("work")).toBe(0);
  });
});

describe("4: sizes are limited when the length word arrives, before the body", () => {
  it.each(["C", "D", "E", "H", "S", "X", "c", "f"])("%s of more than 10,000 bytes", (type) =>
    closedWith("08P01", rawMessage(type, 10_001)),
  );
  it.each(["Q", "P", "B", "F"])("%s beyond what is configured", (type) =>
    closedWith("08P01", rawMessage(type, 64 * 1024 + 1)),
  );
  it("and CopyData beyond 1 GiB - 2", () => closedWith("08P01", rawMessage("d", 0x3fffffff)));
  it("while one right at the limit passes", async () => {
    // The length word counts itself, and not the type: as the server counts.
    const text = `SELECT '${"x".repeat(64 * 1024 - 4 - 9 - 1)}'`;
    const bytes = query(text);
    expect(bytes).toHaveLength(1 + 64 * 1024);
    expect(await through.ask(bytes)).toEqual(["T", "D", "C SELECT 1", "Z I"]);
    await closedWith("08P01", query(`${text} `));
  });
  it("and a small one of 10,000", async () => {
    const name = "n".repeat(10_000 - 4 - 1 - 1);
    expect(await through.ask(closeStatement(name), sync())).toEqual(["3", "Z I"]);
    expect(await (await world.direct()).ask(closeStatement(name), sync())).toEqual(["3", "Z I"]);
  });
  it("and CopyData streams however long its message is", async () => {
    through.send(query("COPY work FROM STDIN"));
    await through.until("G");
    through.send(copyData(`${"y".repeat(5_000_000)}\n`), copyDone());
    expect(trace(await through.untilReady())).toEqual(["C COPY 1", "Z I"]);
    expect(await valueOf(world.witness, "SELECT length(a) FROM work")).toBe(5_000_000);
  });
});

describe("5: a type that frontends don't have closes the connection", () => {
  const types = ["\0", "A", "R", "T", "Z", "a", "p", "q", "v", "\x16", "\xff", " ", "1"];
  it.each(types)("%j while idle", (type) => closedWith("08P01", message(type, Buffer.alloc(4))));
  it.each(["Z", "p"])("%j in a transaction", (type) =>
    closedWith("08P01", query("BEGIN"), message(type)),
  );
  it.each(["Z", "p"])("%j in a pipeline", (type) =>
    closedWith("08P01", run("SELECT 1"), message(type)),
  );
  it.each(["Z", "p"])("%j where messages are skipped", (type) =>
    closedWith("08P01", parse("", "DROP TABLE keep"), message(type)),
  );
  it.each(["Z", "p"])("%j in copy-in", (type) =>
    closedWith("08P01", query("COPY work FROM STDIN"), message(type)),
  );
});

describe("6 and 7: no byte reaches the server before the verdict, and then exactly those judged", () => {
  it("as the server sees it", async () => {
    const fake = await startFakeUpstream();
    const twokey = await startTestTwokey({ postgres: fake.postgres, rules: REFUSE_DESTRUCTION });
    const { alice } = twokey.people;
    const client = await RawClient.logIn({
      host: twokey.host,
      port: twokey.port,
      user: alice.name,
      password: alice.password,
      database: "shop",
    });
    fake.answerWith(() => Buffer.concat([commandComplete("SELECT 1"), ready()]));
    const judged = query("SELECT 'exactly /* these */ bytes é'");
    // All but the last byte: nothing can be judged yet.
    client.send(judged.subarray(0, -1));
    expect(await client.quiet()).toEqual([]);
    expect(fake.received()).toHaveLength(0);
    client.send(judged.subarray(-1));
    await client.untilReady();
    expect(fake.received()).toEqual(judged);

    client.send(query("DROP TABLE keep"));
    await client.untilReady();
    const instead = fake.received().subarray(judged.length);
    expect(instead.includes("DROP")).toBe(false);
    // A message of its own, with a length of its own.
    expect(instead[0]).toBe("Q".charCodeAt(0));
    expect(instead.readUInt32BE(1)).toBe(instead.length - 1);
    expect(instead.toString("latin1", 5)).toMatch(/^twokey_refused_\w+\0$/);
    client.close();
    await twokey.stop();
    await fake.stop();
  });
});

describe("8 and 9: what does not fill its message is refused, as the server does", () => {
  const zero = Buffer.alloc(1);
  const malformed: readonly (readonly [string, Buffer])[] = [
    ["a Query without its terminator", message("Q", Buffer.from("SELECT 1"))],
    ["a Query with a zero byte inside", query("SELECT 1\0; DROP TABLE keep")],
    ["a Query with bytes behind", message("Q", Buffer.from("SELECT 1\0 \0"))],
    ["an empty Query message", message("Q")],
    ["a FunctionCall cut short", message("F", int32(1))],
    [
      "a FunctionCall with bytes behind",
      message("F", Buffer.concat([int32(1), int16(0), int16(0), int16(0), zero])),
    ],
  ];
  it.each(malformed)("%s", async (_, bytes) => {
    expect(await through.ask(bytes)).toEqual(["E 08P01", "Z I"]);
    // And the session goes on.
    expect(await through.ask(query("SELECT 1"))).toEqual(["T", "D", "C SELECT 1", "Z I"]);
    if (bytes[0] === "Q".charCodeAt(0)) {
      expect((await direct.ask(bytes)).map((answer) => answer.replace("22P05", "08P01"))).toEqual([
        "E 08P01",
        "Z I",
      ]);
    }
  });

  const extended: readonly (readonly [string, Buffer])[] = [
    ["a Parse without its terminator", message("P", Buffer.from("\0SELECT 1"))],
    ["a Parse with a zero byte inside", parse("", "SELECT 1\0; DROP TABLE keep")],
    ["a Parse without a type count", message("P", Buffer.from("\0SELECT 1\0"))],
    [
      "a Parse with fewer types than it says",
      message("P", Buffer.concat([Buffer.from("\0SELECT 1\0"), int16(2), int32(23)])),
    ],
    [
      "a Parse with more",
      message("P", Buffer.concat([Buffer.from("\0SELECT 1\0"), int16(0), int32(23)])),
    ],
    ["a Bind cut short", message("B", Buffer.from("\0\0"))],
    ["a Bind with bytes behind", message("B", Buffer.concat([bind().subarray(5), zero]))],
    [
      "a Bind with a value beyond its end",
      message(
        "B",
        Buffer.concat([zero, zero, int16(0), int16(1), int32(5), Buffer.from("abc"), int16(0)]),
      ),
    ],
    [
      "a Bind with a value length of -2",
      message("B", Buffer.concat([zero, zero, int16(0), int16(1), int32(-2), int16(0)])),
    ],
    [
      "a Bind with fewer formats than values",
      message(
        "B",
        Buffer.concat([zero, zero, int16(2), int16(0), int16(0), int16(1), int32(-1), int16(0)]),
      ),
    ],
    ["a Describe of nothing", message("D", Buffer.from("X\0"))],
    ["an empty Describe", message("D")],
    ["a Close of nothing", message("C", Buffer.from("\0\0"))],
    ["an Execute without a limit", message("E", zero)],
    ["an Execute with bytes behind", message("E", Buffer.concat([zero, int32(0), zero]))],
    ["a Flush with a body", message("H", zero)],
  ];
  it.each(extended)("%s", async (_, bytes) => {
    const stream = [
      parse("", "SELECT 'kept'"),
      bytes,
      run("INSERT INTO work VALUES (1)"),
      sync(),
      query("SELECT 1"),
    ];
    through.send(...stream);
    direct.send(...stream);
    const its = trace(await direct.untilReady(2));
    expect(its[1]).toMatch(/^E /);
    expect(trace(await through.untilReady(2))).toEqual(["1", "E 08P01", ...its.slice(2)]);
    expect(await count("work")).toBe(0);
  });

  it("a Sync with a body", async () => {
    const stream = [run("INSERT INTO work VALUES (1)"), message("S", zero), query("SELECT 1")];
    through.send(...stream);
    direct.send(...stream);
    expect(trace(await through.untilReady(2))).toEqual(trace(await direct.untilReady(2)));
    expect(await count("work")).toBe(0);
  });

  it("a Terminate with a body is still one", async () => {
    expect(await closed(through, message("X", zero))).toEqual([]);
  });

  it("and it fails a transaction that is open", async () => {
    await through.ask(query("BEGIN; INSERT INTO work VALUES (1)"));
    expect(await through.ask(message("Q", Buffer.from("SELECT")))).toEqual(["E 08P01", "Z E"]);
    expect(await through.ask(query("COMMIT"))).toEqual(["C ROLLBACK", "Z I"]);
  });

  it("nothing of a text with a zero byte is ever run", async () => {
    await through.ask(query("INSERT INTO work VALUES (1)\0"));
    await through.ask(query("INSERT INTO work VALUES (2)\0; SELECT 1"));
    await through.ask(parse("", "INSERT INTO work VALUES (3)\0"), bind(), execute(), sync());
    expect(await count("work")).toBe(0);
  });
});

describe("10: what needs not be understood passes with its framing checked", () => {
  it("in CopyData, any bytes", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await world.witness.query("CREATE TABLE IF NOT EXISTS raw (a bytea); TRUNCATE raw");
    through.send(query("COPY raw FROM STDIN (FORMAT binary)"));
    await through.until("G");
    const signature = Buffer.concat([
      Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"),
      int32(0),
      int32(0),
    ]);
    const row = Buffer.concat([int16(1), int32(bytes.length), bytes]);
    through.send(copyData(Buffer.concat([signature, row, int16(-1)])), copyDone());
    expect(trace(await through.untilReady())).toEqual(["C COPY 1", "Z I"]);
    expect(await valueOf(world.witness, "SELECT a FROM raw")).toEqual(bytes);
    through.send(query("COPY raw TO STDOUT (FORMAT binary)"));
    const data = (await through.untilReady()).filter(({ type }) => type === "d");
    expect(Buffer.concat(data.map(({ body }) => body)).includes(bytes)).toBe(true);
  });

  it("flushed or ended, nothing is left behind", async () => {
    through.send(flush(), flush(), terminate());
    expect(await through.untilEnd()).toEqual([]);
  });
});
