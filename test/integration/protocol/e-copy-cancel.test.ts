import { describe, expect, it } from "vitest";
import {
  bind,
  cancelRequest,
  copyData,
  copyDone,
  copyFail,
  execute,
  fieldsOf,
  flush,
  functionCall,
  keyOf,
  parse,
  query,
  RawClient,
  run,
  sync,
  terminate,
  trace,
} from "../../support/raw-client.ts";
import { compareInOneWorld, countOf } from "./comparison.ts";
import { auditOf, eventually, valueOf, type World } from "./world.ts";

let world: World;
let through: RawClient;
let direct: RawClient;

compareInOneWorld({}, (comparison) => {
  ({ world, through, direct } = comparison);
});

const count = (table: string): Promise<unknown> => countOf(world, table);

/** The same to both; they have to answer alike, up to the n-th ReadyForQuery or the end. */
async function compare(messages: readonly Buffer[], readies: number): Promise<string[]> {
  through.send(...messages);
  direct.send(...messages);
  const its = trace(await direct.untilReady(readies));
  expect(trace(await through.untilReady(readies))).toEqual(its);
  expect(trace(await through.quiet(50))).toEqual(trace(await direct.quiet(0)));
  return its;
}

const COPY_IN = "COPY work FROM STDIN";

describe("46: during copy-in no Query or Parse is executed", () => {
  it.each([
    ["Query", query("INSERT INTO keep VALUES (1)")],
    ["a refused Query", query("DROP TABLE keep")],
    ["Parse", parse("", "INSERT INTO keep VALUES (1)")],
    ["a pipeline", Buffer.concat([run("INSERT INTO keep VALUES (1)"), sync()])],
    ["FunctionCall", functionCall(1, [])],
  ])("%s", async (_, message) => {
    for (const client of [through, direct]) {
      client.send(query(COPY_IN));
      await client.until("G");
    }
    // The server ends the session at such a message; so must we, or the two would disagree about what comes next.
    await compare([copyData("1\n"), message, copyDone()], 2);
    expect(through.isEnded).toBe(true);
    expect(await count("keep")).toBe(0);
    expect(await count("work")).toBe(0);
    expect(await valueOf(world.witness, "SELECT to_regclass('keep')::text")).toBe("keep");
  });

  it("and a COPY that was only believed in does not hide a statement", async () => {
    // It fails before it begins, so the server reads what follows as statements.
    through.send(query("COPY no_such_table FROM STDIN"), query("DROP TABLE keep"));
    expect(trace(await through.untilReady(2))).toEqual(["E 42P01", "Z I", "E 42501", "Z I"]);
    expect(await valueOf(world.witness, "SELECT to_regclass('keep')::text")).toBe("keep");
  });
});

describe("47: CopyData is data", () => {
  it("split and joined freely, with statements in it", async () => {
    await world.witness.query("CREATE TABLE IF NOT EXISTS lines (line text); TRUNCATE lines");
    const text = "DROP TABLE keep;\nQ\u0000".replace("\u0000", "");
    const data = `${text}\n${"x".repeat(100_000)}\nSELECT 1\n`;
    through.send(query("COPY lines FROM STDIN"));
    await through.until("G");
    const bytes = Buffer.concat([
      copyData(data.slice(0, 7)),
      copyData(data.slice(7, 60_000)),
      copyData(data.slice(60_000)),
    ]);
    await through.sendInPieces(bytes, 8191);
    expect(await through.ask(copyDone())).toEqual(["C COPY 4", "Z I"]);
    expect(
      await valueOf(world.witness, "SELECT string_agg(line, E'\\n') || E'\\n' FROM lines"),
    ).toBe(data);
    expect(await valueOf(world.witness, "SELECT to_regclass('keep')::text")).toBe("keep");
  });

  it("and a text that is read only when its answer is there goes on behind it", async () => {
    // As PDO's pgsqlCopyFromArray writes it; triggers of the table could have changed how backslashes are read.
    const text = "COPY work FROM STDIN WITH NULL AS E'\\\\\\\\N'";
    for (const value of ["1\n", "2\n"]) {
      expect(await compare([query(text), copyData(value), copyDone()], 1)).toContain("C COPY 1");
    }
    expect(await through.ask(query("SELECT 'é'"))).toEqual(["T", "D", "C SELECT 1", "Z I"]);
  });

  it("COPY OUT brings what it brings directly", async () => {
    const text = "COPY (SELECT g, repeat('x', g % 50) FROM generate_series(1, 20000) g) TO STDOUT";
    through.send(query(text));
    direct.send(query(text));
    const bytes = async (client: RawClient): Promise<Buffer> =>
      Buffer.concat(
        (await client.untilReady()).map(({ type, body }) =>
          Buffer.concat([Buffer.from(type), body]),
        ),
      );
    expect((await bytes(through)).equals(await bytes(direct))).toBe(true);
  });

  it("hundreds of megabytes pass in bounded memory", async () => {
    const before = process.memoryUsage().rss;
    let highest = before;
    through.send(query("COPY (SELECT repeat('x', 8000) FROM generate_series(1, 25000)) TO STDOUT"));
    let bytes = 0;
    for (;;) {
      const answer = await through.next();
      if (answer === undefined || answer.type === "Z") break;
      bytes += answer.body.length;
      highest = Math.max(highest, process.memoryUsage().rss);
    }
    expect(bytes).toBeGreaterThan(200_000_000);
    expect(highest - before).toBeLessThan(200_000_000);
  }, 120_000);
});

