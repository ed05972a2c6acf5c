import { createServer } from "node:net";
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { AuditUnavailable } from "../../../src/base/errors.ts";
import { ApprovalDesk } from "../../../src/session/approval-desk.ts";
import { Classifier } from "../../../src/session/classifier.ts";
import { AuditFile } from "../../../src/store/audit-file.ts";
import {
  bind,
  closeStatement,
  copyData,
  execute,
  fieldsOf,
  message,
  parse,
  query,
  RawClient,
  run,
  sync,
  trace,
} from "../../support/raw-client.ts";
import { startTestTwokey } from "../../support/twokey.ts";
import { errorResponse, startFakeUpstream } from "./fake-upstream.ts";
import { requestIn, sign } from "./signing.ts";
import {
  auditOf,
  eventually,
  REFUSE_DESTRUCTION,
  startWorld,
  valueOf,
  type World,
} from "./world.ts";

let world: World;

beforeAll(async () => {
  world = await startWorld({
    rules: [
      {
        name: "lead-signs",
        destructive: true,
        action: "require_approval",
        approval: { approvers: ["lead"] },
      },
      { name: "everything-else", action: "allow" },
    ],
    config: {
      limits: {
        startup_timeout: "5s",
        idle_in_transaction: "1s",
        named_objects: 50,
        connections: { total: 40, per_address: 30, per_person: 20 },
      },
    },
  });
  await world.witness.query("CREATE TABLE keep (a int); CREATE TABLE work (a int)");
});

afterAll(async () => {
  await world.stop();
});

afterEach(() => {
  vi.restoreAllMocks();
  world.hangUp();
});

const count = (table: string): Promise<unknown> =>
  valueOf(world.witness, `SELECT count(*)::int FROM ${table}`);

describe("43: the verdict is bound to the execution", () => {
  it("an approval for one execution allows no second, by any message", async () => {
    const client = await world.through();
    const request = async (...messages: readonly Buffer[]): Promise<string> => {
      client.send(...messages);
      return requestIn((await client.untilReady()).find(({ type }) => type === "E"));
    };
    const text = "DELETE FROM work WHERE $1::int = 1";
    const bound = [bind({ statement: "s", values: ["1"] }), execute(), sync()];
    await client.ask(parse("s", text, [23]), sync());
    await world.witness.query("INSERT INTO work VALUES (1), (2)");
    const id = await request(...bound);
    expect(await count("work")).toBe(2);
    await sign(world, id);
    expect(await client.ask(...bound)).toEqual(["2", "C DELETE 2", "Z I"]);
    await world.witness.query("INSERT INTO work VALUES (3)");
    expect(await client.ask(...bound)).toEqual(["E 42501", "Z I"]);
    // Other values are another statement.
    expect(await client.ask(bind({ statement: "s", values: ["2"] }), execute(), sync())).toEqual([
      "E 42501",
      "Z I",
    ]);
    expect(await count("work")).toBe(1);
  }, 60_000);

  it("two Executes behind one Bind, and two sessions at once, run it once", async () => {
    const [one, two] = [await world.through(), await world.through()];
    await world.witness.query("TRUNCATE work; INSERT INTO work VALUES (1)");
    const text = "DELETE FROM work";
    one.send(query(text));
    const [error] = await one.untilReady();
    await sign(world, requestIn(error));
    const answers = await Promise.all(
      [one, two].map((client) => client.ask(parse("", text), bind(), execute(), execute(), sync())),
    );
    // One session was too late; in the other the server does not run a portal twice, and takes back what the first did.
    expect(answers.flat().filter((answer) => answer === "E 42501")).toHaveLength(1);
    expect(answers.flat().filter((answer) => answer === "E 55000")).toHaveLength(1);
    expect(await count("work")).toBe(1);
  }, 60_000);
});

describe("58: the parser is bounded", () => {
  const hostile: readonly (readonly [string, string])[] = [
    ["deep parentheses", `SELECT ${"(".repeat(3000)}1${")".repeat(3000)}`],
    ["deep subqueries", `${"SELECT * FROM (".repeat(2000)}SELECT 1${") x".repeat(2000)}`],
    ["a long chain of operators", `SELECT ${"- ".repeat(3500)}1`],
    ["nested comments", `${"/*".repeat(100_000)}${"*/".repeat(100_000)} SELECT 1`],
    ["a run of operator characters", `SELECT 1 ${"+".repeat(200_000)} 1`],
    ["a long IN list", `SELECT 1 IN (${Array.from({ length: 200_000 }, (_, i) => i).join()})`],
  ];
  it.each(hostile)("%s delays nobody else, and is answered", async (_, text) => {
    const [attacker, other] = [await world.through(), await world.through()];
    attacker.send(query(text));
    let slowest = 0;
    for (let i = 0; i < 20; i += 1) {
      const startedAt = performance.now();
      await other.ask(query("SELECT 1"));
      slowest = Math.max(slowest, performance.now() - startedAt);
    }
    const answers = trace(await attacker.untilReady());
    expect(answers.at(-1)).toBe("Z I");
    expect(slowest).toBeLessThan(1000);
    // And the parser is whole.
    expect(await attacker.ask(query("SELECT 1"))).toContain("C SELECT 1");
    expect(await attacker.ask(query("DROP TABLE keep"))).toEqual(["E 42501", "Z I"]);
  });
});

