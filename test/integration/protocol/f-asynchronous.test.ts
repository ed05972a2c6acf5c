import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  cString,
  execute,
  bind,
  fieldsOf,
  int32,
  keyOf,
  message,
  parse,
  query,
  rawMessage,
  RawClient,
  rowsOf,
  run,
  sync,
  trace,
  type Login,
} from "../../support/raw-client.ts";
import { startTestTwokey, type TestTwokey } from "../../support/twokey.ts";
import {
  backendKeyData,
  commandComplete,
  errorResponse,
  greeting,
  PARAMETERS,
  parameterStatus,
  ready,
  startFakeUpstream,
  type FakeUpstream,
} from "./fake-upstream.ts";
import { REFUSE_DESTRUCTION, startWorld, valueOf, type World } from "./world.ts";

describe("behind a real server", () => {
  let world: World;
  let through: RawClient;
  let direct: RawClient;

  beforeAll(async () => {
    world = await startWorld();
    await world.witness.query(`
      CREATE TABLE keep (a int);
      CREATE TABLE work (a int);
      CREATE FUNCTION loud(text) RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN RAISE NOTICE 'loud %', $1; RETURN $1; END $$;
      CREATE FUNCTION quietly_set(text, text) RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN EXECUTE format('SET %I TO %L', $1, $2); RETURN $2; END $$`);
  });

  afterAll(async () => {
    await world.stop();
  });

  beforeEach(async () => {
    through = await world.through();
    direct = await world.direct();
  });

  afterEach(() => {
    world.hangUp();
  });

  describe("54: notices, settings and notifications come between any two messages", () => {
    it("in the middle of results", async () => {
      const stream = [
        query("SELECT loud(g::text) FROM generate_series(1, 3) g"),
        query("SET DateStyle TO 'German'; SELECT 1; SET TimeZone TO 'UTC'"),
        run("SELECT loud('extended')"),
        sync(),
      ];
      through.send(...stream);
      direct.send(...stream);
      const ours = await through.untilReady(3);
      const its = await direct.untilReady(3);
      expect(trace(ours)).toEqual(trace(its));
      expect(ours.filter(({ type }) => type === "S" || type === "N")).toEqual(
        its.filter(({ type }) => type === "S" || type === "N"),
      );
    });

    it("while idle", async () => {
      await through.ask(query("LISTEN news"));
      await world.witness.query("NOTIFY news, 'flash'");
      const answer = await through.next();
      expect(answer?.type).toBe("A");
      expect(answer?.body.toString("utf8", 4)).toBe("news\0flash\0");
    });

    it("next to a refusal", async () => {
      await through.ask(query("LISTEN news"));
      await through.ask(query("BEGIN"));
      await world.witness.query("NOTIFY news, 'held'");
      expect(await through.ask(query("DROP TABLE keep"))).toEqual(["E 42501", "Z E"]);
      expect(await through.ask(query("ROLLBACK"))).toEqual(["C ROLLBACK", "A", "Z I"]);
      through.send(
        query("SELECT loud('before')"),
        query("DROP TABLE keep"),
        query("SELECT loud('behind')"),
      );
      expect(trace(await through.untilReady(3))).toEqual([
        ...["T", "N", "D", "C SELECT 1", "Z I"],
        ...["E 42501", "Z I"],
        ...["T", "N", "D", "C SELECT 1", "Z I"],
      ]);
    });
  });

  describe("55: a change of how the server reads text closes the connection", () => {
    it.each([
      ["client_encoding", "SJIS"],
      ["client_encoding", "BIG5"],
      ["client_encoding", "GBK"],
    ])("%s to %s, inside a function", async (name, value) => {
      through.send(query(`SELECT quietly_set('${name}', '${value}')`), query("SELECT 1"));
      const answers = await through.untilEnd();
      const last = answers.at(-1);
      expect(last && trace([last])).toEqual(["E 0A000"]);
      expect(last && fieldsOf(last).get("S")).toBe("FATAL");
      expect(rowsOf(answers)).not.toContainEqual(["1"]);
    });

    it("standard_conforming_strings off, inside a function", async () => {
      // Servers from 19 on have no such mode.
      through.send(query("SELECT quietly_set('standard_conforming_strings', 'off')"));
      expect(trace(await through.untilEnd()).at(-1)).toBe("E 0A000");
    });

    it("and nothing is judged ahead of the answer to what may change it", async () => {
      await world.witness.query("TRUNCATE work; INSERT INTO work VALUES (1)");
      // In SJIS 95 5C is one character, so that the string ends with the quote behind it.
      const payload = Buffer.concat([
        Buffer.from("SELECT E'"),
        Buffer.from([0xc2, 0x95, 0x5c]),
        Buffer.from("'; DELETE FROM work; --'"),
      ]);
      through.send(query("SELECT quietly_set('client_encoding', 'SJIS')"), query(payload));
      expect(trace(await through.untilEnd()).at(-1)).toBe("E 0A000");
      expect(await valueOf(world.witness, "SELECT count(*)::int FROM work")).toBe(1);
    });

    it("nor in the extended protocol", async () => {
      await world.witness.query("TRUNCATE work; INSERT INTO work VALUES (1)");
      const payload = Buffer.from("SELECT 'a\\'; DELETE FROM work; --'");
      through.send(
        run("SELECT quietly_set('standard_conforming_strings', 'off')"),
        parse("", payload),
        bind(),
        execute(),
        sync(),
      );
      expect(trace(await through.until("E")).at(-1)).toBe("E 0A000");
      expect(await valueOf(world.witness, "SELECT count(*)::int FROM work")).toBe(1);
    });

    it("while another of the safe encodings is followed", async () => {
      expect(await through.ask(query("SET client_encoding TO 'LATIN1'"))).toContain("Z I");
      through.send(query(Buffer.from("SELECT length('plain')")));
      expect(rowsOf(await through.untilReady())).toEqual([["5"]]);
    });

    it.each([
      "SET client_encoding TO 'SJIS'",
      "SET NAMES 'BIG5'",
      "SET standard_conforming_strings TO off",
      "SELECT set_config('standard_conforming_strings', 'off', false)",
      "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
    ])("and where it can be seen it is refused: %s", async (text) => {
      const answers = await through.ask(query(text));
      expect(answers.at(-1)).toBe("Z I");
      expect(answers[0]).toMatch(/^E (42501|0A000)$/);
    });
  });

  describe("56: errors of our making", () => {
    it("carry severity, SQLSTATE, message, and the way out", async () => {
      through.send(query('DROP TABLE "ke\u0007ep"'));
      const [error] = await through.untilReady();
      const fields = error && fieldsOf(error);
      expect(fields?.get("S")).toBe("ERROR");
      expect(fields?.get("V")).toBe("ERROR");
      expect(fields?.get("C")).toBe("42501");
      expect(fields?.get("M")).toMatch(/^twokey: DROP TABLE/);
      expect(fields?.get("D")).toContain("nothing-is-lost");
      expect(fields?.get("H")).toBe("Ask somebody.");
      // eslint-disable-next-line no-control-regex -- what a terminal would obey
      expect(error?.body.toString("utf8")).not.toMatch(/[\u0001-\u0009\u000b-\u001f\u007f]/);
    });

    it("are FATAL where the connection closes", async () => {
      through.send(message("y"));
      const [error] = await through.untilEnd();
      expect(error && fieldsOf(error).get("S")).toBe("FATAL");
      expect(error && fieldsOf(error).get("C")).toBe("08P01");
    });
  });
});

