import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { asked, openTestAdmin, type TestAdmin } from "../admin/harness.ts";
import { Home, type Ran } from "./harness.ts";

let admin: TestAdmin;
let home: Home;
beforeEach(async () => {
  admin = await openTestAdmin();
  admin.clock.now = Date.now();
  home = new Home();
});
const realFetch = fetch;
afterEach(async () => {
  vi.unstubAllGlobals();
  home.remove();
  await admin.close();
});

function list(url = admin.url): Promise<Ran> {
  return home.run(["request", "list", "--url", url, "--as", "bob", "--key", home.key("bob")]);
}

function logins(): number {
  return admin.audit.filter(
    (record) => record.event === "admin.action" && record.operation === "login",
  ).length;
}

describe("the client", () => {
  it("signs in once, and again when the server has forgotten", async () => {
    await admin.open(asked());
    expect((await list()).status).toBe(0);
    expect((await list()).status).toBe(0);
    expect(logins()).toBe(1);
    admin.clock.now += 12 * 3600_000;
    expect((await list()).status).toBe(0);
    expect(logins()).toBe(2);
  });

  it.each([
    ["http://twokey.example", "is not encrypted"],
    ["ftp://127.0.0.1", "is not the URL of a server"],
    ["127.0.0.1:9188", "is not the URL of a server"],
  ])("does not even try %s", async (url, message) => {
    expect(await list(url)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(message) as string,
    });
  });

  it("says where it looked when nothing answers there", async () => {
    const { url } = admin;
    const gone = await openTestAdmin();
    await gone.close();
    expect((await list(gone.url)).stderr).toBe(
      `error: can't reach Twokey at ${gone.url}: connection refused\n` +
        "hint: is it running there? name another place with --url or TWOKEY_URL\n",
    );
    expect((await list(url)).status).toBe(0);
  });

  it.each<[string, RequestListener]>([
    ["something else", (_request, response) => response.end("<html>")],
    ["what only looks like it", (_request, response) => response.end('{"challenge": 1}')],
    ["a challenge that is none", (_request, response) => response.end('{"challenge": "sign me"}')],
  ])("is not taken in by %s", async (_what, answer) => {
    await withServer(answer, async (url) => {
      const ran = await list(url);
      expect(ran.status).toBe(2);
      expect(ran.stderr).toContain("does not answer as Twokey does");
    });
  });

  it("does not sign the challenge of another server, which somebody in between may relay", async () => {
    // A name that isn't loopback needs TLS and a certificate; only what it answers matters here.
    vi.stubGlobal("fetch", (url: string, init: RequestInit) =>
      realFetch(url.replace("https://other.example", admin.url), init),
    );
    const ran = await list("https://other.example");
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain(
      `error: https://other.example asks to sign in to ${admin.url} as bob\n`,
    );
    expect(logins()).toBe(0);
  });

  it("does not sign in as somebody else than was asked for", async () => {
    const relay: RequestListener = (_request, response) => {
      const body = { person: "olga" };
      void admin.call("POST", "/api/v1/login/challenge", { body }).then(({ body: answer }) => {
        response.end(JSON.stringify(answer));
      });
    };
    await withServer(relay, async (url) => {
      const ran = await list(url);
      expect(ran.status).toBe(2);
      expect(ran.stderr).toContain("as olga\n");
    });
  });

  it("does not let a server's words obey the terminal", async () => {
    const problem = { type: "urn:twokey:problem:not-allowed", title: "", status: 403 };
    const body = JSON.stringify({ ...problem, detail: "no\u001b[2J", hint: "\u202eno" });
    const answer: RequestListener = (_request, response) => response.writeHead(403).end(body);
    await withServer(answer, async (url) => {
      expect(await list(url)).toMatchObject({
        status: 1,
        stderr: "error: no\\u{001b}[2J\nhint: \\u{202e}no\n",
      });
    });
  });

  it("follows no redirect, which would take the token along", async () => {
    let asked = 0;
    const redirect: RequestListener = (_request, response) => {
      asked++;
      response.writeHead(307, { location: `${admin.url}/api/v1/login/challenge` }).end();
    };
    await withServer(redirect, async (url) => {
      expect((await list(url)).status).toBe(2);
      expect(asked).toBe(1);
      expect(logins()).toBe(0);
    });
  });
});

async function withServer(
  answer: RequestListener,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
