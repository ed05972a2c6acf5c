import { parseRevokedKeys } from "../../src/approvals/revoked-keys.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { APPROVAL_NAMESPACE, signSshsig } from "../../src/approvals/sshsig.ts";
import { formatPublicKey } from "../../src/approvals/ssh-key.ts";
import { keyOf, openTestAdmin, type Answer, type TestAdmin } from "./harness.ts";

let admin: TestAdmin;
beforeEach(async () => {
  admin = await openTestAdmin();
});
afterEach(() => admin.close());

async function challengeFor(person: string): Promise<string> {
  const { body } = await admin.call("POST", "/api/v1/login/challenge", { body: { person } });
  return (body as { challenge: string }).challenge;
}

function sign(person: string, message: string, namespace = "login@twokey"): string {
  return signSshsig(keyOf(person), { message, namespace });
}

function login(challenge: string, signature: string): Promise<Answer> {
  return admin.call("POST", "/api/v1/login", { body: { challenge, signature } });
}

describe("signing in", () => {
  it("takes a signed challenge for a token, and tells who that is", async () => {
    const challenge = await challengeFor("bob");
    const answer = await login(challenge, sign("bob", challenge));
    expect(answer).toMatchObject({
      status: 200,
      body: { person: "bob", expires_at: "2026-11-24T00:00:00.000Z" },
    });
    const { token } = answer.body as { token: string };
    expect(await admin.call("GET", "/api/v1/login", { token })).toMatchObject({
      status: 200,
      body: { person: "bob", roles: ["lead"] },
    });
    expect(admin.audit).toEqual([
      {
        event: "admin.action",
        person: "bob",
        operation: "login",
        target: "127.0.0.1",
        outcome: "done",
      },
    ]);
  });

  it("names this server in the challenge, so that no other can relay it", async () => {
    expect(JSON.parse(await challengeFor("bob"))).toMatchObject({
      type: "twokey-login/1",
      audience: admin.url,
      person: "bob",
      expires_at: "2026-11-23T12:01:00.000Z",
    });
  });

  it("gives a challenge to anybody, so that nobody learns who exists", async () => {
    expect(Object.keys(JSON.parse(await challengeFor("nobody")) as object)).toEqual(
      Object.keys(JSON.parse(await challengeFor("bob")) as object),
    );
  });

  it.each<[string, string, (challenge: string) => string]>([
    ["another's key", "the key is not registered for that person", (c) => sign("alice", c)],
    ["an unknown key", "the key is not registered for that person", (c) => sign("mallory", c)],
    [
      "a signature made for approvals",
      "the signature was made for approval@twokey",
      (c) => sign("bob", c, APPROVAL_NAMESPACE),
    ],
    [
      "a signature over something else",
      "the signature does not match the challenge",
      () => sign("bob", "{}"),
    ],
    ["no signature", "signature is not between its BEGIN and END lines", () => "please"],
  ])("refuses %s, on record", async (_what, reason, signature) => {
    const challenge = await challengeFor("bob");
    expect(await login(challenge, signature(challenge))).toMatchObject({
      status: 401,
      body: { detail: reason },
    });
    expect(admin.audit).toMatchObject([
      { event: "auth.failure", person: "bob", client: { address: "127.0.0.1" }, reason },
    ]);
  });

  it.each<[string, (challenge: string) => string]>([
    ["another person", (c) => c.replace('"bob"', '"olga"')],
    ["a later end", (c) => c.replace("12:01:00", "13:01:00")],
    ["another server", (c) => c.replace("127.0.0.1", "127.0.0.2")],
    ["another nonce", (c) => c.replace(/"nonce":"./, (m) => `${m.slice(0, -1)}!`)],
    ["another kind of document", (c) => c.replace("twokey-login/1", "twokey-login/2")],
    ["no JSON", () => "bob"],
  ])("refuses a challenge that was changed to %s", async (_what, change) => {
    const challenge = change(await challengeFor("bob"));
    expect(await login(challenge, sign("bob", challenge))).toMatchObject({
      status: 401,
      body: { detail: "that challenge was not given by this server" },
    });
  });

  it("refuses a challenge the second time, and after its minute", async () => {
    const challenge = await challengeFor("bob");
    const signature = sign("bob", challenge);
    expect((await login(challenge, signature)).status).toBe(200);
    expect(await login(challenge, signature)).toMatchObject({
      status: 401,
      body: { detail: "the challenge has been used" },
    });
    const late = await challengeFor("bob");
    admin.clock.now += 60_000;
    expect(await login(late, sign("bob", late))).toMatchObject({
      status: 401,
      body: { detail: "the challenge has expired" },
    });
  });
});

describe("a token", () => {
  const whoAmI = async (token: string): Promise<number> =>
    (await admin.call("GET", "/api/v1/login", { token })).status;

  it("is worth nothing when it is altered", async () => {
    const token = await admin.signIn("bob");
    const [id = "", secret = ""] = token.split(".");
    const other = await admin.signIn("olga");
    expect(await whoAmI(token)).toBe(200);
    for (const wrong of [
      id,
      `${id}.`,
      `${id}.${secret.slice(0, -1)}`,
      `${id}.${other.split(".")[1] ?? ""}`,
      `.${secret}`,
      `${id}.${secret}x`,
      "",
    ]) {
      expect(await whoAmI(wrong), wrong).toBe(401);
    }
  });

  it("ends after twelve hours", async () => {
    const token = await admin.signIn("bob");
    admin.clock.now += 12 * 3600_000 - 1;
    expect(await whoAmI(token)).toBe(200);
    admin.clock.now += 1;
    expect(await whoAmI(token)).toBe(401);
  });

  it("ends when its person signs out", async () => {
    const [token, other] = [await admin.signIn("bob"), await admin.signIn("bob")];
    expect((await admin.call("DELETE", "/api/v1/login", { token })).status).toBe(204);
    expect(await whoAmI(token)).toBe(401);
    expect(await whoAmI(other)).toBe(200);
  });

  it("ends when its person is disabled", async () => {
    const token = await admin.signIn("bob");
    admin.registry.current = { ...admin.registry.current, groups: new Map() };
    expect(await whoAmI(token)).toBe(401);
  });

  it("ends when its key is taken from the registry, or revoked", async () => {
    const token = await admin.signIn("bob");
    const before = admin.registry.current;
    admin.registry.current = { ...before, signers: { signers: [] } };
    expect(await whoAmI(token)).toBe(401);
    const revoked = parseRevokedKeys(formatPublicKey(keyOf("bob").publicKey));
    admin.registry.current = { ...before, revoked };
    expect(await whoAmI(token)).toBe(401);
    admin.registry.current = before;
    expect(await whoAmI(token)).toBe(200);
  });
});
