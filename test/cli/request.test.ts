import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Wanted } from "../../src/admin/request-routes.ts";
import { asked, openTestAdmin, type TestAdmin } from "../admin/harness.ts";
import { Home, type Ran } from "./harness.ts";

let admin: TestAdmin;
let home: Home;
const wanted: Wanted[] = [];
beforeEach(async () => {
  wanted.length = 0;
  admin = await openTestAdmin({
    submit: async (_requester, what) => {
      wanted.push(what);
      await admin.open(asked());
      const [request] = (await admin.requests.list({ limit: 1 })).requests;
      return request
        ? { kind: "opened", request }
        : { kind: "refused", because: "unexpected", hint: undefined };
    },
  });
  admin.clock.now = Date.parse("2099-11-23T12:00:00Z");
  home = new Home();
});
afterEach(async () => {
  home.remove();
  await admin.close();
});

function run(person: string, ...argv: string[]): Promise<Ran> {
  return home.run([...argv, "--url", admin.url, "--as", person, "--key", home.key(person)]);
}

describe("twokey request", () => {
  it("lists what is open, or what is asked for, as a table or as JSON", async () => {
    const id = await admin.open(asked());
    expect((await run("bob", "request", "list")).stdout).toBe(
      [
        "request   state    signed  requester  where            what",
        `${id}  pending  0/1     alice      production/shop  DROP DATABASE "shop"`,
        "",
      ].join("\n"),
    );
    expect(await run("bob", "request", "list", "--state", "used", "expired")).toMatchObject({
      status: 0,
      stdout: "",
      stderr: "no requests that are used or expired\n",
    });
    const { stdout } = await run("bob", "request", "list", "--json");
    expect(JSON.parse(stdout)).toMatchObject([{ id, state: "pending" }]);
    expect(await run("bob", "request", "list", "--state", "signed")).toMatchObject({ status: 2 });
  });

  it("shows one, with what became of it", async () => {
    const id = await admin.open(asked());
    const shown = await run("alice", "request", "show", id);
    expect(shown.stdout).toBe(`${id}  DROP DATABASE "shop"

  state        pending, 0 of 1 signatures, until 2099-11-23T13:00:00Z
  requester    alice (senior) from 10.0.0.7 (psql)
  where        database shop in production, on upstream main
  rule         drops-need-a-lead
  effect       destroys objects, or rows with them
  may sign     lead
  asked        2099-11-23T12:00:00Z

  │ DROP DATABASE shop

  impact       {"measured_at":"2026-11-23T12:00:00Z"}
`);
    expect(await run("bob", "reject", id, "--reason", "wrong one")).toMatchObject({
      status: 0,
      stdout: `${id} is rejected\n`,
    });
    expect((await run("alice", "request", "show", id)).stdout).toContain(
      "  state        rejected by bob at 2099-11-23T12:00:00Z: wrong one\n",
    );
  });

  it("is cancelled by who asked", async () => {
    const id = await admin.open(asked());
    const refused = await run("bob", "request", "cancel", id);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain("only its requester may cancel a request");
    expect((await run("alice", "request", "cancel", id)).stdout).toBe(`${id} is cancelled\n`);
    expect((await run("alice", "request", "cancel", id)).status).toBe(1);
  });

  it("is submitted ahead, each text to its last byte", async () => {
    const file = join(home.directory, "migration.sql");
    writeFileSync(file, "\ufeffDROP TABLE a;\r\n\n");
    const ran = await run(
      ...(["alice", "request", "submit", "--database", "shop"] as const),
      ...["--sql", "DROP DATABASE shop ", "--file", file, "--reason", "cleaning up"],
    );
    expect(ran.stdout).toMatch(
      /^(R-\w{6}), for 1 of 2 statements, waits for 1 of lead: twokey approve \1\n$/,
    );
    expect(wanted).toMatchObject([
      {
        database: "shop",
        statements: ["DROP DATABASE shop ", "\ufeffDROP TABLE a;\r\n\n"],
        reason: "cleaning up",
      },
    ]);
  });

  it("is not submitted empty, or from what isn't text", async () => {
    const submit = ["request", "submit", "--database", "shop"];
    expect((await run("alice", ...submit)).stderr).toContain(
      "give statements with --sql or --file",
    );
    const file = join(home.directory, "latin1.sql");
    writeFileSync(file, Buffer.from([0x44, 0xe9]));
    expect(await run("alice", ...submit, "--file", file)).toMatchObject({ status: 2 });
    expect(wanted).toEqual([]);
  });
});

describe("twokey reject", () => {
  it("wants a reason, and names the option where nobody sits", async () => {
    const id = await admin.open(asked());
    const ran = await run("bob", "reject", id);
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain("hint: give it with --reason");
    const argv = ["reject", id, "--url", admin.url, "--as", "bob", "--key", home.key("bob")];
    expect(await home.run(argv, { types: "not today" })).toMatchObject({ status: 0 });
  });
});
