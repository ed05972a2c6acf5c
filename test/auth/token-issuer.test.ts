import {
  exportJWK,
  exportSPKI,
  generateKeyPair,
  SignJWT,
  UnsecuredJWT,
  type CryptoKey,
} from "jose";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TokenIssuer, verifyToken, type TokenIssuerOptions } from "../../src/auth/token-issuer.ts";

const NOW = new Date("2026-11-24T12:00:00Z");
const at = (offsetSeconds: number): number => NOW.getTime() / 1000 + offsetSeconds;
const ISSUER = "https://sso.example.com";

let folder: string;
let key: CryptoKey;
let publicKey: CryptoKey;
let otherKey: CryptoKey;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "twokey-tokens-"));
  const pair = await generateKeyPair("RS256", { extractable: true });
  ({ privateKey: key, publicKey } = pair);
  ({ privateKey: otherKey } = await generateKeyPair("RS256"));
  await publish(publicKey, "first");
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

const keysFile = (): string => join(folder, "keys.json");

async function publish(published: CryptoKey, kid: string): Promise<void> {
  const jwk = { ...(await exportJWK(published)), kid, use: "sig", alg: "RS256" };
  writeFileSync(keysFile(), JSON.stringify({ keys: [jwk] }));
}

function issuer(change: Partial<TokenIssuerOptions> = {}): TokenIssuer {
  return new TokenIssuer({
    name: "sso",
    issuer: ISSUER,
    audiences: ["twokey"],
    algorithms: ["RS256"],
    keys: { from: "file", path: keysFile() },
    clockSkewMs: 30_000,
    maxAgeMs: undefined,
    scope: "openid",
    groups: undefined,
    ca: undefined,
    ...change,
  });
}

const CLAIMS = { iss: ISSUER, aud: "twokey", sub: "u1", iat: at(-60), exp: at(300) };

function sign(
  claims: Record<string, unknown> = {},
  { by = key, header = {} }: { by?: CryptoKey | Uint8Array; header?: object } = {},
): Promise<string> {
  return new SignJWT({ ...CLAIMS, ...claims })
    .setProtectedHeader({ alg: "RS256", kid: "first", ...header })
    .sign(by);
}

async function outcome(token: string, change: Partial<TokenIssuerOptions> = {}): Promise<string> {
  const verification = await verifyToken(token, [issuer(change)], NOW);
  return verification.kind === "valid" ? "valid" : verification.reason;
}

describe("a token", () => {
  it.each<[string, Record<string, unknown>, string]>([
    ["as it should be", {}, "valid"],
    ["of another issuer", { iss: "https://evil.example.com" }, "token_issuer"],
    ["of an issuer that looks alike", { iss: `${ISSUER}/` }, "token_issuer"],
    ["for somebody else", { aud: "another-service" }, "token_audience"],
    ["for us among others", { aud: ["another-service", "twokey"] }, "valid"],
    ["for nobody", { aud: [] }, "token_audience"],
    ["that has run out", { exp: at(-31) }, "token_expired"],
    ["that has run out by less than clocks differ", { exp: at(-29) }, "valid"],
    ["without an end", { exp: undefined }, "token_claims"],
    ["whose end is no number", { exp: "never" }, "token_claims"],
    ["that is not good yet", { nbf: at(31) }, "token_claims"],
  ])("%s: %s", async (_, claims, expected) => {
    expect(await outcome(await sign(claims))).toBe(expected);
  });

  it("may not be older than the configuration says, whatever its end", async () => {
    const token = await sign({ iat: at(-3600), exp: at(36_000) });
    expect(await outcome(token)).toBe("valid");
    expect(await outcome(token, { maxAgeMs: 600_000 })).toBe("token_expired");
    const ageless = await sign({ iat: undefined });
    expect(await outcome(ageless, { maxAgeMs: 600_000 })).toBe("token_claims");
  });

  it("that nobody signed is refused", async () => {
    expect(await outcome(new UnsecuredJWT(CLAIMS).encode())).toBe("token_signature");
    const [, body = ""] = (await sign()).split(".");
    for (const alg of ["none", "None", "NONE", ""]) {
      const header = Buffer.from(JSON.stringify({ alg })).toString("base64url");
      expect(await outcome(`${header}.${body}.`), alg).not.toBe("valid");
    }
  });

  it("that was signed with HMAC, with the public key as its secret, is refused", async () => {
    const secrets = [await exportSPKI(publicKey), JSON.stringify(await exportJWK(publicKey))];
    for (const secret of secrets) {
      const token = await sign(
        {},
        { by: new TextEncoder().encode(secret), header: { alg: "HS256" } },
      );
      expect(await outcome(token)).toBe("token_signature");
    }
  });

  it("that brings its own key is refused", async () => {
    const pair = await generateKeyPair("RS256", { extractable: true });
    const jwk = await exportJWK(pair.publicKey);
    for (const header of [{ jwk }, { jku: "http://127.0.0.1:1/keys" }, { kid: "../../dev/null" }]) {
      expect(await outcome(await sign({}, { by: pair.privateKey, header }))).toBe(
        "token_signature",
      );
    }
  });

  it("that was signed with another key of the same name is refused", async () => {
    expect(await outcome(await sign({}, { by: otherKey }))).toBe("token_signature");
  });

  it("by an algorithm that is not on the list is refused, though the key would do", async () => {
    const { privateKey } = await generateKeyPair("PS256");
    const token = await sign({}, { by: privateKey, header: { alg: "PS256" } });
    expect(await outcome(token)).toBe("token_signature");
  });

  it("with any one bit changed is refused", async () => {
    const token = await sign();
    const bytes = Buffer.from(token);
    for (let index = 0; index < bytes.length; index += 7) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      const text = changed.toString("latin1");
      // The last character of base64 may hold bits that mean nothing.
      if (decoded(text) === decoded(token)) continue;
      expect(await outcome(text), `byte ${index}`).not.toBe("valid");
    }
  });

  it.each(["", ".", "..", "a.b.c", "hunter2", "e30.e30.", "💥", "a".repeat(60_000)])(
    "%.20j is malformed",
    async (text) => {
      expect(await outcome(text)).toMatch(/^token_(malformed|issuer)$/);
    },
  );

  it("gives the roles of its groups, and none for those that are not listed", async () => {
    const groups = {
      claim: "groups",
      roles: new Map([
        ["db-seniors", "senior"],
        ["db-leads", "lead"],
      ]),
    };
    const roles = async (claim: unknown): Promise<readonly string[] | undefined> => {
      const token = await sign({ groups: claim });
      const verification = await verifyToken(token, [issuer({ groups })], NOW);
      return verification.kind === "valid" ? verification.roles : undefined;
    };
    expect(await roles(["db-seniors", "everybody", "db-leads", "db-leads"])).toEqual([
      "senior",
      "lead",
    ]);
    expect(await roles("db-seniors")).toEqual(["senior"]);
    expect(await roles(["__proto__", "constructor", 7])).toEqual([]);
    expect(await roles(undefined)).toEqual([]);
  });
});