describe("48: Flush and Sync inside copy-in are ignored", () => {
  it("so that a Sync right behind the Execute of a COPY is answered once", async () => {
    for (const client of [through, direct]) {
      client.send(run(COPY_IN), sync());
      await client.until("G");
    }
    expect(
      await compare([copyData("1\n"), flush(), sync(), copyData("2\n"), copyDone(), sync()], 1),
    ).toEqual(["C COPY 2", "Z I"]);
    // And the session is where it was: nothing is missing, nothing too much.
    expect(await compare([query("SELECT 1"), run("SELECT 2"), sync()], 2)).toEqual(
      [
        ["T", "D", "C SELECT 1", "Z I"],
        ["1", "2", "D", "C SELECT 1", "Z I"],
      ].flat(),
    );
  });

  it("also in the simple protocol", async () => {
    for (const client of [through, direct]) {
      client.send(query(COPY_IN), sync(), flush());
      await client.until("G");
    }
    await compare([sync(), copyData("1\n"), sync(), copyDone()], 1);
    await compare([query("SELECT 1"), sync()], 2);
  });

  it("and a COPY that fails in the middle waits for its Sync", async () => {
    for (const client of [through, direct]) {
      client.send(run(COPY_IN), sync());
      await client.until("G");
    }
    await compare([copyData("not a number\n"), copyData("2\n"), copyDone(), sync()], 1);
    await compare([run("SELECT 1"), sync(), query("SELECT 2")], 2);
  });

  it("and one that the client gives up", async () => {
    for (const client of [through, direct]) {
      client.send(run(COPY_IN), sync());
      await client.until("G");
    }
    await compare([copyData("1\n"), copyFail("changed my mind"), sync()], 1);
    await compare([query(COPY_IN), copyData("1\n"), copyFail("again"), query("SELECT 1")], 2);
    expect(await count("work")).toBe(0);
  });

  it("a Sync that crosses the error of its COPY", async () => {
    for (const client of [through, direct]) {
      client.send(run(COPY_IN));
      client.send(flush());
      await client.until("G");
    }
    // The server has failed by the time that it reads the Sync, and answers it.
    await compare([copyData("not a number\n"), copyDone(), sync()], 1);
    await compare([run("SELECT 1"), sync()], 1);
    for (const client of [through, direct]) {
      client.send(run(COPY_IN), flush());
      await client.until("G");
      client.send(copyData("not a number\n"));
      await client.until("E");
    }
    await compare([run("SELECT 1"), sync(), run("SELECT 2"), sync()], 2);
  });
});

describe("49: CopyData, CopyDone and CopyFail outside copy-in are dropped silently", () => {
  it("at any time", async () => {
    expect(
      await compare(
        [
          copyData("1\n"),
          copyDone(),
          copyFail("no"),
          query("SELECT 1"),
          copyDone(),
          run("SELECT 2"),
          copyData("DROP TABLE keep"),
          sync(),
          copyFail("no"),
        ],
        2,
      ),
    ).toEqual([...["T", "D", "C SELECT 1", "Z I"], ...["1", "2", "D", "C SELECT 1", "Z I"]]);
  });

  it("also when a COPY failed before it began", async () => {
    await compare(
      [
        query("COPY no_such_table FROM STDIN"),
        copyData("1\n"),
        copyData("2\n"),
        copyDone(),
        query("SELECT 1"),
      ],
      2,
    );
    await compare(
      [
        run("COPY no_such_table FROM STDIN"),
        copyData("1\n"),
        copyDone(),
        sync(),
        run("SELECT 1"),
        sync(),
      ],
      2,
    );
  });

  it("also behind a refused one", async () => {
    await world.witness.query("CREATE TABLE IF NOT EXISTS secret (a int)");
    through.send(
      query("TRUNCATE work; COPY work FROM STDIN"),
      copyData("1\n"),
      copyDone(),
      query("SELECT 1"),
      parse("", "TRUNCATE work"),
      bind(),
      execute(),
      copyData("1\n"),
      copyDone(),
      sync(),
    );
    expect(trace(await through.untilReady(3))).toEqual([
      ...["E 42501", "Z I"],
      ...["T", "D", "C SELECT 1", "Z I"],
      ...["E 42501", "Z I"],
    ]);
  });
});

