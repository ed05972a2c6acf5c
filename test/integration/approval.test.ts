import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import Database from "libsql";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { formatVerifier, makeVerifier } from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import { ApiPerson, viewOf } from "../support/api-person.ts";
import type { TestPerson } from "../support/twokey.ts";
import { shell } from "../support/processes.ts";
import {
  bind,
  cancelRequest,
  execute,
  keyOf,
  parse,
  query,
  RawClient,
  sync,
} from "../support/raw-client.ts";
import { auditOf, eventually, startWorld, valueOf, type World } from "./protocol/world.ts";

const DROP = "DROP TABLE doomed";
const DELETE_ONE = "DELETE FROM ledger WHERE id = $1";

const needs = (name: string, approval: object, when: object = {}): Record<string, unknown> => ({
  ...{ name, destructive: true, action: "require_approval", approval },
  ...when,
});

/** Which rule applies is told by the program's name. */
const RULES = [
  needs(
    "two-sign",
    { approvers: ["lead", "junior"], signatures: 2 },
    { application_names: ["two"] },
  ),
  needs("patient", { wait: "hold", hold_for: "30s" }, { application_names: ["patient"] }),
  needs("hasty", { wait: "hold", hold_for: "1s" }, { application_names: ["hasty"] }),
  needs("explained", { reason: true }, { application_names: ["explained"] }),
  {
    name: "any-line-of-the-ledger",
    application_names: ["any"],
    effects: { any: ["delete"] },
    action: "require_approval",
    approval: { max_uses: 5, parameters: "any" },
  },
  needs("lost-for-good", { max_uses: 5 }),
  {
    name: "ledger",
    effects: { any: ["delete"] },
    objects: { any: [{ name: "ledger" }] },
    action: "require_approval",
    approval: { max_uses: 5 },
  },
  { name: "everyday-work", action: "allow" },
];

const DEPLOYER = { name: "deployer", password: "from-the-pipeline" };

let world: World;
let alice: ApiPerson;
let bob: ApiPerson;
let carol: ApiPerson;
const clients: pg.Client[] = [];

beforeAll(async () => {
  const verifier = formatVerifier(await makeVerifier(new Secret(DEPLOYER.password)));
  const workloads = { deployer: { roles: ["senior"], verifier } };
  world = await startWorld({ rules: RULES, config: { ...CONFIG, workloads } });
  const { people } = world.twokey;
  alice = new ApiPerson(world.twokey, people.alice);
  bob = new ApiPerson(world.twokey, people.bob);
  carol = new ApiPerson(world.twokey, people.carol);
});

afterAll(async () => {
  await world.stop();
});

beforeEach(async () => {
  await world.witness.query(`
    DROP TABLE IF EXISTS doomed, ledger;
    CREATE TABLE doomed (a int);
    CREATE TABLE ledger (id int PRIMARY KEY);
    INSERT INTO ledger SELECT generate_series(1, 9)`);
});

afterEach(async () => {
  world.hangUp();
  await Promise.all(clients.splice(0).map((client) => client.end()));
  // What one test leaves open, the next one would join.
  for (const { id } of await openRequests()) {
    const { status } = await alice.call("POST", `/requests/${id}/cancel`);
    if (status !== 200) await bob.call("POST", `/requests/${id}/reject`, { reason: "left over" });
  }
});

