import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatVerifier, makeVerifier } from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import { TestOidcProvider } from "../support/oidc-provider.ts";
import { pem } from "../support/pem.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import {
  cString,
  fieldsOf,
  message,
  RawClient,
  saslInitialResponse,
  startupMessage,
} from "../support/raw-client.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";

const at = (name: string): string =>
  fileURLToPath(new URL(`../support/certificates/${name}`, import.meta.url));

const ACCOUNTS = [
  { sub: "u-alice", email: "alice@example.com", email_verified: true, groups: ["db-seniors"] },
  { sub: "u-carol", email: "carol@example.com", email_verified: true, groups: ["interns"] },
  { sub: "u-mallory", email: "alice@example.com", email_verified: false, groups: ["db-seniors"] },
];

const PASSWORD = "correct horse";
const failed = (user: string): string => `password authentication failed for user "${user}"`;

let postgres: TestPostgres;
let provider: TestOidcProvider;
let twokey: TestTwokey;

beforeAll(async () => {
  [postgres, provider] = await Promise.all([startPostgres(), TestOidcProvider.start(ACCOUNTS)]);
  const email = (address: string): object => ({ issuer: "sso", claims: { email: address } });
  const verifier = formatVerifier(await makeVerifier(new Secret(PASSWORD)));
  const md5 = createHash("md5").update(`${PASSWORD}antique`).digest("hex");
  twokey = await startTestTwokey({
    postgres,
    config: {
      listen: {
        port: 0,
        tls: { mode: "allow", cert: at("server.crt"), key: at("server.key") },
      },
      tokens: {
        sso: {
          issuer: provider.issuer,
          audience: ["laptop"],
          groups: { roles: { "db-seniors": "senior", "db-leads": "lead" } },
        },
        // The same provider, as a CI system would be another one.
        ci: { issuer: `${provider.issuer}/ci`, audience: ["twokey"] },
      },
      people: {
        alice: { roles: ["senior"], asks_for: "token", tokens: [email("alice@example.com")] },
        carol: { roles: ["junior"], asks_for: "token", tokens: [email("carol@example.com")] },
        gone: {
          roles: ["senior"],
          asks_for: "token",
          disabled: true,
          tokens: [email("x@example.com")],
        },
        bob: { roles: ["lead"], verifier, tokens: [{ issuer: "sso", claims: { sub: "u-alice" } }] },
        plain: { roles: ["senior"], verifier, asks_for: "cleartext" },
        antique: { roles: ["senior"], verifier: `md5${md5}`, asks_for: "md5" },
      },
    },
  });
});

afterAll(async () => {
  await twokey.stop();
  await provider.stop();
  await postgres.stop();
});

async function logIn(user: string, password: string, ssl: object | false = { ca: pem("ca.crt") }) {
  const client = new pg.Client({
    host: "localhost",
    port: twokey.port,
    user,
    password,
    database: "postgres",
    ssl,
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ one: number }>("SELECT 1 AS one");
    return rows[0]?.one === 1 ? "in" : "what?";
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end();
  }
}

describe("a token as the password", () => {
  test("opens a session for the person that it names", async () => {
    expect(await logIn("alice", await provider.idToken("u-alice"))).toBe("in");
  });

  test("opens none for anybody else, and tells nobody why", async () => {
    const token = await provider.idToken("u-alice");
    expect(await logIn("carol", token)).toBe(failed("carol"));
    expect(await logIn("gone", token)).toBe(failed("gone"));
    expect(await logIn("nobody", token)).toBe(failed("nobody"));
    expect(await logIn("alice", `${token}x`)).toBe(failed("alice"));
    expect(await logIn("alice", "hunter2")).toBe(failed("alice"));
    expect(await logIn("alice", "")).toBe(failed("alice"));
  });

  test("needs an address that the provider has verified", async () => {
    expect(await logIn("alice", await provider.idToken("u-mallory"))).toBe(failed("alice"));
  });

  test("needs a group that gives a role", async () => {
    expect(await logIn("carol", await provider.idToken("u-carol"))).toBe(failed("carol"));
  });

  test("that was issued for another service is refused", async () => {
    expect(await logIn("alice", await provider.accessToken())).toBe(failed("alice"));
  });

  test("is never asked for without TLS, where others could read it", async () => {
    const asked = await firstAnswer(
      "alice",
      await RawClient.open({ host: "127.0.0.1", port: twokey.port }),
    );
    expect(asked).toBe("SASL SCRAM-SHA-256");
  });

  test.skipIf(spawnSync("psql", ["--version"]).error !== undefined)(
    "is taken from psql",
    async () => {
      const target = `host=localhost hostaddr=127.0.0.1 port=${twokey.port} user=alice dbname=postgres sslmode=verify-full sslrootcert=${at("ca.crt")}`;
      const env = { ...process.env, PGPASSWORD: await provider.idToken("u-alice") };
      const ran = await promisify(execFile)("psql", ["-XAtwc", "SELECT 'in'", target], { env });
      expect(ran.stdout).toBe("in\n");
    },
  );
});

