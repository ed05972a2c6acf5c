import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RequestView } from "../../src/admin/request-views.ts";
import { requestCommand } from "../../src/cli/request.ts";
import { ApiPerson, viewOf } from "../support/api-person.ts";
import { runCommand } from "../cli/plain-terminal.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { query, RawClient } from "../support/raw-client.ts";
import { readAudit } from "../support/read-audit.ts";
import { startTestTwokey, type TestPerson, type TestTwokey } from "../support/twokey.ts";

let postgres: TestPostgres;
let twokey: TestTwokey;
let carol: ApiPerson;
let bob: ApiPerson;

beforeAll(async () => {
  postgres = await startPostgres();
  twokey = await startTestTwokey({
    postgres,
    databases: { postgres: "production", template1: "development" },
    config: {
      access: [
        {
          name: "seniors-for-a-while",
          role: "senior",
          for_roles: ["junior"],
          environments: ["production"],
          max_for: "2h",
          approval: { approvers: ["lead"] },
        },
      ],
    },
  });
  carol = new ApiPerson(twokey, twokey.people.carol);
  bob = new ApiPerson(twokey, twokey.people.bob);
});

afterAll(async () => {
  await twokey.stop();
  await postgres.stop();
});

function open({ name, password }: TestPerson, database = "postgres"): Promise<RawClient> {
  const { host, port } = twokey;
  return RawClient.logIn({ host, port, user: name, password, database });
}

const ask = async (body: object = {}): Promise<RequestView> =>
  viewOf(await carol.call("POST", "/requests/access", { ...ASKED, ...body }));

const ASKED = { role: "senior", database: "postgres", seconds: 60, reason: "on call tonight" };
const WRITE = query("CREATE TABLE IF NOT EXISTS elevated (a int)");
const REFUSED = ["E 42501", "Z I"];

/** Until the session may write, or may no more: the signature, or the end, has been taken up. */
const whatWriting = (client: RawClient) => async (): Promise<string> =>
  (await client.ask(WRITE)).find((answer) => answer.startsWith("E") || answer.startsWith("C")) ??
  "";

describe("a role for a while", () => {
  test("is refused where it isn't offered", async () => {
    const refusals = [
      [{ role: "lead" }, "is not to be had"],
      [{ role: "junior" }, "you have the role"],
      [{ database: "template1" }, "is not to be had"],
      [{ database: "nowhere" }, "there is no database"],
      [{ seconds: 7201 }, "at most 7200 s"],
    ] as const;
    for (const [change, why] of refusals) {
      const answer = await carol.call("POST", "/requests/access", { ...ASKED, ...change });
      expect(answer, why).toMatchObject({
        status: 409,
        body: { detail: expect.stringContaining(why) as string },
      });
    }
    const alice = new ApiPerson(twokey, twokey.people.alice);
    expect((await alice.call("POST", "/requests/access", { ...ASKED, role: "lead" })).status).toBe(
      409,
    );
  });

  test("begins with the signature, in running and in new sessions, and only there", async () => {
    const running = await open(twokey.people.carol);
    expect(await running.ask(WRITE)).toEqual(REFUSED);
    const { id } = await ask();
    expect(await running.ask(WRITE)).toEqual(REFUSED);
    await bob.approve(id);
    await expect.poll(whatWriting(running)).toMatch(/^C CREATE/);
    const fresh = await open(twokey.people.carol);
    expect(await whatWriting(fresh)()).toMatch(/^C CREATE/);
    // What a senior needs a signature for, she needs one for as well.
    expect(await fresh.ask(query("DROP TABLE elevated"))).toEqual(REFUSED);
    const used = readAudit(twokey.auditDirectory).find(
      ({ event, request }) => event === "approval.used" && request === id,
    );
    expect(used).toMatchObject({ person: "carol", access: { role: "senior", seconds: 60 } });
    expect(await bob.show(id)).toMatchObject({
      state: "used",
      access: { role: "senior", seconds: 60 },
    });
    running.close();
    fresh.close();
  });

  test("is nobody else's, and can't be signed by who asks", async () => {
    const { id } = await ask({ seconds: 61 });
    const document = await bob.draft(id);
    const own = await carol.handIn(id, document);
    expect(own.status).toBeGreaterThanOrEqual(400);
    // One document says one thing: signed for an hour, it is not good for a day.
    const longer = document.replace('"seconds":61', '"seconds":7000');
    expect(longer).not.toBe(document);
    expect((await bob.handIn(id, longer)).status).toBeGreaterThanOrEqual(400);
    const other = document.replace('"role":"senior"', '"role":"lead"');
    expect((await bob.handIn(id, other)).status).toBeGreaterThanOrEqual(400);
  });

  test("is asked for by a command", async () => {
    const outcome = await runCommand(
      requestCommand,
      [
        ...["access", "--role", "senior", "--database", "postgres", "--for", "90s"],
        ...["--reason", "the same again", "--url", twokey.adminUrl],
        ...["--as", "carol", "--key", twokey.people.carol.keyFile],
      ],
      { env: { ...process.env, XDG_STATE_HOME: twokey.directory } },
    );
    expect(outcome.stdout).toMatch(/^R-\w{6} waits for 1 of lead: twokey approve R-\w{6}\n$/);
  });
});