describe("a statement that needs a second person", () => {
  it("is refused, signed for, runs once, and is refused again", async () => {
    const client = await connect();
    const refused = await refusal(client.query(DROP));
    expect(refused).toMatchObject({
      code: "42501",
      message: 'twokey: DROP TABLE "doomed" needs a second person in production',
      detail: expect.stringContaining("waits for 1 signature by lead") as string,
      hint: expect.stringContaining("run exactly the same statement again") as string,
    });
    const id = requestOf(refused);
    expect(await bob.approve(id)).toMatchObject({ state: "approved", signatures: 1 });
    await client.query(DROP);
    expect(await exists("doomed")).toBe(false);
    expect(await bob.show(id)).toMatchObject({ state: "used", uses: [{ step: 0 }] });

    expect(requestOf(await refusal(client.query(DROP)))).not.toBe(id);
    expect(recordsOf(id)).toEqual([
      "statement.decided require_approval",
      "request.created require_approval",
      "approval.signed",
      "approval.used",
      "statement.decided allow",
    ]);
  });

  it("can be signed for at a terminal", async () => {
    const client = await connect("explained");
    const id = requestOf(await refusal(client.query(DROP)));
    const { adminUrl, directory, people } = world.twokey;
    const approve = `node src/main.ts approve ${id} --url ${adminUrl} --as bob --key ${people.bob.keyFile}`;
    const env = { ...process.env, XDG_STATE_HOME: directory };
    expect(await shell(`${approve} --yes`, env)).toMatchObject({ status: 2 });
    const signed = await shell(`${approve} --yes --reason 'it is a copy'`, env);
    expect(signed).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(`${id} is approved: alice may run it once`) as string,
    });
    expect(signed.stderr).toContain(DROP);
    await client.query(DROP);
    expect(await exists("doomed")).toBe(false);
  });

  it("joins the request that is open for the same", async () => {
    const client = await connect();
    const id = requestOf(await refusal(client.query(DROP)));
    expect(requestOf(await refusal((await connect()).query(DROP)))).toBe(id);
    expect(await alice.show(id)).toMatchObject({ times_asked: 2 });
  });

  it("runs in another session of the same person, and in nobody else's", async () => {
    const id = requestOf(await refusal((await connect()).query(DROP)));
    await bob.approve(id);
    const foreign = await connect("", world.twokey.people.bob);
    expect(requestOf(await refusal(foreign.query(DROP)))).not.toBe(id);
    const another = await connect();
    await another.query(DROP);
    expect(await exists("doomed")).toBe(false);
    // Bob's own, which bob could not sign.
    for (const { id: left } of await openRequests())
      await bob.call("POST", `/requests/${left}/cancel`);
  });

  it("runs as it was signed, to the letter", async () => {
    const client = await connect();
    const id = requestOf(await refusal(client.query(DROP)));
    await bob.approve(id);
    for (const other of [`${DROP} `, `${DROP};`, DROP.toLowerCase(), `${DROP} CASCADE`]) {
      expect(requestOf(await refusal(client.query(other)))).not.toBe(id);
    }
    await refusal(client.query(`SELECT 1; ${DROP}`));
    expect(await exists("doomed")).toBe(true);
    await client.query(DROP);
  });

  it("leaves no open transaction behind where it is refused in one", async () => {
    const client = await connect();
    await client.query("BEGIN");
    const id = requestOf(await refusal(client.query(DROP)));
    expect(await refusal(client.query("SELECT 1"))).toMatchObject({ code: "25P02" });
    await client.query("ROLLBACK");
    await bob.approve(id);
    await client.query("BEGIN");
    await client.query(DROP);
    await client.query("ROLLBACK");
    // The use is gone: what runs is what counts, not what is committed.
    expect(requestOf(await refusal(client.query(DROP)))).not.toBe(id);
  });

  it("needs two people where the rule says two", async () => {
    const client = await connect("two");
    const id = requestOf(await refusal(client.query(DROP)));
    expect(await bob.approve(id)).toMatchObject({ state: "pending", signatures: 1 });
    expect((await bob.call("POST", `/requests/${id}/approval-document`, {})).status).toBe(409);
    const again = (await carol.draft(id)).replace('"approver":"carol"', '"approver":"bob"');
    expect((await bob.handIn(id, again)).status).toBe(409);
    const refused = await refusal(client.query(DROP));
    expect(refused.detail).toContain(`${id} waits for 1 signature by lead or junior`);
    await carol.approve(id);
    await client.query(DROP);
    expect(await exists("doomed")).toBe(false);
  });

  it("can't be signed for twice by one key under two names", async () => {
    const client = await connect("two");
    const id = requestOf(await refusal(client.query(DROP)));
    register("carol", bob);
    await bob.approve(id);
    expect((await carol.handIn(id, await carol.draft(id), bob.person.keyFile)).status).toBe(409);
    expect(await bob.show(id)).toMatchObject({ state: "pending", signatures: 1 });
    unregister("carol", bob);
  });

  it("can't be signed for by the requester, whichever key it is", async () => {
    const client = await connect();
    const id = requestOf(await refusal(client.query(DROP)));
    expect((await alice.call("POST", `/requests/${id}/approval-document`, {})).status).toBe(422);
    const document = await bob.draft(id);
    const own = document.replace('"approver":"bob"', '"approver":"alice"');
    expect(await alice.handIn(id, own)).toMatchObject({ status: 422 });
    // In bob's name with alice's key; with a second key of hers; with bob's that is hers, too.
    expect(await alice.handIn(id, document)).toMatchObject({ status: 422 });
    register("alice", carol);
    expect(await alice.handIn(id, own, carol.person.keyFile)).toMatchObject({ status: 422 });
    unregister("alice", carol);
    register("alice", bob);
    expect(await bob.handIn(id, document)).toMatchObject({ status: 422 });
    unregister("alice", bob);
    expect(await bob.handIn(id, document)).toMatchObject({ status: 201 });
    await client.query(DROP);
  });

  it("opens another request where the signature has stopped counting", async () => {
    const client = await connect();
    const id = requestOf(await refusal(client.query(DROP)));
    await bob.approve(id);
    register("alice", bob);
    const next = requestOf(await refusal(client.query(DROP)));
    expect(next).not.toBe(id);
    expect(await alice.show(id)).toMatchObject({ state: "cancelled" });
    unregister("alice", bob);
    await bob.approve(next);
    await client.query(DROP);
  });

  it("is refused again once the signature has run out", async () => {
    const client = await connect();
    const id = requestOf(await refusal(client.query(DROP)));
    const { approvals } = await bob.approve(id, { validity_seconds: 1 });
    const until = Date.parse(approvals[0]?.valid_until ?? "");
    await eventually(() => Promise.resolve(Date.now() > until), "it has run out");
    expect(requestOf(await refusal(client.query(DROP)))).not.toBe(id);
    expect(await alice.show(id)).toMatchObject({ state: "expired" });
  });

  it("is refused when the signature was changed in the store, with the reason on record", async () => {
    const client = await connect();
    const id = requestOf(await refusal(client.query(DROP)));
    await bob.approve(id);
    const store = new Database(storeFile());
    const change = (from: string, to: string): void => {
      const sql = "UPDATE requests SET body = replace(body, ?, ?) WHERE id = ?";
      store.prepare(sql).run([from, to, id]);
    };
    const use = '\\"uses\\":1';
    change(use, '\\"uses\\":9');
    expect(requestOf(await refusal(client.query(DROP)))).not.toBe(id);
    store.close();
    const reasons = (): unknown[] =>
      auditOf(world)
        .filter(({ event, request }) => event === "approval.rejected" && request === id)
        .map(({ reason }) => reason);
    await eventually(() => Promise.resolve(reasons().length > 0), "the reason is on record");
    expect(reasons()).toEqual(["the signature does not match the document"]);
  });

  it("can be signed for ahead of time", async () => {
    const submitted = { database: "shop", statements: [DROP], reason: "OPS-7" };
    const { id, reason } = viewOf(await alice.call("POST", "/requests", submitted));
    expect(reason).toBe("OPS-7");
    await bob.approve(id);
    await (await connect()).query(DROP);
    expect(await exists("doomed")).toBe(false);
  });

  it("is refused while the store fails, and the session goes on", async () => {
    const client = await connect();
    const store = new Database(storeFile());
    store.exec("ALTER TABLE requests RENAME TO elsewhere");
    expect(await refusal(client.query(DROP))).toMatchObject({ code: "58030" });
    expect((await client.query("SELECT 1 AS a")).rows).toEqual([{ a: 1 }]);
    store.exec("ALTER TABLE elsewhere RENAME TO requests");
    store.close();
    await bob.approve(requestOf(await refusal(client.query(DROP))));
    await client.query(DROP);
    expect(await exists("doomed")).toBe(false);
  });
});

