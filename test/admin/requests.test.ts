import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RequestSummary, RequestView } from "../../src/admin/request-views.ts";
import { approvedStatement } from "../../src/approvals/document.ts";
import { asked, openTestAdmin, type Answer, type TestAdmin } from "./harness.ts";

let admin: TestAdmin;
let token: Record<"alice" | "bob" | "olga", string>;
beforeEach(async () => {
  admin = await openTestAdmin();
  token = {
    alice: await admin.signIn("alice"),
    bob: await admin.signIn("bob"),
    olga: await admin.signIn("olga"),
  };
  admin.audit.length = 0;
});
afterEach(() => admin.close());

async function list(who: keyof typeof token, query = ""): Promise<RequestSummary[]> {
  const { body } = await admin.call("GET", `/api/v1/requests${query}`, { token: token[who] });
  return (body as { requests: RequestSummary[] }).requests;
}

function post(who: keyof typeof token, path: string, body?: unknown): Promise<Answer> {
  return admin.call("POST", `/api/v1/requests/${path}`, { token: token[who], body });
}

describe("the list of requests", () => {
  it("shows requesters their own, approvers what they may sign, operators everything", async () => {
    const ours = await admin.open(asked());
    const bobs = await admin.open(
      asked({ requester: "bob", terms: { ...asked().terms, approvers: ["dba"] } }),
    );
    const ids = async (who: keyof typeof token): Promise<string[]> =>
      (await list(who)).map(({ id }) => id).sort();
    expect(await ids("alice")).toEqual([ours]);
    expect(await ids("bob")).toEqual([ours, bobs].sort());
    expect(await ids("olga")).toEqual([ours, bobs].sort());
    admin.registry.current = {
      ...admin.registry.current,
      groups: new Map([["bob", ["junior"]]]),
    };
    expect(await ids("bob")).toEqual([bobs]);
  });

  it("tells what each is about, without the text of its statements", async () => {
    const id = await admin.open(asked());
    const [request] = await list("bob");
    expect(request).toEqual({
      id,
      state: "pending",
      summary: 'DROP DATABASE "shop"',
      requester: "alice",
      database: "shop",
      environment: "production",
      effects: ["destructive_ddl"],
      signatures: 0,
      signatures_needed: 1,
      created_at: "2026-11-23T12:00:00Z",
      expires_at: "2026-11-23T13:00:00Z",
    });
  });

  it("goes page by page, filling each with what its reader may see", async () => {
    const visible: string[] = [];
    for (let i = 0; i < 7; i++) {
      const statements = [approvedStatement(`DROP TABLE t${i}`, "none")];
      visible.unshift(await admin.open(asked({ statements })));
      await admin.open(
        asked({ statements, requester: "carol", terms: { ...asked().terms, approvers: [] } }),
      );
      admin.clock.now += 1000;
    }
    const seen: string[] = [];
    let after = "";
    do {
      const { body } = await admin.call("GET", `/api/v1/requests?limit=3${after}`, {
        token: token.bob,
      });
      const page = body as { requests: RequestSummary[]; next?: string };
      expect(page.requests.length).toBeLessThanOrEqual(3);
      seen.push(...page.requests.map(({ id }) => id));
      after = page.next === undefined ? "" : `&after=${encodeURIComponent(page.next)}`;
    } while (after !== "");
    expect(seen).toEqual(visible);
  });

  it("filters by state, one or several", async () => {
    const id = await admin.open(asked());
    expect(await list("bob", "?state=approved")).toEqual([]);
    expect((await list("bob", "?state=pending&state=approved"))[0]?.id).toBe(id);
    const wrong = await admin.call("GET", "/api/v1/requests?state=signed", { token: token.bob });
    expect(wrong.status).toBe(400);
  });
});

