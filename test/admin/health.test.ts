import https from "node:https";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { AuditUnavailable } from "../../src/base/errors.ts";
import { Secret } from "../../src/base/secret.ts";
import { pem } from "../support/pem.ts";
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

  it.each<[what: string, authorization: string | undefined]>([
    ["no token", undefined],
    ["an empty one", "Bearer "],
    ["a wrong one", "Bearer correct-horsf"],
    ["the start of it", "Bearer correct"],
    ["one that goes on", "Bearer correct-horse-battery"],
    ["the right one in another scheme", "Basic correct-horse"],
  ])("shows the metrics to nobody with %s where a token is asked for", async (_, authorization) => {
    admin = await openTestAdmin({ metricsToken: () => new Secret("correct-horse") });
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await fetch(`${admin.url}/metrics`, { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="metrics"');
    const body = await answer.text();
    expect(body).not.toContain("twokey_build_info");
    expect(body).not.toContain("correct-horse");
    expect((await admin.call("GET", "/healthz")).status).toBe(200);
  });

  it("shows the metrics to who has the token, the one that is valid now, over TLS", async () => {
    let token = "old";
    admin = await openTestAdmin({
      metricsToken: () => new Secret(token),
      tls: { cert: Buffer.from(pem("server.crt")), key: Buffer.from(pem("server.key")) },
    });
    expect(admin.url).toMatch(/^https:/);
    token = "new";
    expect(await overTls(`${admin.url}/metrics`, "old")).toMatchObject({ status: 401 });
    const answer = await overTls(`${admin.url}/metrics`, "new");
    expect(answer.status).toBe(200);
    expect(answer.body).toContain("twokey_build_info");
    await expect(fetch(admin.url.replace("https:", "http:"))).rejects.toThrow();
  });
});

function overTls(
  url: string,
  token: string,
): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const options = { headers, ca: pem("ca.crt"), checkServerIdentity: () => undefined };
    https
      .get(url, options, (response) => {
        text(response).then((body) => {
          resolve({ status: response.statusCode, body });
        }, reject);
      })
      .on("error", reject);
  });
}