function decoded(token: string): string {
  return token
    .split(".")
    .map((part) => Buffer.from(part, "base64url").toString("hex"))
    .join(".");
}

describe("the keys of an issuer", () => {
  let server: Server;
  let origin: string;
  let answer: { keys: object[] };
  let claimedIssuer: string | undefined;
  let asked: string[];

  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(request.url ?? "");
      if (answer.keys.length === 0) response.writeHead(503).end();
      else if (request.url === "/keys") response.end(JSON.stringify(answer));
      else
        response.end(
          JSON.stringify({ issuer: claimedIssuer ?? origin, jwks_uri: `${origin}/keys` }),
        );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
  });

  async function serve(published: CryptoKey, kid: string): Promise<void> {
    asked = [];
    claimedIssuer = undefined;
    answer = { keys: [{ ...(await exportJWK(published)), kid, alg: "RS256" }] };
  }

  const discovering = (): TokenIssuer => issuer({ issuer: origin, keys: { from: "discovery" } });
  const kindOf = async (from: TokenIssuer, token: string): Promise<string> => {
    const verification = await from.verify(token, NOW);
    return verification.kind === "valid" ? "valid" : verification.reason;
  };

  it("are found by its metadata, and kept", async () => {
    await serve(publicKey, "first");
    const from = discovering();
    const token = await sign({ iss: origin });
    expect(await kindOf(from, token)).toBe("valid");
    expect(await kindOf(from, token)).toBe("valid");
    expect(asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
  });

  it("are not looked for again and again because somebody invents their names", async () => {
    await serve(publicKey, "first");
    const from = discovering();
    expect(await kindOf(from, await sign({ iss: origin }))).toBe("valid");
    for (let index = 0; index < 20; index++) {
      const token = await sign({ iss: origin }, { header: { kid: `invented-${index}` } });
      expect(await kindOf(from, token)).toBe("token_signature");
    }
    expect(asked.length).toBeLessThanOrEqual(3);
  });

  it("change when it says so: in a file at once", async () => {
    const pair = await generateKeyPair("RS256", { extractable: true });
    const old = await sign();
    const fresh = await sign({}, { by: pair.privateKey, header: { kid: "second" } });
    const from = issuer();
    expect([await kindOf(from, old), await kindOf(from, fresh)]).toEqual([
      "valid",
      "token_signature",
    ]);
    await publish(pair.publicKey, "second");
    expect([await kindOf(from, old), await kindOf(from, fresh)]).toEqual([
      "token_signature",
      "valid",
    ]);
    await publish(publicKey, "first");
  });

  it("are not believed from metadata of another issuer", async () => {
    await serve(publicKey, "first");
    claimedIssuer = "https://evil.example.com";
    expect(await kindOf(discovering(), await sign({ iss: origin }))).toBe("token_keys_unavailable");
  });

  it("prove nothing while they can't be had", async () => {
    await serve(publicKey, "first");
    answer = { keys: [] };
    expect(await kindOf(discovering(), await sign({ iss: origin }))).toBe("token_keys_unavailable");
    const missing = issuer({ keys: { from: "file", path: join(folder, "nowhere.json") } });
    expect(await kindOf(missing, await sign())).toBe("token_keys_unavailable");
  });
});
