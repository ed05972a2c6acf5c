import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuditUnavailable } from "../../src/base/errors.ts";
import type { SessionView } from "../../src/admin/session-routes.ts";
import { openTestAdmin, type TestAdmin } from "./harness.ts";

let admin: TestAdmin;
beforeEach(async () => {
  admin = await openTestAdmin();
  admin.sessions.push(session("s-1", "alice"), session("s-2", "bob"));
});
afterEach(() => admin.close());

function session(id: string, person: string): SessionView {
  return {
    id,
    person,
    roles: ["senior"],
    address: "10.0.0.7",
    application_name: "psql",
    environment: "production",
    database: "shop",
    state: "active",
    started_at: "2026-11-23T11:00:00.000Z",
    statement: { sql: "SELECT 1", started_at: "2026-11-23T11:59:59.000Z" },
  };
}

async function seenBy(person: string): Promise<string[]> {
  const token = await admin.signIn(person);
  const { body } = await admin.call("GET", "/api/v1/sessions", { token });
  return (body as { sessions: SessionView[] }).sessions.map(({ id }) => id);
}

describe("sessions", () => {
  it("are seen whole by operators, and by everybody else only their own", async () => {
    expect(await seenBy("olga")).toEqual(["s-1", "s-2"]);
    expect(await seenBy("alice")).toEqual(["s-1"]);
  });

  it("are ended by an operator or by whose they are, on record", async () => {
    const token = await admin.signIn("olga");
    expect(await admin.call("DELETE", "/api/v1/sessions/s-1", { token })).toMatchObject({
      status: 204,
    });
    expect(admin.sessions.map(({ id }) => id)).toEqual(["s-2"]);
    expect(admin.audit.at(-1)).toEqual({
      event: "admin.action",
      person: "olga",
      operation: "terminate session",
      target: "s-1",
      outcome: "done",
    });
    const bob = await admin.signIn("bob");
    expect(await admin.call("DELETE", "/api/v1/sessions/s-2", { token: bob })).toMatchObject({
      status: 204,
    });
  });

  it("are not ended by anybody else, who cannot tell whether there is one", async () => {
    const token = await admin.signIn("alice");
    const others = await admin.call("DELETE", "/api/v1/sessions/s-2", { token });
    const none = await admin.call("DELETE", "/api/v1/sessions/s-9", { token });
    expect(others.status).toBe(404);
    expect(JSON.stringify(others.body).replace("s-2", "s-9")).toBe(JSON.stringify(none.body));
    expect(admin.sessions).toHaveLength(2);
    expect(admin.audit.at(-1)).toMatchObject({ person: "alice", outcome: "refused" });
  });

  it("go on when their end can't be recorded", async () => {
    let works = true;
    const other = await openTestAdmin({
      sessions: {
        list: () => [session("s-1", "bob")],
        terminate: () => {
          throw new Error("must not be reached");
        },
      },
      audit: () => (works ? Promise.resolve() : Promise.reject(new AuditUnavailable("disk full"))),
    });
    try {
      const token = await other.signIn("bob");
      works = false;
      expect(await other.call("DELETE", "/api/v1/sessions/s-1", { token })).toMatchObject({
        status: 503,
        body: { detail: "disk full" },
      });
    } finally {
      await other.close();
    }
  });
});