describe("a migration signed ahead", () => {
  const MIGRATION = `-- what used to be in doomed
CREATE TABLE IF NOT EXISTS moved AS TABLE doomed;
ALTER TABLE doomed DROP COLUMN a;
DELETE FROM ledger
  WHERE id = 1; -- under another rule
SELECT count(*) FROM ledger;
DROP TABLE doomed;
`;
  const ALTER = "ALTER TABLE doomed DROP COLUMN a;";
  const DELETE = "DELETE FROM ledger\n  WHERE id = 1;";

  afterAll(() => world.witness.query("DROP TABLE IF EXISTS moved"));

  it("runs in its order, each statement once, in the workload's name", async () => {
    const { adminUrl, directory, people } = world.twokey;
    writeFileSync(path.join(directory, "migration.sql"), MIGRATION);
    const submitted = await shell(
      `node src/main.ts request submit --file ${directory}/migration.sql --split --database shop` +
        ` --for deployer --url ${adminUrl} --as alice --key ${people.alice.keyFile}`,
      { ...process.env, XDG_STATE_HOME: directory },
    );
    expect(submitted.stdout).toMatch(/^R-\w{6}, for 3 of 5 statements, waits for 1 of lead/);
    const id = submitted.stdout.slice(0, 8);
    const view = await bob.approve(id);
    expect(view).toMatchObject({
      requester: "deployer",
      submitter: "alice",
      summary: expect.stringMatching(/^ALTER TABLE "doomed".* and 2 more$/) as string,
    });
    expect(view.statements.map(({ sql }) => sql)).toEqual([ALTER, DELETE, `${DROP};`]);

    let client = await connect("", DEPLOYER);
    await client.query("CREATE TABLE IF NOT EXISTS moved AS TABLE doomed;");
    await refusal(client.query(`${DROP};`));
    await refusal(client.query(DELETE));
    await client.query(ALTER);
    await refusal(client.query(ALTER));
    // Interrupted, and taken up where it stopped.
    client = await connect("", DEPLOYER);
    await refusal(client.query(DELETE.replace("1", "2")));
    await client.query(DELETE);
    await client.query("SELECT count(*) FROM ledger;");
    await client.query(`${DROP};`);
    expect(await bob.show(id)).toMatchObject({ state: "used", uses: [{}, {}, {}] });
    await refusal(client.query(ALTER));
    expect(await exists("doomed")).toBe(false);
  });

  it("can't be signed for by whoever submitted it, and is theirs to take back", async () => {
    const wanted = { database: "shop", statements: [DROP], requester: "deployer" };
    const { id } = viewOf(await bob.call("POST", "/requests", wanted));
    expect((await bob.call("POST", `/requests/${id}/approval-document`, {})).status).toBe(422);
    expect(viewOf(await bob.call("POST", `/requests/${id}/cancel`)).state).toBe("cancelled");
    const forAPerson = { ...wanted, requester: "carol" };
    expect((await bob.call("POST", "/requests", forAPerson)).status).toBe(409);
  });
});

