import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openSqliteRequestStore } from "../../src/store/requests-sqlite.ts";
import { remindOfReviews } from "../../src/server/remind-reviews.ts";
import { parseRequestId } from "../../src/approvals/request-id.ts";
import { ApiPerson } from "../support/api-person.ts";
import { shell } from "../support/processes.ts";
import { auditOf, startWorld, valueOf, type World } from "./protocol/world.ts";
import { readdirSync } from "node:fs";
import path from "node:path";

const DROP = "DROP TABLE doomed";

const ALWAYS = { name: "always", from: "2020-01-01T00:00:00Z", to: "2099-01-01T00:00:00Z" };

let world: World;
let alice: ApiPerson;
let bob: ApiPerson;
let client: pg.Client;

beforeAll(async () => {
  const { breakGlass, frozen } = {
    breakGlass: { break_glass: ["senior"] },
    frozen: { freeze: [ALWAYS] },
  };
  const rule = (name: string, approval: object): Record<string, unknown> => ({
    ...{ name, destructive: true, action: "require_approval", approval },
    application_names: [name],
  });
  world = await startWorld({
    rules: [
      rule("frozen", { ...breakGlass, ...frozen }),
      rule("nobody-alone", frozen),
      rule("alone", { ...breakGlass, approvers: ["lead", "junior"], signatures: 2 }),
      { name: "everyday-work", action: "allow" },
    ],
    config: {
      approvals: { allowed_signers: "allowed_signers", defaults: { approvers: ["lead"] } },
    },
  });
  alice = new ApiPerson(world.twokey, world.twokey.people.alice);
  bob = new ApiPerson(world.twokey, world.twokey.people.bob);
});
afterAll(async () => {
  await client.end();
  await world.stop();
});
beforeEach(async () => {
  await world.witness.query("DROP TABLE IF EXISTS doomed; CREATE TABLE doomed (a int)");
});

describe("who breaks the glass", () => {
  it("goes alone with a signed reason, and a second person reviews it", async () => {
    const refused = await refusalAs("alone");
    expect(refused.hint).toMatch(
      /If it can't wait, you may go alone: twokey approve R-\w+ --break/,
    );
    const id = requestOf(refused);
    const bare = await alice.call("POST", `/requests/${id}/approval-document`, {
      act: "break_glass",
    });
    expect(bare).toMatchObject({ status: 422, body: { detail: "the rule asks for a reason" } });
    const { adminUrl, directory, people } = world.twokey;
    const env = { ...process.env, XDG_STATE_HOME: directory };
    const as = (name: "alice" | "bob"): string =>
      `--url ${adminUrl} --as ${name} --key ${people[name].keyFile} --yes`;
    const broke = await shell(
      `node src/main.ts approve ${id} --break-glass --reason 'the shop is down' ${as("alice")}`,
      env,
    );
    expect(broke).toMatchObject({ status: 0 });
    await client.query(DROP);
    expect(await valueOf(world.witness, "SELECT to_regclass('doomed')")).toBeNull();

    expect(await bob.show(id)).toMatchObject({
      state: "used",
      approvals: [{ approver: "alice", act: "break_glass", reason: "the shop is down" }],
      review: { state: "open" },
    });
    const list = await shell(
      `node src/main.ts request list --review ${as("bob").replace("--yes", "")}`,
      env,
    );
    expect(list.stdout).toContain(id);
    expect((await alice.handIn(id, await draftReviewAs(id, "alice"))).status).toBe(422);
    const reviewed = await shell(
      `node src/main.ts approve ${id} --review --reason 'it was right' ${as("bob")}`,
      env,
    );
    expect(reviewed).toMatchObject({ status: 0, stdout: `${id} is reviewed\n` });
    expect(await bob.show(id)).toMatchObject({
      review: { state: "signed", signed: { approver: "bob", reason: "it was right" } },
    });
    const acts = auditOf(world)
      .filter(({ event, request }) => event === "approval.signed" && request === id)
      .map(({ act }) => act);
    expect(acts).toEqual(["break_glass", "review"]);
    // What was signed afterwards lets nothing run.
    expect(requestOf(await refusalAs("alone"))).not.toBe(id);
  });

  it("is nobody where the rule names none, and no one else", async () => {
    const refused = await refusalAs("nobody-alone");
    expect(refused.hint).not.toContain("--break-glass");
    const id = requestOf(refused);
    const body = { act: "break_glass", reason: "please" };
    expect(await alice.call("POST", `/requests/${id}/approval-document`, body)).toMatchObject({
      status: 422,
      body: { detail: "the rule lets nobody go alone" },
    });
    expect(await bob.call("POST", `/requests/${id}/approval-document`, body)).toMatchObject({
      status: 422,
      body: { detail: "only the requester can break the glass for a request" },
    });
  });
});

describe("during a freeze", () => {
  it("nobody signs, and the refusal says so", async () => {
    const refused = await refusalAs("nobody-alone");
    expect(refused.detail).toContain('Nothing is approved during the freeze "always".');
    expect(
      await bob.call("POST", `/requests/${requestOf(refused)}/approval-document`, {}),
    ).toMatchObject({
      status: 422,
      body: { detail: "nothing is approved during the freeze always" },
    });
  });

  it("the glass can be broken", async () => {
    const id = requestOf(await refusalAs("frozen"));
    await alice.approve(id, { act: "break_glass", reason: "the site is down" });
    await client.query(DROP);
    expect(await valueOf(world.witness, "SELECT to_regclass('doomed')")).toBeNull();
  });
});

it("people are reminded of an open review, once a time, until it is signed", async () => {
  const id = requestOf(await refusalAs("alone"));
  await alice.approve(id, { act: "break_glass", reason: "again" });
  const store = await openSqliteRequestStore({ file: storeFile(), maxOpenPerRequester: 9 });
  try {
    const since = (await store.get(parseRequestId(id)))?.review;
    if (since?.kind !== "open") throw new Error("no review is open");
    const reminded = async (hours: number): Promise<number> => {
      const now = new Date(Date.parse(since.since) + hours * 3_600_000);
      await remindOfReviews(store, { everyMs: 4 * 3_600_000, now });
      const review = (await store.get(parseRequestId(id)))?.review;
      return review?.kind === "open" ? review.reminders : NaN;
    };
    expect(await reminded(3.9)).toBe(0);
    expect(await reminded(4)).toBe(1);
    expect(await reminded(7)).toBe(1);
    expect(await reminded(13)).toBe(3);
    await bob.handIn(id, await bob.draft(id, { act: "review" }));
    expect(await reminded(99)).toBeNaN();
  } finally {
    await store.close();
  }
});

async function draftReviewAs(id: string, name: string): Promise<string> {
  const document = await bob.draft(id, { act: "review" });
  return document.replace('"approver":"bob"', `"approver":"${name}"`);
}

/** Alice's DROP with a program of that name. */
async function refusalAs(applicationName: string): Promise<pg.DatabaseError> {
  const { host, port, people } = world.twokey;
  await (client as pg.Client | undefined)?.end();
  client = new pg.Client({
    ...{ host, port, user: "alice", password: people.alice.password, database: "shop" },
    application_name: applicationName,
  });
  await client.connect();
  try {
    await client.query(DROP);
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

function requestOf({ detail }: pg.DatabaseError): string {
  return /R-\w{6}/.exec(detail ?? "")?.[0] ?? "none";
}

function storeFile(): string {
  const { directory } = world.twokey;
  const found = readdirSync(directory, { recursive: true }).find((name) =>
    String(name).endsWith(".db"),
  );
  return path.join(directory, String(found));
}
