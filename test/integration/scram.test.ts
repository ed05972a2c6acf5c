import { execFile, spawnSync } from "node:child_process";
import { randomBytes, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  Authentication,
  authenticationFailed,
  type AuthenticationStep,
} from "../../src/auth/authentication.ts";
import {
  formatVerifier,
  makeVerifier,
  parseVerifier,
  type ScramVerifier,
} from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import {
  encodeAuthenticationOk,
  encodeErrorResponse,
  encodeReadyForQuery,
} from "../../src/wire/encode-backend.ts";
import { decodeStartupPacket } from "../../src/wire/startup-packet.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { pem } from "../support/pem.ts";

const run = promisify(execFile);

// What SASLprep maps, normalises, prohibits, or can't decide the direction of.
const AWKWARD_PASSWORDS = [
  "pencil",
  "with space",
  " leading and trailing ",
  "I\u00adX",
  "\u00aa",
  "\u2168",
  "non-breaking\u00a0space",
  "o\u0308",
  "\ufb01ne",
  "\u0007bell",
  "\u0627\u0031",
  "emoji 🔑",
  "日本語",
  "\u0221unassigned in Unicode 3.2",
  "'\"\\$%,=",
];

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres.stop();
});

async function asSuperuser<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const { host, port, superuser: user, password } = postgres;
  const client = new pg.Client({ host, port, user, password, database: "postgres" });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

describe("our verifiers and PostgreSQL's", () => {
  it.each(AWKWARD_PASSWORDS)("are the same for %j", async (password) => {
    const text = await asSuperuser(async (client) => {
      await client.query(`CREATE ROLE probe PASSWORD ${client.escapeLiteral(password)}`);
      const { rows } = await client.query<{ rolpassword: string }>(
        "SELECT rolpassword FROM pg_authid WHERE rolname = 'probe'",
      );
      await client.query("DROP ROLE probe");
      return rows[0]?.rolpassword ?? "";
    });
    const theirs = parseVerifier(text);
    if (theirs === undefined) throw new Error(`not parsed: ${text}`);
    expect(formatVerifier(await makeVerifier(new Secret(password), theirs))).toBe(text);
  });

  it("are accepted by the server as a password", async () => {
    const verifier = formatVerifier(await makeVerifier(new Secret("made by us")));
    await asSuperuser((client) => client.query(`CREATE ROLE ours LOGIN PASSWORD '${verifier}'`));
    const { host, port } = postgres;
    const client = new pg.Client({
      host,
      port,
      user: "ours",
      password: "made by us",
      database: "postgres",
    });
    await client.connect();
    await client.end();
  });
});

describe("real frontends that log in to us", () => {
  let listener: Server;
  let verifier: ScramVerifier;
  const steps: AuthenticationStep[] = [];

  beforeAll(async () => {
    verifier = await makeVerifier(new Secret("sécret ª"));
    listener = createServer((socket) => {
      serve(socket, verifier).then(
        (step) => steps.push(step),
        () => socket.destroy(),
      );
    }).listen(0, "127.0.0.1");
    await once(listener, "listening");
  });

  afterAll(() => {
    listener.close();
  });

  const port = (): number => (listener.address() as AddressInfo).port;

  describe.skipIf(spawnSync("psql", ["--version"]).error !== undefined)("psql", () => {
    const psql = async (options: string, password: string): Promise<string> => {
      const rootcert = fileURLToPath(new URL("../support/certificates/ca.crt", import.meta.url));
      const target = `host=localhost hostaddr=127.0.0.1 port=${port()} user=alice dbname=shop sslrootcert=${rootcert}`;
      // Our listener knows no query, so psql is asked for none.
      return run("psql", ["-X", "-c", "\\conninfo", `${target} ${options}`], {
        env: { PATH: process.env["PATH"], PGPASSWORD: password, LC_ALL: "C" },
      }).then(
        () => "logged in",
        (error: unknown) => (error as { stderr: string }).stderr,
      );
    };

    it.each([
      ["sslmode=verify-full channel_binding=require", "scram-sha-256-plus"],
      ["sslmode=verify-full channel_binding=disable", "scram-sha-256"],
      ["sslmode=disable", "scram-sha-256"],
    ])("%s: by %s", async (options, method) => {
      expect(await psql(options, "sécret ª")).toBe("logged in");
      expect(steps.at(-1)).toMatchObject({ kind: "ok", method });
    });

    it.each([
      [
        "the wrong password",
        "sslmode=verify-full",
        "wrong",
        /password authentication failed for user "alice"/,
      ],
      [
        "no channel to bind to",
        "sslmode=disable channel_binding=require",
        "sécret ª",
        /channel binding/,
      ],
    ])("%s", async (_, options, password, message) => {
      expect(await psql(options, password)).toMatch(message);
    });
  });

  it.each([
    [false, false, "scram-sha-256"],
    [true, false, "scram-sha-256"],
    [true, true, "scram-sha-256-plus"],
  ])("pg, TLS %s, channel binding %s: by %s", async (isTls, enableChannelBinding, method) => {
    const client = new pg.Client({
      host: "localhost",
      port: port(),
      user: "alice",
      password: "sécret ª",
      database: "shop",
      enableChannelBinding,
      ssl: isTls && { ca: pem("ca.crt") },
    });
    await client.connect();
    expect(steps.at(-1)).toMatchObject({ kind: "ok", method });
    await client.end();
  });

  it("pg is told 28P01 for a wrong password and for a wrong name alike", async () => {
    for (const [user, password] of [
      ["alice", "wrong"],
      ["nobody", "sécret ª"],
    ] as const) {
      const client = new pg.Client({
        host: "localhost",
        port: port(),
        user,
        password,
        database: "shop",
      });
      await expect(client.connect()).rejects.toMatchObject({
        code: "28P01",
        message: `password authentication failed for user "${user}"`,
      });
    }
  });
});