describe("passwords for programs that know no SCRAM", () => {
  test.each(["plain", "antique"])("%s is asked over TLS", async (user) => {
    expect(await logIn(user, PASSWORD)).toBe("in");
    expect(await logIn(user, "wrong")).toBe(failed(user));
  });

  test("and not without", async () => {
    expect(await logIn("antique", PASSWORD, false)).toBe(failed("antique"));
    // With SCRAM, the same verifier is good without TLS, too.
    const client = await RawClient.open({ host: "127.0.0.1", port: twokey.port });
    expect(await firstAnswer("plain", client)).toBe("SASL SCRAM-SHA-256");
  });
});

describe("OAUTHBEARER", () => {
  const bearer = (auth: string): Buffer =>
    saslInitialResponse("OAUTHBEARER", `n,,\u0001auth=${auth}\u0001\u0001`);

  test("is offered to everybody over TLS, known or not", async () => {
    for (const user of ["bob", "nobody at all"]) {
      const asked = await firstAnswer(user, await openTls());
      if (user === "bob") expect(asked).toBe("SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 OAUTHBEARER");
    }
  });

  test("opens a session, with the roles of the token's groups", async () => {
    const client = await openTls();
    client.send(startupMessage({ user: "bob", database: "postgres" }));
    await client.until("R");
    client.send(bearer(`Bearer ${await provider.idToken("u-alice")}`));
    expect((await client.next())?.body.readUInt32BE(0)).toBe(0);
    await client.untilReady();
    client.close();
  });

  test("tells where to get a token, then refuses", async () => {
    for (const auth of ["", "Bearer bm9uZQ==", `Bearer ${await provider.idToken("u-carol")}`]) {
      const client = await openTls();
      client.send(startupMessage({ user: "bob", database: "postgres" }));
      await client.until("R");
      client.send(bearer(auth));
      const answer = await client.next();
      expect(answer?.body.readUInt32BE(0)).toBe(11);
      expect(JSON.parse(answer?.body.toString("utf8", 4) ?? "")).toEqual({
        status: "invalid_token",
        "openid-configuration": `${provider.issuer}/.well-known/openid-configuration`,
        scope: "openid",
      });
      client.send(message("p", Buffer.from("\u0001")));
      const error = await client.next();
      expect(error?.type).toBe("E");
      expect(fieldsOf(error ?? { type: "", body: Buffer.alloc(0) }).get("M")).toBe(failed("bob"));
      client.close();
    }
  });

  test("is not to be had without TLS", async () => {
    const client = await RawClient.open({ host: "127.0.0.1", port: twokey.port });
    client.send(startupMessage({ user: "bob", database: "postgres" }));
    await client.until("R");
    client.send(bearer(`Bearer ${await provider.idToken("u-alice")}`));
    expect((await client.next())?.type).toBe("E");
    client.close();
  });
});

describe("what is too large or no password message", () => {
  test("ends this connection only", async () => {
    for (const body of [
      Buffer.alloc(65_536, 65),
      cString("a\0b"),
      Buffer.from("no zero at the end"),
    ]) {
      const client = await openTls();
      client.send(startupMessage({ user: "alice", database: "postgres" }));
      await client.until("R");
      client.send(message("p", body));
      expect((await client.next())?.type).toBe("E");
      client.close();
    }
    expect(await logIn("alice", await provider.idToken("u-alice"))).toBe("in");
  });
});

/** What somebody is asked for: the methods of SASL, or the number of another. */
async function firstAnswer(user: string, client: RawClient): Promise<string> {
  client.send(startupMessage({ user, database: "postgres" }));
  const answer = await client.next();
  client.close();
  if (answer?.type !== "R") return String(answer?.type);
  const code = answer.body.readUInt32BE(0);
  if (code !== 10) return String(code);
  return `SASL ${answer.body.toString("latin1", 4).split("\0").filter(Boolean).join(" ")}`;
}

/** TLS from the first byte on (PostgreSQL 17). */
async function openTls(): Promise<RawClient> {
  const socket: TLSSocket = connectTls({
    host: "127.0.0.1",
    port: twokey.port,
    ALPNProtocols: ["postgresql"],
    ca: pem("ca.crt"),
    servername: "localhost",
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve).once("error", reject);
  });
  return new RawClient(socket);
}
