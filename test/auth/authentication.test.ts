import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { Secret } from "../../src/base/secret.ts";
import {
  Authentication,
  authenticationFailed,
  type AuthenticationOptions,
  type AuthenticationStep,
  type DirectoryEntry,
} from "../../src/auth/authentication.ts";
import type { LoginAttempt } from "../../src/auth/login-throttle.ts";
import { tlsServerEndPoint } from "../../src/auth/tls-server-end-point.ts";
import { makeVerifier } from "../../src/auth/verifier.ts";
import { ScramClient, type ChannelBinding } from "../../src/upstream/scram-client.ts";
import { decodeAuthentication } from "../../src/wire/decode-backend.ts";
import { encodeSaslInitialResponse, encodeSaslResponse } from "../../src/wire/encode-frontend.ts";
import { pem } from "../support/pem.ts";

const NOW = new Date("2026-11-23T12:00:00Z");
const OWN = new X509Certificate(pem("server.crt")).raw;
const directory = new Map<string, DirectoryEntry>();
const UNCOUNTED: LoginAttempt = {
  isLocked: () => false,
  failed: () => undefined,
  succeeded: () => undefined,
};

beforeAll(async () => {
  const verifier = await makeVerifier(new Secret("correct horse"));
  const entry = (name: string, change: Partial<DirectoryEntry> = {}): void => {
    directory.set(name, {
      principal: { kind: "person", name, roles: ["senior"] },
      asksFor: "sasl",
      verifiers: [verifier],
      md5: undefined,
      certificates: [],
      tokens: [],
      isDisabled: false,
      expiresAt: undefined,
      ...change,
    });
  };
  entry("alice", { certificates: [{ kind: "common_name", name: "alice" }] });
  entry("gone", { isDisabled: true, certificates: [{ kind: "common_name", name: "alice" }] });
  entry("late", { expiresAt: NOW });
  entry("early", { expiresAt: new Date(NOW.getTime() + 1) });
  entry("keyless", { verifiers: [] });
});

function authentication(change: Partial<AuthenticationOptions> = {}): Authentication {
  const { user = "alice" } = change;
  return new Authentication({
    user,
    channel: { kind: "plain" },
    entry: directory.get(user),
    mockAsksFor: "sasl",
    md5Salt: Buffer.from("salt"),
    tokens: undefined,
    mockSecret: new Secret(Buffer.from("mock")),
    mockIterations: 4096,
    nonce: "server-nonce",
    attempt: UNCOUNTED,
    now: NOW,
    ...change,
  });
}

const body = (message: Buffer): Buffer => message.subarray(5);

/** A client that does everything right, with this password. */
async function logIn(
  change: Partial<AuthenticationOptions>,
  {
    password = "correct horse",
    binding = UNBOUND,
  }: { password?: string; binding?: ChannelBinding } = {},
): Promise<AuthenticationStep> {
  const server = authentication(change);
  server.start();
  const client = new ScramClient({
    password: new Secret(password),
    nonce: "client",
    channelBinding: binding,
  });
  const isPlus = binding.kind === "tls-server-end-point";
  const mechanism = isPlus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
  const first = await server.receive(
    body(encodeSaslInitialResponse(mechanism, client.clientFirst())),
  );
  if (first.kind !== "continue") return first;
  const last = await server.receive(
    body(encodeSaslResponse(await client.clientFinal(sasl(first.send)))),
  );
  if (last.kind === "ok") client.verifyServerFinal(sasl(last.send));
  return last;
}

const UNBOUND: ChannelBinding = { kind: "unsupported" };

function sasl(message: Buffer): string {
  expect(message.readUInt32BE(1)).toBe(message.length - 1);
  const decoded = decodeAuthentication(body(message));
  if (decoded.kind !== "sasl_continue" && decoded.kind !== "sasl_final")
    throw new Error(decoded.kind);
  return decoded.data.toString();
}