/** As little of a server as logging in takes. */
async function serve(plain: Socket, verifier: ScramVerifier): Promise<AuthenticationStep> {
  let socket: Socket = plain;
  let packet = decodeStartupPacket((await readMessage(socket, 0)).subarray(4));
  if (packet.type === "SSLRequest") {
    socket.write("S");
    const secureContext = createSecureContext({ cert: pem("server.crt"), key: pem("server.key") });
    socket = new TLSSocket(plain, { isServer: true, secureContext });
    packet = decodeStartupPacket((await readMessage(socket, 0)).subarray(4));
  }
  if (packet.type !== "StartupMessage") throw new Error(packet.type);
  const user = packet.parameters.get("user") ?? "";
  const authentication = new Authentication({
    user,
    channel:
      socket === plain
        ? { kind: "plain" }
        : {
            kind: "tls",
            ownCertificate: new X509Certificate(pem("server.crt")).raw,
            verifiedPeer: undefined,
          },
    entry:
      user === "alice"
        ? {
            principal: { kind: "person", name: user, roles: [] },
            asksFor: "sasl",
            verifiers: [verifier],
            md5: undefined,
            certificates: [],
            tokens: [],
            isDisabled: false,
            expiresAt: undefined,
          }
        : undefined,
    mockAsksFor: "sasl",
    md5Salt: randomBytes(4),
    tokens: undefined,
    mockSecret: new Secret(Buffer.from("mock")),
    mockIterations: 4096,
    nonce: randomBytes(18).toString("base64"),
    attempt: { isLocked: () => false, failed: () => undefined, succeeded: () => undefined },
    now: new Date(),
  });
  let step = authentication.start();
  while (step.kind === "continue") {
    socket.write(step.send);
    step = await authentication.receive((await readMessage(socket, 1)).subarray(5));
  }
  if (step.kind === "failed") {
    const { sqlstate, message } = authenticationFailed(user);
    socket.end(encodeErrorResponse({ severity: "FATAL", sqlstate, message }));
  } else {
    socket.write(Buffer.concat([step.send, encodeAuthenticationOk(), encodeReadyForQuery("I")]));
    // Whatever is said next, Terminate most likely, ends it.
    socket.once("readable", () => socket.end());
  }
  return step;
}

/** @param typeBytes - before the length word: none in a start-up packet */
async function readMessage(socket: Socket, typeBytes: number): Promise<Buffer> {
  const read = async (bytes: number): Promise<Buffer> => {
    for (;;) {
      const chunk = socket.read(bytes) as Buffer | null;
      if (chunk !== null) return chunk;
      if (socket.readableEnded || socket.destroyed) throw new Error("the frontend has gone");
      await once(socket, "readable");
    }
  };
  const header = await read(typeBytes + 4);
  return Buffer.concat([header, await read(header.readUInt32BE(typeBytes) - 4)]);
}