describe("bound values", () => {
  it("are signed for with the statement", async () => {
    const client = await connect();
    const id = requestOf(await refusal(client.query(DELETE_ONE, [7])));
    expect((await bob.show(id)).statements[0]?.parameters).toEqual([{ oid: 0, text: "7" }]);
    await bob.approve(id);
    expect(requestOf(await refusal(client.query(DELETE_ONE, [8])))).not.toBe(id);
    await refusal(client.query(DELETE_ONE.replace("$1", "7")));
    expect((await client.query(DELETE_ONE, [7])).rowCount).toBe(1);
    expect(await valueOf(world.witness, "SELECT count(*)::int FROM ledger")).toBe(8);
    await refusal(client.query(DELETE_ONE, [7]));
  });

  it("are left open where the rule says so, and can then be signed for ahead", async () => {
    const client = await connect("any");
    const id = requestOf(await refusal(client.query(DELETE_ONE, [7])));
    expect((await bob.show(id)).statements[0]?.parameters).toBe("any");
    await bob.approve(id, { uses: 2 });
    await client.query(DELETE_ONE, [1]);
    // Under a rule that wants the values it does not count.
    await refusal((await connect()).query(DELETE_ONE, [2]));
    await client.query(DELETE_ONE, [2]);
    await refusal(client.query(DELETE_ONE, [3]));
    expect(await valueOf(world.witness, "SELECT count(*)::int FROM ledger")).toBe(7);
    const ahead = { database: "shop", statements: [DELETE_ONE] };
    expect((await alice.call("POST", "/requests", ahead)).status).toBe(409);
  });

  it("are looked at in each Execute of one prepared statement, and each is a use", async () => {
    const client = await world.through();
    const once = [bind({ statement: "d", values: ["3"] }), execute(), sync()];
    expect(await client.ask(parse("d", DELETE_ONE), sync())).toEqual(["1", "Z I"]);
    expect(await client.ask(...once)).toEqual(["E 42501", "Z I"]);
    const [request] = await openRequests();
    await bob.approve(request?.id ?? "", { uses: 2 });
    expect(await client.ask(...once)).toEqual(["2", "C DELETE 1", "Z I"]);
    const other = [bind({ statement: "d", values: ["4"] }), execute(), sync()];
    expect(await client.ask(...other)).toEqual(["E 42501", "Z I"]);
    expect(await client.ask(...once)).toEqual(["2", "C DELETE 0", "Z I"]);
    expect(await client.ask(...once)).toEqual(["E 42501", "Z I"]);
    expect(await bob.show(request?.id ?? "")).toMatchObject({ state: "used" });
  });

  it("keep a portal that stopped at its row limit one use", async () => {
    const text = "DELETE FROM ledger RETURNING id";
    const client = await world.through();
    await client.ask(query(text));
    const [request] = await openRequests();
    await bob.approve(request?.id ?? "");
    const begin = [parse("", text), bind({ portal: "p" }), execute("p", 4)];
    const answers = await client.ask(...begin, execute("p", 4), execute("p", 4), sync());
    expect(answers.filter((answer) => !answer.startsWith("D"))).toEqual([
      "1",
      "2",
      "s",
      "s",
      "C DELETE 1",
      "Z I",
    ]);
    expect(await bob.show(request?.id ?? "")).toMatchObject({ state: "used", uses: [{ step: 0 }] });
    expect(await client.ask(query(text))).toEqual(["E 42501", "Z I"]);
  });
});