describe("50: FunctionCall is judged where it can be, else refused", () => {
  it("large objects, as the functions that they are", async () => {
    const oid = Number(await valueOf(world.witness, "SELECT lo_from_bytea(0, 'x')"));
    const open = functionCall(952, [String(oid), String(0x20000)]);
    for (const client of [through, direct]) {
      expect(await client.ask(query("BEGIN"))).toEqual(["C BEGIN", "Z T"]);
      expect(await client.ask(open)).toEqual(["V", "Z T"]);
      expect(await client.ask(functionCall(954, ["0", "10"]))).toEqual(["V", "Z T"]);
      expect(await client.ask(functionCall(952, ["0", "1"]))).toEqual(["E 22023", "Z E"]);
      expect(await client.ask(query("ROLLBACK"), query("SELECT 1"))).toContain("C ROLLBACK");
      await client.untilReady();
    }
    await eventually(
      () =>
        Promise.resolve(
          auditOf(world).some(({ sql }) => sql === "SELECT pg_catalog.lo_open($1, $2)"),
        ),
      "the call is on record",
    );
  });

  it("another, with one ErrorResponse and one ReadyForQuery", async () => {
    through.send(functionCall(1299, []));
    const answers = await through.untilReady();
    expect(trace(answers)).toEqual(["E 42501", "Z I"]);
    expect(answers[0] && fieldsOf(answers[0]).get("M")).toMatch(/^twokey: .*FunctionCall/);
  });

  it("and fails the transaction that it stands in", async () => {
    expect(await through.ask(query("BEGIN"))).toEqual(["C BEGIN", "Z T"]);
    expect(await through.ask(functionCall(1299, []))).toEqual(["E 42501", "Z E"]);
    expect(await through.ask(query("COMMIT"))).toEqual(["C ROLLBACK", "Z I"]);
  });
});

describe("51: replication mode", () => {
  it.each(["database", "true", "on", "YES", "t", "1", "tRu", "y"])(
    "is refused when asked for with %s",
    async (value) => {
      await expect(world.through({ parameters: { replication: value } })).rejects.toThrow(
        "E 42501",
      );
    },
  );

  it.each(["false", "off", "0", "no", "F"])("is not meant by %s", async (value) => {
    const client = await world.through({ parameters: { replication: value } });
    expect(await client.ask(query("SELECT 1"))).toContain("C SELECT 1");
  });
});