describe("59: limits", () => {
  it("of connections, before authentication, and of a person's sessions", async () => {
    const open: RawClient[] = [];
    for (let i = 0; i < 30; i += 1) open.push(await RawClient.open(world.twokey));
    const late = await RawClient.open(world.twokey);
    expect(trace(await late.untilEnd())).toEqual(["E 53300"]);
    for (const client of open) client.close();
    // Their places are free again.
    const attempts = await Promise.allSettled(Array.from({ length: 25 }, () => world.through()));
    const refused = attempts.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(5);
    expect(
      refused.every((one) => String((one as PromiseRejectedResult).reason).includes("53300")),
    ).toBe(true);
  });

  it("of prepared statements", async () => {
    const client = await world.through();
    for (let i = 0; i < 50; i += 1) await client.ask(parse(`s${i}`, "SELECT 1"), sync());
    expect(await client.ask(parse("one-too-many", "SELECT 1"), sync())).toEqual(["E 54000", "Z I"]);
    // Those that there are can be used, and given up.
    expect(await client.ask(bind({ statement: "s1" }), execute(), sync())).toContain("C SELECT 1");
    expect(await client.ask(bind({ portal: "p", statement: "s1" }), sync())).toEqual([
      "E 54000",
      "Z I",
    ]);
    await client.ask(closeStatement("s1"), sync());
    expect(await client.ask(parse("new", "SELECT 1"), sync())).toEqual(["1", "Z I"]);
  });

  it("a frontend that does not read holds up only itself, in bounded memory", async () => {
    const [slow, other] = [await world.through(), await world.through()];
    slow.socket.pause();
    slow.send(query("SELECT repeat('x', 8000) FROM generate_series(1, 100000)"));
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 30; i += 1) {
      expect(await other.ask(query("SELECT 1"))).toContain("C SELECT 1");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });

  it("a server that does not read holds up its frontend", async () => {
    const fake = await startFakeUpstream({
      answer: (_received, socket) => {
        socket.pause();
        return undefined;
      },
    });
    const twokey = await startTestTwokey({ postgres: fake.postgres, rules: REFUSE_DESTRUCTION });
    const { alice } = twokey.people;
    const { host, port } = twokey;
    const client = await RawClient.logIn({
      host,
      port,
      user: alice.name,
      password: alice.password,
      database: "shop",
    });
    const before = process.memoryUsage().rss;
    const piece = copyData(Buffer.alloc(1024 * 1024, 0x41));
    let written = 0;
    while (written < 256 && client.socket.write(piece)) written += 1;
    for (; written < 64; written += 1) client.socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(client.socket.writableLength).toBeGreaterThan(32 * 1024 * 1024);
    expect(process.memoryUsage().rss - before).toBeLessThan(160 * 1024 * 1024);
    client.close();
    await twokey.stop();
    await fake.stop();
  });

  it("who idles in a transaction is ended as the server would", async () => {
    const client = await world.through();
    const patient = await world.through();
    await client.ask(query("BEGIN; INSERT INTO work VALUES (99)"));
    await patient.ask(query("BEGIN"));
    // Work is no idling.
    await patient.ask(query("SELECT pg_sleep(1.5)"));
    const answers = await client.untilEnd();
    expect(trace(answers)).toEqual(["E 25P03"]);
    expect(answers[0] && fieldsOf(answers[0]).get("S")).toBe("FATAL");
    expect(await patient.ask(query("COMMIT"))).toEqual(["C COMMIT", "Z I"]);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(await patient.ask(query("SELECT 1"))).toContain("C SELECT 1");
    expect(await valueOf(world.witness, "SELECT count(*)::int FROM work WHERE a = 99")).toBe(0);
  });
});