describe("a statement that waits", () => {
  it("goes on once it is signed", async () => {
    const { done, notice, id } = await wait();
    expect(notice).toMatchObject({
      message: 'twokey: DROP TABLE "doomed" waits for a second person in production',
      hint: expect.stringContaining(`twokey approve ${id}`) as string,
    });
    await bob.approve(id);
    await done;
    expect(await exists("doomed")).toBe(false);
    expect(await bob.show(id)).toMatchObject({ state: "used" });
  });

  it("is refused with the reason of whoever rejects it", async () => {
    const { done, id, client } = await wait();
    viewOf(await bob.call("POST", `/requests/${id}/reject`, { reason: "not on a Friday" }));
    expect(await refusal(done)).toMatchObject({
      code: "42501",
      detail: expect.stringContaining("was rejected by bob: not on a Friday") as string,
    });
    expect((await client.query("SELECT 1 AS a")).rows).toEqual([{ a: 1 }]);
  });

  it("is taken back by Ctrl-C, and its request with it", async () => {
    const client = await world.through({ parameters: { application_name: "patient" } });
    client.send(query(DROP));
    await client.until("N");
    const [request] = await openRequests();
    const { processId, secret } = keyOf(client);
    const canceller = await RawClient.open(world.twokey);
    canceller.send(cancelRequest(processId, secret));
    expect((await client.untilReady()).map(({ type }) => type)).toEqual(["E", "Z"]);
    expect(await bob.show(request?.id ?? "")).toMatchObject({ state: "cancelled" });
    expect(await client.ask(query("SELECT 1"))).toEqual(["T", "D", "C SELECT 1", "Z I"]);
  });

  it("leaves nothing to sign when its client hangs up", async () => {
    const client = await world.through({ parameters: { application_name: "patient" } });
    client.send(query(DROP));
    await client.until("N");
    const [request] = await openRequests();
    client.close();
    const isGone = async (): Promise<boolean> =>
      (await bob.show(request?.id ?? "")).state === "cancelled";
    await eventually(isGone, "the request is cancelled");
  });

  it("is refused when its time is up, and can be signed for all the same", async () => {
    const { done, id, client } = await wait("hasty");
    expect(await refusal(done)).toMatchObject({
      code: "42501",
      detail: expect.stringContaining(`${id} waits for 1 signature`) as string,
    });
    await bob.approve(id);
    await client.query(DROP);
    expect(await exists("doomed")).toBe(false);
  });

  it("does not wait inside a transaction", async () => {
    const client = await connect("patient");
    await client.query("BEGIN");
    expect(await refusal(client.query(DROP))).toMatchObject({ code: "42501" });
  });
});