describe("a request", () => {
  it("is shown with its statements, on record", async () => {
    const id = await admin.open(asked());
    const typed = id.toLowerCase();
    const { body } = await admin.call("GET", `/api/v1/requests/${typed}`, { token: token.bob });
    expect(body).toMatchObject({
      id,
      roles: ["senior"],
      client: "10.0.0.7 (psql)",
      rule: "drops-need-a-lead",
      statements: asked().statements,
      approvers: ["lead"],
      approvals: [],
    });
    expect(admin.audit).toEqual([
      {
        event: "admin.action",
        person: "bob",
        operation: "view request",
        target: id,
        outcome: "done",
      },
    ]);
  });

  it("is not to be found by who has no business with it, as if it weren't there", async () => {
    const id = await admin.open(
      asked({ requester: "bob", terms: { ...asked().terms, approvers: [] } }),
    );
    const hidden = await admin.call("GET", `/api/v1/requests/${id}`, { token: token.alice });
    const absent = await admin.call("GET", "/api/v1/requests/R-000000", { token: token.alice });
    expect(hidden.status).toBe(404);
    expect(JSON.stringify(hidden.body).replace(id, "R-000000")).toBe(JSON.stringify(absent.body));
  });

  it("has a number that looks like one", async () => {
    const answer = await admin.call("GET", "/api/v1/requests/7", { token: token.bob });
    expect(answer).toMatchObject({ status: 400 });
    expect(JSON.stringify(answer.body)).toContain("they look like R-7F3K2M");
  });

  it("is expired when its time is over, whether or not the store has noticed", async () => {
    const id = await admin.open(asked());
    admin.clock.now += 3600_000;
    const { body } = await admin.call("GET", `/api/v1/requests/${id}`, { token: token.bob });
    expect((body as RequestView).state).toBe("expired");
  });
});

describe("cancelling", () => {
  it("is for the requester and operators, once, on record", async () => {
    const id = await admin.open(asked());
    expect(await post("bob", `${id}/cancel`)).toMatchObject({ status: 403 });
    expect(admin.audit).toEqual([]);
    expect(await post("alice", `${id}/cancel`)).toMatchObject({
      status: 200,
      body: { state: "cancelled", closed: { by: "alice", at: "2026-11-23T12:00:00Z" } },
    });
    expect(admin.audit).toEqual([
      { event: "request.closed", request: id, outcome: "cancelled", person: "alice" },
    ]);
    expect(await post("olga", `${id}/cancel`)).toMatchObject({
      status: 409,
      body: { detail: "the request has been cancelled" },
    });
    expect(admin.audit).toHaveLength(1);
  });
});

describe("rejecting", () => {
  it("is for those who might have signed, with a reason, on record", async () => {
    const id = await admin.open(asked());
    expect(await post("bob", `${id}/reject`, { reason: "  " })).toMatchObject({ status: 400 });
    expect(await post("bob", `${id}/reject`, { reason: "wrong database" })).toMatchObject({
      status: 200,
      body: { state: "rejected", closed: { by: "bob", reason: "wrong database" } },
    });
    expect(admin.audit).toEqual([
      { event: "approval.rejected", request: id, person: "bob", reason: "wrong database" },
    ]);
  });

  it.each<keyof typeof token>(["alice", "olga"])("is not for %s", async (who) => {
    const id = await admin.open(
      asked({ terms: { ...asked().terms, approvers: ["lead", "senior"] } }),
    );
    expect(await post(who, `${id}/reject`, { reason: "no" })).toMatchObject({ status: 403 });
    expect(admin.audit).toEqual([]);
  });
});

describe("submitting ahead", () => {
  it("hands over who asks and what, and answers with the request", async () => {
    let seen: unknown;
    const other = await openTestAdmin({
      submit: async (requester, wanted) => {
        seen = { requester, wanted };
        const id = await other.open(asked());
        const [request] = (await other.requests.list({ limit: 1 })).requests;
        if (request?.id !== id) throw new Error("not opened");
        return { kind: "opened", request };
      },
    });
    try {
      const alice = await other.signIn("alice");
      const body = { database: "shop", statements: ["DROP DATABASE shop"], reason: "moved away" };
      expect(await other.call("POST", "/api/v1/requests", { token: alice, body })).toMatchObject({
        status: 201,
        body: { state: "pending", statements: [{ sql: "DROP DATABASE shop" }] },
      });
      expect(seen).toEqual({
        requester: { kind: "person", name: "alice", roles: ["senior"] },
        wanted: { ...body, client: "127.0.0.1 (twokey API)" },
      });
    } finally {
      await other.close();
    }
  });

  it("tells why there is nothing to sign", async () => {
    const other = await openTestAdmin({
      submit: () =>
        Promise.resolve({ kind: "refused", because: "it needs no approval", hint: "just run it" }),
    });
    try {
      const alice = await other.signIn("alice");
      const body = { database: "shop", statements: ["SELECT 1"] };
      expect(await other.call("POST", "/api/v1/requests", { token: alice, body })).toMatchObject({
        status: 409,
        body: { detail: "it needs no approval", hint: "just run it" },
      });
    } finally {
      await other.close();
    }
  });
});