function offer(change: Partial<AuthenticationOptions>): unknown {
  const step = authentication(change).start();
  return step.kind === "continue" ? decodeAuthentication(body(step.send)) : step;
}

describe("by password", () => {
  it("offers channel binding where there is a channel to bind to", () => {
    const tls = { kind: "tls", ownCertificate: OWN, verifiedPeer: undefined } as const;
    const ed25519 = new X509Certificate(pem("ed25519.crt")).raw;
    expect(offer({})).toEqual({ kind: "sasl", mechanisms: ["SCRAM-SHA-256"] });
    expect(offer({ channel: tls })).toEqual({
      kind: "sasl",
      mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"],
    });
    expect(offer({ channel: { ...tls, ownCertificate: ed25519 } })).toEqual({
      kind: "sasl",
      mechanisms: ["SCRAM-SHA-256"],
    });
  });

  it("ends in the principal", async () => {
    expect(await logIn({})).toMatchObject({
      kind: "ok",
      method: "scram-sha-256",
      principal: { kind: "person", name: "alice", roles: ["senior"] },
    });
    expect(await logIn({ user: "early" })).toMatchObject({ kind: "ok" });
    const channel = { kind: "tls", ownCertificate: OWN, verifiedPeer: undefined } as const;
    const binding = { kind: "tls-server-end-point", hash: tlsServerEndPoint(OWN) ?? OWN } as const;
    expect(await logIn({ channel }, { binding })).toMatchObject({
      kind: "ok",
      method: "scram-sha-256-plus",
    });
  });

  it.each([
    ["alice", "wrong", "wrong_password"],
    ["nobody", "correct horse", "unknown_user"],
    ["__proto__", "correct horse", "unknown_user"],
    ["keyless", "correct horse", "no_password"],
    ["gone", "correct horse", "disabled"],
    ["gone", "wrong", "wrong_password"],
    ["late", "correct horse", "expired"],
    ["late", "wrong", "wrong_password"],
  ])("%s with %j fails: %s", async (user, password, reason) => {
    expect(await logIn({ user }, { password })).toEqual({ kind: "failed", reason });
  });

  it("asks somebody unknown for the same as somebody known, the same each time", async () => {
    const challenge = async (user: string): Promise<Buffer> => {
      const server = authentication({ user });
      server.start();
      const first = encodeSaslInitialResponse("SCRAM-SHA-256", "n,,n=,r=abc");
      const step = await server.receive(body(first));
      if (step.kind !== "continue") throw new Error(step.kind);
      return step.send;
    };
    const nobody = await challenge("nobody");
    expect(nobody).toHaveLength((await challenge("alice")).length);
    expect(nobody).toEqual(await challenge("nobody"));
    expect(nobody).not.toEqual(await challenge("somebody"));
  });

  it("refuses messages that are malformed", () => {
    const initial = body(encodeSaslInitialResponse("SCRAM-SHA-256", "n,,n=,r=abc"));
    const bodies: [string, Buffer][] = [
      ["nothing", Buffer.alloc(0)],
      ["a plain password", Buffer.from("correct horse\0")],
      ["another mechanism", body(encodeSaslInitialResponse("PLAIN", "\0alice\0correct horse"))],
      ["no initial response", Buffer.from("SCRAM-SHA-256\0\xff\xff\xff\xff", "latin1")],
      ["a length that lies", Buffer.concat([initial, Buffer.of(0)])],
      ["a length that is cut", initial.subarray(0, 16)],
      ["too much", body(encodeSaslInitialResponse("SCRAM-SHA-256", `n,,n=,r=${"a".repeat(1100)}`))],
      ["no UTF-8", Buffer.from("SCRAM-SHA-256\0\0\0\0\x01\xff", "latin1")],
    ];
    for (const [what, bytes] of bodies) {
      const server = authentication();
      server.start();
      expect(server.receive(bytes), what).toEqual({ kind: "failed", reason: "malformed" });
    }
  });

  it("gives a step for any bytes", async () => {
    const bytes = fc.uint8Array({ maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(bytes, bytes, async (first, second) => {
        const server = authentication();
        server.start();
        expect((await server.receive(Buffer.from(first))).kind).toBe("failed");
        expect((await server.receive(Buffer.from(second))).kind).toBe("failed");
      }),
    );
  });
});

describe("by certificate", () => {
  const peer = (name: string) =>
    ({ kind: "tls", ownCertificate: OWN, verifiedPeer: new X509Certificate(pem(name)) }) as const;

  it("ends in the principal that it names", () => {
    expect(authentication({ channel: peer("alice.crt") }).start()).toMatchObject({
      kind: "ok",
      method: "certificate",
      principal: { name: "alice" },
    });
  });

  it("asks for a password when it names somebody else", () => {
    expect(authentication({ user: "early", channel: peer("alice.crt") }).start().kind).toBe(
      "continue",
    );
    expect(authentication({ user: "nobody", channel: peer("alice.crt") }).start().kind).toBe(
      "continue",
    );
    expect(authentication({ channel: peer("other-name.crt") }).start().kind).toBe("continue");
  });

  it("doesn't help somebody who is disabled", () => {
    expect(authentication({ user: "gone", channel: peer("alice.crt") }).start()).toEqual({
      kind: "failed",
      reason: "disabled",
    });
  });
});

describe("what the frontend is told", () => {
  it("is PostgreSQL's own text, without control characters", () => {
    expect(authenticationFailed('al"ice\n\x1b[2J')).toMatchObject({
      sqlstate: "28P01",
      message: 'password authentication failed for user "al"ice??[2J"',
    });
  });
});

describe("what could be guessed", () => {
  async function counted(
    change: Partial<AuthenticationOptions>,
    { password, isLocked = false }: { password: string; isLocked?: boolean },
  ): Promise<{ step: AuthenticationStep; counts: string[] }> {
    const counts: string[] = [];
    const attempt: LoginAttempt = {
      isLocked: () => isLocked,
      failed: () => void counts.push("failed"),
      succeeded: () => void counts.push("succeeded"),
    };
    return { step: await logIn({ attempt, ...change }, { password }), counts };
  }

  it.each([
    ["alice", "correct horse", "ok", "succeeded"],
    ["alice", "wrong", "wrong_password", "failed"],
    ["nobody", "wrong", "unknown_user", "failed"],
    ["keyless", "wrong", "no_password", "failed"],
    ["gone", "correct horse", "disabled", "failed"],
    ["late", "correct horse", "expired", "failed"],
  ])("%s with %j: %s", async (user, password, outcome, count) => {
    const { step, counts } = await counted({ user }, { password });
    expect(step.kind === "failed" ? step.reason : step.kind).toBe(outcome);
    expect(counts).toEqual([count]);
  });

  it.each(["correct horse", "wrong"])(
    "is refused while locked, and not counted: %s",
    async (password) => {
      const { step, counts } = await counted({}, { password, isLocked: true });
      expect(step).toEqual({ kind: "failed", reason: "locked" });
      expect(counts).toEqual([]);
    },
  );

  it("does not count what is no guess", () => {
    const counts: string[] = [];
    const attempt = { ...UNCOUNTED, failed: () => void counts.push("failed") };
    const server = authentication({ attempt });
    server.start();
    expect(server.receive(Buffer.from("rubbish"))).toEqual({ kind: "failed", reason: "malformed" });
    expect(counts).toEqual([]);
  });

  it("leaves certificates alone: they can't be guessed", () => {
    const alice = new X509Certificate(pem("alice.crt"));
    const step = authentication({
      channel: { kind: "tls", ownCertificate: OWN, verifiedPeer: alice },
      attempt: { ...UNCOUNTED, isLocked: () => true },
    }).start();
    expect(step).toMatchObject({ kind: "ok", method: "certificate" });
  });
});