describe("52: cancel", () => {
  const cancel = async (processId: number, secret: Buffer): Promise<Buffer> => {
    const { host, port } = world.twokey;
    const other = await RawClient.open({ host, port });
    other.send(cancelRequest(processId, secret));
    const chunks: Buffer[] = [];
    other.socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    await other.untilEnd();
    return Buffer.concat(chunks);
  };
  const untilSleeping = (pid: number): Promise<void> =>
    eventually(
      async () =>
        (await valueOf(
          world.witness,
          `SELECT wait_event FROM pg_stat_activity WHERE pid = ${pid}`,
        )) === "PgSleep",
      "the session sleeps",
    );

  it.each([0, 2])(
    "reaches the session whose key it carries (protocol 3.%i)",
    async (minorVersion) => {
      const client = await world.through({ minorVersion });
      const other = await world.through();
      const key = keyOf(client);
      expect(key.secret).toHaveLength(minorVersion === 0 ? 4 : 32);
      client.send(query("SELECT pg_sleep(30)"));
      other.send(query("SELECT pg_sleep(1), 'undisturbed'"));
      await untilSleeping(key.processId);
      // It is never answered.
      expect(await cancel(key.processId, key.secret)).toHaveLength(0);
      expect(trace(await client.untilReady())).toContain("E 57014");
      expect(trace(await other.untilReady())).toContain("C SELECT 1");
      expect(await client.ask(query("SELECT 1"))).toContain("C SELECT 1");
    },
  );

  it("does nothing with another key, however long", async () => {
    const { processId, secret } = keyOf(through);
    const wrong = Buffer.from(secret.map((byte) => byte ^ 1));
    through.send(query("SELECT pg_sleep(1), 'undisturbed'"));
    await untilSleeping(processId);
    for (const guess of [wrong, Buffer.alloc(4), Buffer.alloc(256, 7), secret.subarray(0, 3)]) {
      await cancel(processId, guess);
    }
    await cancel(processId + 1, secret);
    expect(trace(await through.untilReady())).toContain("C SELECT 1");
  });

  it("does nothing with a key whose session has ended", async () => {
    const client = await world.through();
    const { processId, secret } = keyOf(client);
    client.send(terminate());
    await client.untilEnd();
    expect(await cancel(processId, secret)).toHaveLength(0);
  });

  it("takes no key of the server's own", async () => {
    const { processId, secret } = keyOf(direct);
    direct.send(query("SELECT pg_sleep(0.5)"));
    await untilSleeping(processId);
    await cancel(processId, secret);
    expect(trace(await direct.untilReady())).toContain("C SELECT 1");
  });
});

describe("53: the end of a session", () => {
  it("nothing behind a Terminate is read", async () => {
    through.send(terminate(), query("INSERT INTO work VALUES (1)"));
    expect(await through.untilEnd()).toEqual([]);
    expect(await count("work")).toBe(0);
  });

  it("what stands before a Terminate is answered, and on record as it went", async () => {
    const sql = "INSERT INTO work VALUES (4711)";
    const messages = [query(sql), run("SELECT 1"), query("SELECT 2"), terminate()];
    through.send(...messages);
    direct.send(...messages);
    expect(trace(await through.untilEnd())).toEqual(trace(await direct.untilEnd()));
    expect(await count("work")).toBe(2);
    const decided = auditOf(world).find((record) => record["sql"] === sql);
    await eventually(
      () =>
        Promise.resolve(
          auditOf(world).some(
            ({ event, statement, sqlstate }) =>
              event === "statement.finished" &&
              statement === decided?.["seq"] &&
              sqlstate === "00000",
          ),
        ),
      "it is on record as done",
    );
  });

  it("a Terminate whose frontend does not wait lets a statement end", async () => {
    through.send(query("INSERT INTO work SELECT 1 FROM pg_sleep(0.3)"), terminate());
    through.socket.end();
    await eventually(async () => (await count("work")) === 1, "it has ended");
  });

  it.each([
    ["Query", query("INSERT INTO work SELECT 1 FROM pg_sleep(60)")],
    ["pipeline", Buffer.concat([run("INSERT INTO work SELECT 1 FROM pg_sleep(60)"), sync()])],
  ])(
    "a frontend that vanishes in the middle of a %s takes the statement with it",
    async (_, sent) => {
      const sleepers = (): Promise<unknown> =>
        valueOf(
          world.witness,
          "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        );
      through.send(sent);
      await eventually(async () => (await sleepers()) === 1, "it runs");
      through.socket.resetAndDestroy();
      await eventually(async () => (await sleepers()) === 0, "it has been canceled");
      expect(await count("work")).toBe(0);
    },
  );

  it("a frontend that vanishes takes its transaction with it", async () => {
    const { processId } = keyOf(through);
    await through.ask(query("BEGIN; INSERT INTO work VALUES (1); LOCK TABLE keep"));
    through.socket.resetAndDestroy();
    await eventually(
      async () =>
        (await valueOf(
          world.witness,
          `SELECT count(*)::int FROM pg_stat_activity WHERE pid = ${processId}`,
        )) === 0,
      "the upstream session has ended",
    );
    expect(await count("work")).toBe(0);
  });

  it("a server that ends the session says so itself, once", async () => {
    const ask = async (client: RawClient): Promise<string[]> => {
      const { processId } = keyOf(client);
      await client.ask(query("BEGIN; INSERT INTO work VALUES (1)"));
      await world.witness.query("SELECT pg_terminate_backend($1)", [processId]);
      return trace(await client.untilEnd());
    };
    expect(await ask(through)).toEqual(["E 57P01"]);
    expect(await ask(direct)).toEqual(["E 57P01"]);
    expect(await count("work")).toBe(0);
  });
});