describe("60: any failure inside leads to refusal or close, never to forwarding", () => {
  const insert = "INSERT INTO work VALUES (1)";
  const unharmed = async (other: RawClient): Promise<void> => {
    vi.restoreAllMocks();
    expect(await other.ask(query("SELECT 1"))).toContain("C SELECT 1");
    expect(await count("work")).toBe(0);
  };

  it("of the audit log: refused with 58030", async () => {
    await world.witness.query("TRUNCATE work");
    const [client, other] = [await world.through(), await world.through()];
    vi.spyOn(AuditFile.prototype, "appendEncoded").mockImplementation(() => {
      throw new AuditUnavailable("no space left on device");
    });
    expect(await client.ask(query(insert))).toEqual(["E 58030", "Z I"]);
    expect(await client.ask(run(insert), sync())).toEqual(["1", "2", "E 58030", "Z I"]);
    await unharmed(other);
  });

  it("of its writing: refused with 58030", async () => {
    const [client, other] = [await world.through(), await world.through()];
    vi.spyOn(AuditFile.prototype, "written").mockRejectedValue(
      new AuditUnavailable("no space left"),
    );
    expect(await client.ask(query(insert))).toEqual(["E 58030", "Z I"]);
    await unharmed(other);
  });

  it.each([
    [
      "the parser, at once",
      () =>
        vi.spyOn(Classifier.prototype, "classify").mockImplementation(() => {
          throw new Error("secret inside");
        }),
    ],
    [
      "the parser, later",
      () =>
        vi.spyOn(Classifier.prototype, "classify").mockRejectedValue(new Error("secret inside")),
    ],
    [
      "the approvals",
      () => vi.spyOn(ApprovalDesk.prototype, "take").mockRejectedValue(new Error("secret inside")),
    ],
  ])("of %s: closed, without its text", async (_, fail) => {
    const [client, other] = [await world.through(), await world.through()];
    fail();
    client.send(query("DELETE FROM work"), query(insert));
    const answers = await client.untilEnd();
    expect(trace(answers)).toEqual(["E XX000"]);
    expect(answers[0]?.body.toString()).not.toContain("secret");
    await unharmed(other);
  });
});

describe("bad input and faults", () => {
  it("an unknown database, a wrong password: the right SQLSTATE, and nothing of the upstream's credential", async () => {
    const { password } = world.postgres;
    await expect(world.through({ database: "nowhere" })).rejects.toThrow("E 3D000");
    await expect(world.through({ password: "wrong" })).rejects.toThrow("E 28P01");
    expect(JSON.stringify(auditOf(world)).includes(password)).toBe(false);
  });

  it("an upstream that is down, then up: 08001, and no word of the credential", async () => {
    const nobody = createServer();
    nobody.listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const { port } = nobody.address() as { port: number };
    nobody.close();
    await once(nobody, "close");
    const twokey = await startTestTwokey({
      postgres: { ...world.postgres, port },
      rules: REFUSE_DESTRUCTION,
    });
    const client = await RawClient.open(twokey);
    const { name: user, password } = twokey.people.alice;
    const login = client.logIn({ ...twokey, user, password, database: "shop" });
    await expect(login).rejects.toThrow("E 08001");
    await twokey.stop();
  });

  it("an upstream killed in the middle of a query: told, and others' new sessions work", async () => {
    const client = await world.through();
    client.send(query("SELECT pg_sleep(30)"));
    await eventually(
      async () =>
        (await valueOf(
          world.witness,
          "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        )) === 1,
      "it sleeps",
    );
    await world.witness.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    expect(trace(await client.untilEnd())).toEqual(["T", "E 57P01"]);
    expect(await (await world.through()).ask(query("SELECT 1"))).toContain("C SELECT 1");
  });

  it.each([
    [
      "without connections left: its own 53300",
      errorResponse({ S: "FATAL", V: "FATAL", C: "53300", M: "sorry, too many clients" }),
      "E 53300",
    ],
    // Not a PostgreSQL, then: the code of a message that can't be is not passed on.
    ["whose refusal has no end: 08001", message("E", Buffer.from("SFATAL\0C53300")), "E 08001"],
  ])("an upstream %s", async (_, greeting, expected) => {
    const fake = await startFakeUpstream({ greeting });
    const twokey = await startTestTwokey({ postgres: fake.postgres, rules: REFUSE_DESTRUCTION });
    const client = await RawClient.open(twokey);
    const { name: user, password } = twokey.people.alice;
    const login = client.logIn({ ...twokey, user, password, database: "shop" });
    await expect(login).rejects.toThrow(expected);
    await twokey.stop();
    await fake.stop();
  });

  it("a frontend that vanishes in the middle of COPY leaves nothing", async () => {
    await world.witness.query("TRUNCATE work");
    const client = await world.through();
    client.send(query("COPY work FROM STDIN"));
    await client.until("G");
    client.send(copyData("1\n2\n"), copyData("3\n").subarray(0, 6));
    client.socket.resetAndDestroy();
    await eventually(
      async () =>
        (await valueOf(
          world.witness,
          "SELECT count(*)::int FROM pg_stat_activity WHERE query LIKE 'COPY work%'",
        )) === 0,
      "the COPY has ended",
    );
    expect(await count("work")).toBe(0);
  });

  it("a stop lets statements end, then tells everybody 57P01", async () => {
    const own = await startWorld();
    const busy = await own.through();
    const idle = await own.through();
    const inTransaction = await own.through();
    await inTransaction.ask(query("BEGIN"));
    busy.send(query("SELECT pg_sleep(0.5), 'ended'"));
    await eventually(
      async () =>
        (await valueOf(
          own.witness,
          "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        )) === 1,
      "it sleeps",
    );
    const stopped = own.twokey.stop();
    expect(trace(await idle.untilEnd())).toEqual(["E 57P01"]);
    expect(trace(await inTransaction.untilEnd())).toEqual(["E 57P01"]);
    expect(trace(await busy.untilEnd()).at(-1)).toBe("E 57P01");
    await stopped;
    await own.witness.end();
    await own.postgres.stop();
  });
});