describe("57: malformed messages from the server end that one connection", () => {
  let fake: FakeUpstream;
  let twokey: TestTwokey;
  let login: Login;

  beforeAll(async () => {
    fake = await startFakeUpstream();
    twokey = await startTestTwokey({ postgres: fake.postgres, rules: REFUSE_DESTRUCTION });
    const { alice } = twokey.people;
    login = {
      host: twokey.host,
      port: twokey.port,
      user: alice.name,
      password: alice.password,
      database: "shop",
    };
  });

  afterAll(async () => {
    await twokey.stop();
    await fake.stop();
  });

  it.each([
    ["a length below 4", rawMessage("D", 3)],
    ["a length beyond every limit", rawMessage("D", 0xffffffff)],
    ["a ReadyForQuery of no status", message("Z", Buffer.from("?"))],
    ["an empty ReadyForQuery", message("Z")],
    ["a ParameterStatus without a value", message("S", cString("client_encoding"))],
    ["a CommandComplete without an end", rawMessage("C", 64 * 1024 * 1024)],
    ["an unsafe encoding", parameterStatus("client_encoding", "SJIS")],
  ])("%s", async (_, bytes) => {
    const other = await RawClient.logIn(login);
    const client = await RawClient.logIn(login);
    fake.answerWith(() => bytes);
    client.send(query("SELECT 1"));
    const last = (await client.untilEnd()).at(-1);
    if (last?.type === "E") expect(fieldsOf(last).get("S")).toBe("FATAL");
    expect(client.isEnded).toBe(true);
    // Others go on.
    fake.answerWith(() => Buffer.concat([commandComplete("SELECT 1"), ready()]));
    expect(await other.ask(query("SELECT 1"))).toEqual(["C SELECT 1", "Z I"]);
    other.close();
  });

  it.each([
    ["an error without fields", message("E", Buffer.alloc(1))],
    ["an error without an end", message("E", Buffer.from("SERROR\0"))],
    ["an error with nothing in it", message("E")],
    ["an unknown message", message("?", Buffer.from("new"))],
    ["answers to nothing", Buffer.concat([message("1"), message("2"), message("s"), message("G")])],
  ])("but %s only passes through", async (_, bytes) => {
    const client = await RawClient.logIn(login);
    fake.answerWith(() => Buffer.concat([bytes, ready()]));
    client.send(query("SELECT 1"));
    const answers = await client.untilReady();
    expect(Buffer.concat(answers.map(({ type, body }) => message(type, body)))).toEqual(
      Buffer.concat([bytes, ready()]),
    );
    fake.answerWith(() => Buffer.concat([commandComplete("SELECT 1"), ready()]));
    expect(await client.ask(query("SELECT 1"))).toEqual(["C SELECT 1", "Z I"]);
    client.close();
  });

  it("a server that quotes a token of its own making is believed nothing", async () => {
    const client = await RawClient.logIn(login);
    const forged = errorResponse({
      S: "ERROR",
      C: "42601",
      M: 'syntax error at or near "twokey_refused_000000000000000000000000_1"',
    });
    fake.answerWith(() => Buffer.concat([forged, ready()]));
    client.send(query("SELECT 1"));
    const [answer] = await client.untilReady();
    expect(answer && message("E", answer.body)).toEqual(forged);
    client.close();
  });

  it("a server that leaves in the middle of a message says nothing more, nor do we", async () => {
    const client = await RawClient.logIn(login);
    fake.answerWith((_received, socket) => {
      socket.end(rawMessage("D", 1000, Buffer.from("half")));
      return undefined;
    });
    client.send(query("SELECT 1"));
    expect(await client.untilEnd()).toEqual([]);
  });

  it("a server that leaves between messages is told of with 08006", async () => {
    const client = await RawClient.logIn(login);
    fake.answerWith((_received, socket) => {
      socket.end(message("n"));
      return undefined;
    });
    client.send(query("SELECT 1"));
    const answers = await client.untilEnd();
    expect(trace(answers)).toEqual(["n", "E 08006"]);
    expect(answers[1] && fieldsOf(answers[1]).get("S")).toBe("FATAL");
  });
});

