import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestAdmin, type TestAdmin } from "../admin/harness.ts";
import { Home, type Ran } from "./harness.ts";

let admin: TestAdmin;
let home: Home;
beforeEach(async () => {
  admin = await openTestAdmin();
  admin.clock.now = Date.now();
  admin.sessions.push({
    id: "s-1",
    person: "alice",
    roles: ["senior"],
    address: "10.0.0.7",
    application_name: "psql",
    environment: "production",
    database: "shop",
    state: "in_transaction",
    started_at: "2026-11-23T11:00:00.000Z",
    statement: { sql: "UPDATE t\nSET a = 1", started_at: "2026-11-23T11:59:59.000Z" },
  });
  home = new Home();
});
afterEach(async () => {
  home.remove();
  await admin.close();
});

function run(person: string, ...argv: string[]): Promise<Ran> {
  return home.run([...argv, "--url", admin.url, "--as", person, "--key", home.key(person)]);
}

describe("twokey sessions", () => {
  it("lists those that one may see, as a table or as JSON", async () => {
    expect((await run("olga", "sessions", "list")).stdout).toBe(
      [
        "session  person  where            from           state           since                     statement",
        "s-1      alice   production/shop  10.0.0.7 psql  in transaction  2026-11-23T11:00:00.000Z  UPDATE t\\nSET a = 1",
        "",
      ].join("\n"),
    );
    expect((await run("bob", "sessions", "list")).stderr).toBe("no sessions that you may see\n");
    expect(JSON.parse((await run("olga", "sessions", "list", "--json")).stdout)).toEqual(
      admin.sessions,
    );
  });

  it("ends one", async () => {
    expect(await run("olga", "sessions", "terminate", "s-1")).toMatchObject({
      status: 0,
      stdout: "s-1 is ended\n",
    });
    expect(admin.sessions).toEqual([]);
    expect(await run("olga", "sessions", "terminate", "s-1")).toMatchObject({ status: 1 });
  });
});
