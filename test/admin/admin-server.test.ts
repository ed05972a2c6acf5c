import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PROBLEMS } from "../../src/admin/problem.ts";
import { openTestAdmin, type TestAdmin } from "./harness.ts";

let admin: TestAdmin;
beforeAll(async () => {
  admin = await openTestAdmin();
});
afterAll(() => admin.close());

interface OpenApi {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, { summary?: string; security?: unknown[] }>>;
}

async function openApi(): Promise<OpenApi> {
  return (await admin.call("GET", "/api/v1/openapi.json")).body as OpenApi;
}

describe("the API", () => {
  it("answers nobody who has not signed in, but where the document says so", async () => {
    const open: string[] = [];
    for (const [path, operations] of Object.entries((await openApi()).paths)) {
      for (const [method, { security }] of Object.entries(operations)) {
        if (security?.length === 0) open.push(`${method} ${path}`);
        else {
          const answer = await admin.call(
            method.toUpperCase(),
            path.replace(/\{\w+\}/g, "R-000000"),
          );
          expect(answer, `${method} ${path}`).toMatchObject({ status: 401 });
        }
      }
    }
    expect(open).toEqual([
      "post /api/v1/login/challenge",
      "post /api/v1/login",
      "get /api/v1/openapi.json",
    ]);
  });

  it("describes each operation in one line", async () => {
    for (const operations of Object.values((await openApi()).paths)) {
      for (const { summary } of Object.values(operations)) expect(summary).toMatch(/^[A-Z].{5,}$/);
    }
  });

  it("is in the reference, operation by operation, and so are its problems", async () => {
    const reference = readFileSync("docs/reference/api.md", "utf8");
    const documented = [...reference.matchAll(/^\| `([A-Z]+ \/api\S+)` +\| (.*?) +\|/gm)];
    const actual = Object.entries((await openApi()).paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { summary }]) => [
        `${method.toUpperCase()} ${path}`,
        summary,
      ]),
    );
    expect(documented.map(([, operation, summary]) => [operation, summary]).sort()).toEqual(
      actual.sort(),
    );
    const problems = [...reference.matchAll(/^\| `urn:twokey:problem:([a-z-]+)` +\| (\d+)/gm)];
    expect(Object.fromEntries(problems.map(([, name, status]) => [name, Number(status)]))).toEqual(
      PROBLEMS,
    );
  });

  it("tells what is wrong as a problem (RFC 9457)", async () => {
    const answer = await admin.call("GET", "/api/v1/nothing");
    expect(answer.headers.get("content-type")).toContain("application/problem+json");
    expect(answer).toMatchObject({
      status: 404,
      body: {
        type: "urn:twokey:problem:not-found",
        title: "not found",
        status: 404,
        detail: "there is no GET /api/v1/nothing",
      },
    });
  });

  it.each([
    ["a member that is missing", {}],
    ["a member that is unknown", { person: "bob", admin: true }],
    ["a member of another type", { person: ["bob"] }],
    ["no object", "bob"],
  ])("refuses a body with %s, and names the place", async (_what, body) => {
    const answer = await admin.call("POST", "/api/v1/login/challenge", { body });
    expect(answer).toMatchObject({ status: 400, body: { title: "invalid request" } });
  });

  it("refuses a body that is no JSON or too large, without an internal error", async () => {
    const post = (body: string): Promise<Response> =>
      fetch(`${admin.url}/api/v1/login`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
    expect((await post("{")).status).toBe(400);
    expect((await post(`"${"x".repeat(5_000_000)}"`)).status).toBe(400);
    expect(admin.log).toEqual([]);
  });

  it("lets a browser run, frame, sniff and keep nothing", async () => {
    const { headers } = await admin.call("GET", "/api/v1/openapi.json");
    expect(Object.fromEntries(headers)).toMatchObject({
      "content-security-policy": "default-src 'none';frame-ancestors 'none'",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "cache-control": "no-store",
    });
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });
});

it("turns away who asks for challenges without end", async () => {
  const busy = await openTestAdmin();
  try {
    const statuses: number[] = [];
    for (let i = 0; i < 31; i++) {
      const body = { person: `person ${i}` };
      statuses.push((await busy.call("POST", "/api/v1/login/challenge", { body })).status);
    }
    expect(statuses.slice(0, 30)).toEqual(Array.from({ length: 30 }, () => 200));
    expect(statuses[30]).toBe(429);
  } finally {
    await busy.close();
  }
});

it("tells nothing of an error that nobody meant to throw, but logs it", async () => {
  const broken = await openTestAdmin({
    sessions: {
      list: () => {
        throw new Error("hunter2");
      },
      terminate: () => false,
    },
  });
  try {
    const token = await broken.signIn("bob");
    const answer = await broken.call("GET", "/api/v1/sessions", { token });
    expect(answer.status).toBe(500);
    expect(JSON.stringify(answer.body)).not.toContain("hunter2");
    expect(broken.log.join()).toContain("hunter2");
  } finally {
    await broken.close();
  }
});
