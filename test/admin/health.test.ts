import { afterEach, describe, expect, it } from "vitest";
import { AuditUnavailable } from "../../src/base/errors.ts";
import { openTestAdmin, type TestAdmin } from "./harness.ts";

let admin: TestAdmin | undefined;
afterEach(() => admin?.close());

describe("health", () => {
  it("is alive", async () => {
    admin = await openTestAdmin();
    expect(await admin.call("GET", "/healthz")).toMatchObject({ status: 200, body: "alive\n" });
  });

  it("is ready while every check passes", async () => {
    admin = await openTestAdmin();
    expect(await admin.call("GET", "/readyz")).toMatchObject({
      status: 200,
      body: { ready: true, checks: [{ name: "listening", ok: true }] },
    });
  });

  it("names each check that fails, with its reason only if that was worded for others", async () => {
    admin = await openTestAdmin({
      checks: new Map([
        ["listening", () => Promise.resolve()],
        ["audit", () => Promise.reject(new AuditUnavailable("disk full"))],
        ["upstream", () => Promise.reject(new Error("password hunter2 is wrong"))],
      ]),
    });
    expect(await admin.call("GET", "/readyz")).toMatchObject({
      status: 503,
      body: {
        ready: false,
        checks: [
          { name: "listening", ok: true },
          { name: "audit", ok: false, reason: "disk full" },
          { name: "upstream", ok: false, reason: "failed" },
        ],
      },
    });
  });

  it("runs the checks once for all who ask at the same time", async () => {
    let runs = 0;
    let finish: () => void = () => undefined;
    const until = new Promise<void>((resolve) => (finish = resolve));
    admin = await openTestAdmin({
      checks: new Map([
        [
          "upstream",
          () => {
            runs++;
            return until;
          },
        ],
      ]),
    });
    const server = admin;
    const answers = Promise.all(Array.from({ length: 5 }, () => server.call("GET", "/readyz")));
    await expect.poll(() => runs).toBe(1);
    // All five have arrived once an answer to a sixth request, which waits for nothing, is here.
    await server.call("GET", "/healthz");
    finish();
    await answers;
    expect(runs).toBe(1);
  });

  it("shows the metrics in Prometheus' format", async () => {
    admin = await openTestAdmin();
    const answer = await admin.call("GET", "/metrics");
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(answer.body).toContain('twokey_build_info{version="1.2.3"');
  });
});