const CONFIG = {
  approvals: { allowed_signers: "allowed_signers", defaults: { approvers: ["lead"] } },
};

async function connect(
  applicationName = "",
  person: Pick<TestPerson, "name" | "password"> = world.twokey.people.alice,
): Promise<pg.Client> {
  const { host, port } = world.twokey;
  const { name: user, password } = person;
  const login = { host, port, user, password, database: "shop" };
  const client = new pg.Client({ ...login, application_name: applicationName });
  clients.push(client);
  await client.connect();
  return client;
}

interface Notice {
  readonly message?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

/** Alice's DROP, waiting. */
async function wait(applicationName = "patient"): Promise<{
  readonly client: pg.Client;
  readonly done: Promise<unknown>;
  readonly notice: Notice;
  readonly id: string;
}> {
  const client = await connect(applicationName);
  const noticed = new Promise<Notice>((resolve) => client.once("notice", resolve));
  const done = client.query(DROP);
  // Looked at by the test later; until then nobody has to.
  done.catch(() => undefined);
  const notice = await noticed;
  return { client, done, notice, id: /R-\w{6}/.exec(notice.detail ?? "")?.[0] ?? "" };
}

async function refusal(running: Promise<unknown>): Promise<pg.DatabaseError> {
  try {
    await running;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

function requestOf({ detail }: pg.DatabaseError): string {
  const id = /R-\w{6}/.exec(detail ?? "")?.[0];
  if (id === undefined) throw new Error(`no request in ${detail ?? "nothing"}`);
  return id;
}

async function openRequests(): Promise<readonly { readonly id: string }[]> {
  const { body } = await bob.call("GET", "/requests?state=pending&state=approved");
  return (body as { requests: { id: string }[] }).requests;
}

async function exists(table: string): Promise<boolean> {
  return (await valueOf(world.witness, `SELECT to_regclass('${table}') IS NOT NULL`)) as boolean;
}

function recordsOf(id: string): string[] {
  return auditOf(world)
    .filter(({ request }) => request === id)
    .map(({ event, action }) => (action === undefined ? [event] : [event, action]).join(" "));
}

function storeFile(): string {
  const { directory } = world.twokey;
  const found = readdirSync(directory, { recursive: true }).find((name) =>
    String(name).endsWith(".db"),
  );
  return path.join(directory, String(found));
}

function signersFile(): string {
  return path.join(world.twokey.directory, "allowed_signers");
}

/** From now on the key of `holder` is `name`'s, too. */
function register(name: string, holder: ApiPerson): void {
  appendFileSync(signersFile(), lineOf(name, holder));
}

function unregister(name: string, holder: ApiPerson): void {
  const text = readFileSync(signersFile(), "utf8");
  writeFileSync(signersFile(), text.replace(lineOf(name, holder), ""));
}

function lineOf(name: string, { person }: ApiPerson): string {
  return `${name} ${readFileSync(`${person.keyFile}.pub`, "utf8").trim()} second\n`;
}