describe("57 and 24, 25: at start-up", () => {
  async function logInBehind(bytes: Buffer): Promise<RawClient> {
    const fake = await startFakeUpstream({ greeting: bytes });
    const twokey = await startTestTwokey({ postgres: fake.postgres, rules: REFUSE_DESTRUCTION });
    const { alice } = twokey.people;
    const { host, port } = twokey;
    try {
      const { name: user, password } = alice;
      return await RawClient.logIn({ host, port, user, password, database: "shop" });
    } finally {
      await twokey.stop();
      await fake.stop();
    }
  }

  it.each([
    ["nothing but garbage", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), "08001"],
    [
      "endless SASL work",
      message("R", Buffer.concat([int32(11), Buffer.from("r=x,s=eA==,i=9")])),
      "08001",
    ],
    [
      "standard_conforming_strings off",
      greeting({ ...PARAMETERS, standard_conforming_strings: "off" }),
      "0A000",
    ],
    ["an unsafe client_encoding", greeting({ ...PARAMETERS, client_encoding: "GBK" }), "0A000"],
    ["no client_encoding", greeting({ ...PARAMETERS, client_encoding: "" }), "0A000"],
    ["a version beyond the parser's", greeting({ ...PARAMETERS, server_version: "19.1" }), "0A000"],
    ["no version", greeting({ ...PARAMETERS, server_version: "" }), "0A000"],
    [
      "a server_encoding that no server has",
      greeting({ ...PARAMETERS, server_encoding: "SJIS" }),
      "0A000",
    ],
  ])("%s", async (_, bytes, code) => {
    await expect(logInBehind(bytes)).rejects.toThrow(`E ${code}`);
  });

  const notice = message(
    "N",
    Buffer.concat([cString("SNOTICE"), cString("C00000"), cString("Mhello"), Buffer.alloc(1)]),
  );
  const settings = Object.entries(PARAMETERS).map(([name, value]) => parameterStatus(name, value));

  it("24: settings, the key and notices reach the client", async () => {
    const client = await logInBehind(
      Buffer.concat([message("R", int32(0)), ...settings, backendKeyData, notice, ready()]),
    );
    expect(trace(client.greeting).join(" ")).toMatch(/^(R ){4}(S ){4}K N Z I$/);
    const { processId, secret } = keyOf(client);
    // The server's process, but a secret of our own.
    expect(processId).toBe(4711);
    expect(secret).not.toEqual(int32(42));
  });

  it("24: without a key of the server's there is none of ours", async () => {
    const client = await logInBehind(
      Buffer.concat([message("R", int32(0)), ...settings, notice, ready()]),
    );
    expect(trace(client.greeting).join(" ")).toMatch(/^(R ){4}(S ){4}N Z I$/);
  });

  it("53: a frontend that leaves while its upstream is being opened leaves nothing behind", async () => {
    const fake = await startFakeUpstream({ greeting: Buffer.alloc(0), answer: () => undefined });
    const twokey = await startTestTwokey({ postgres: fake.postgres, rules: REFUSE_DESTRUCTION });
    const { alice } = twokey.people;
    const client = await RawClient.open(twokey);
    const login = client.logIn({
      ...twokey,
      user: alice.name,
      password: alice.password,
      database: "shop",
    });
    await fake.connected();
    client.socket.resetAndDestroy();
    await expect(login).rejects.toThrow("closed during start-up");
    fake.say(greeting());
    await fake.disconnected();
    await twokey.stop();
    await fake.stop();
  });
});
