import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  cString,
  fieldsOf,
  GSSENC_REQUEST,
  int32,
  message,
  query,
  RawClient,
  saslInitialResponse,
  settingsOf,
  SSL_REQUEST,
  startupMessage,
  startupPacket,
  startupParameters,
  rowsOf,
  trace,
  type Login,
} from "../../support/raw-client.ts";
import { pem } from "../../support/pem.ts";
import { auditOf, eventually, startWorld, valueOf, type World } from "./world.ts";

const certificate = (name: string): string =>
  fileURLToPath(new URL(`../../support/certificates/${name}`, import.meta.url));

let world: World;
let tls: World;
const unixDirectory = mkdtempSync(path.join(tmpdir(), "twokey-unix-"));
const sockets: Socket[] = [];

beforeAll(async () => {
  world = await startWorld({ config: { limits: { startup_timeout: "2s" } } });
  tls = await startWorld({
    config: {
      listen: {
        port: 0,
        unix_socket: unixDirectory,
        tls: { mode: "require", cert: certificate("server.crt"), key: certificate("server.key") },
      },
      limits: { startup_timeout: "5s" },
    },
  });
});

afterAll(async () => {
  await world.stop();
  await tls.stop();
  rmSync(unixDirectory, { recursive: true });
});

afterEach(() => {
  world.hangUp();
  tls.hangUp();
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function open({ twokey }: World): Promise<RawClient> {
  const client = await RawClient.open(twokey);
  sockets.push(client.socket);
  return client;
}

const upstreamSessions = (): Promise<unknown> =>
  valueOf(
    world.witness,
    "SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
  );

describe("11: garbage closes at once, and reaches no server", () => {
  const long = (bytes: number): Buffer => Buffer.concat([int32(bytes), int32(196608)]);
  it.each([
    ["random bytes", Buffer.from([0x00, 0x00, 0x00, 0x09, 0xde, 0xad, 0xbe, 0xef, 0x00])],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["SSH", Buffer.from("SSH-2.0-OpenSSH_9.6\r\n")],
    [
      "a TLS handshake where there is no TLS",
      Buffer.from([0x16, 3, 1, 0, 0xff, 1, 0, 0, 0xfb, 3, 3]),
    ],
    ["a length of 0", int32(0)],
    ["a length of 7", int32(7)],
    ["a length of 10,001", long(10_001)],
    ["a length of 2 GiB", long(0x7fffffff)],
    ["a length of 4 GiB", long(0xffffffff)],
    ["no terminator", startupPacket(196608, Buffer.from("user\0alice"))],
    ["a name without a value", startupPacket(196608, Buffer.from("user\0"))],
    ["no final terminator", startupPacket(196608, Buffer.from("user\0alice\0"))],
    ["bytes behind the terminator", startupPacket(196608, Buffer.from("user\0alice\0\0x"))],
    ["no user", startupPacket(196608, Buffer.from("database\0shop\0\0"))],
    ["an empty user", startupPacket(196608, Buffer.from("user\0\0\0"))],
    ["bytes that are no UTF-8", startupPacket(196608, Buffer.from("user\0\xff\0\0", "latin1"))],
    ["protocol 2", startupPacket(131072, Buffer.from("user\0alice\0\0"))],
    ["protocol 4", startupPacket(4 << 16, Buffer.from("user\0alice\0\0"))],
    ["a CancelRequest without a key", startupPacket(80877102)],
    ["an SSLRequest with a body", startupPacket(80877103, Buffer.alloc(4))],
  ])("%s", async (_, bytes) => {
    const client = await open(world);
    client.send(bytes);
    const answers = await client.untilEnd();
    expect(answers.length).toBeLessThanOrEqual(1);
    if (answers[0] !== undefined) expect(fieldsOf(answers[0]).get("S")).toBe("FATAL");
    expect(await upstreamSessions()).toBe(0);
  });

  it("half a packet, and then silence or an end", async () => {
    const half = startupMessage(world.loginThrough).subarray(0, 20);
    const silent = await open(world);
    silent.send(half);
    const gone = await open(world);
    gone.send(half);
    gone.socket.end();
    expect(await gone.untilEnd()).toEqual([]);
    // 12: it is told after the deadline.
    expect(trace(await silent.untilEnd())).toEqual(["E 08P01"]);
    expect(await upstreamSessions()).toBe(0);
  });
});

describe("12: one deadline for all of start-up", () => {
  it("that a trickle of bytes does not extend", async () => {
    const client = await open(world);
    const packet = startupMessage(world.loginThrough);
    const startedAt = performance.now();
    let at = 0;
    const trickle = setInterval(() => {
      client.socket.write(packet.subarray(at, ++at));
    }, 200);
    const answers = await client.untilEnd();
    clearInterval(trickle);
    expect(trace(answers)).toEqual(["E 08P01"]);
    expect(performance.now() - startedAt).toBeLessThan(4000);
  });

  it("nor does authentication that stops half way", async () => {
    const client = await open(world);
    client.send(startupMessage(world.loginThrough));
    expect((await client.next())?.type).toBe("R");
    client.send(message("p", Buffer.alloc(0)).subarray(0, 3));
    expect(trace(await client.untilEnd())).toEqual(["E 08P01"]);
  });
});

function upgrade(socket: Socket, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = connectTls({
      ca: pem("ca.crt"),
      servername: "localhost",
      checkServerIdentity: () => undefined,
      ...options,
      ...(options.host === undefined && { socket }),
    });
    sockets.push(secured);
    secured.once("secureConnect", () => {
      resolve(secured);
    });
    secured.once("error", reject);
    secured.once("close", () => {
      reject(new Error("closed"));
    });
  });
}

/** A socket that has been told S and has upgraded. */
async function secured(at: World): Promise<RawClient> {
  const { host, port } = at.twokey;
  const socket = createConnection({ host, port });
  sockets.push(socket);
  await once(socket, "connect");
  socket.write(SSL_REQUEST);
  const [byte] = (await once(socket, "data")) as [Buffer];
  expect(byte.toString()).toBe("S");
  return new RawClient(await upgrade(socket));
}

const logInTo = ({ loginThrough }: World): Login => loginThrough;

describe("13 to 16: encryption", () => {
  it("13: SSLRequest is answered with one byte: N without TLS, S with it", async () => {
    const plain = await open(world);
    plain.send(SSL_REQUEST);
    expect(await plain.nextByte()).toBe("N");
    await plain.logIn(logInTo(world));
    expect(await plain.ask(query("SELECT 1"))).toContain("Z I");

    const client = await secured(tls);
    await client.logIn(logInTo(tls));
    expect(await client.ask(query("SELECT 1"))).toContain("Z I");
  });

  it("13: GSSENCRequest is answered with N", async () => {
    const client = await open(world);
    client.send(GSSENC_REQUEST);
    expect(await client.nextByte()).toBe("N");
    await client.logIn(logInTo(world));
  });

  it.each([
    ["SSLRequest", SSL_REQUEST],
    ["GSSENCRequest", GSSENC_REQUEST],
  ])("13: plain bytes behind %s close the connection", async (_, request) => {
    for (const at of [world, tls]) {
      const client = await open(at);
      client.send(request, startupMessage(logInTo(at)));
      const bytes: Buffer[] = [];
      client.socket.on("data", (chunk: Buffer) => bytes.push(chunk));
      await client.untilEnd();
      // No R of an authentication: the start-up was not read.
      expect(Buffer.concat(bytes).toString("latin1")).toMatch(/^$|unencrypted data/);
    }
  });

  it("14: each request at most once, in either order", async () => {
    for (const [first, second] of [
      [SSL_REQUEST, GSSENC_REQUEST],
      [GSSENC_REQUEST, SSL_REQUEST],
    ] as const) {
      const client = await open(world);
      client.send(first);
      expect(await client.nextByte()).toBe("N");
      client.send(second);
      expect(await client.nextByte()).toBe("N");
      client.send(first);
      expect(trace(await client.untilEnd())).toEqual(["E 08P01"]);
    }
    const inside = await secured(tls);
    inside.send(SSL_REQUEST);
    expect(trace(await inside.untilEnd())).toEqual(["E 08P01"]);
  });

  it("14: told S, plain text closes the connection", async () => {
    const client = await open(tls);
    client.send(SSL_REQUEST);
    expect(await client.nextByte()).toBe("S");
    client.send(startupMessage(logInTo(tls)));
    await expect(client.untilEnd()).resolves.toEqual(
      expect.not.arrayContaining([expect.objectContaining({ type: "R" })]),
    );
  });

  it("15: where TLS is required, a plain start-up ends before any authentication", async () => {
    const client = await open(tls);
    client.send(startupMessage(logInTo(tls)));
    const answers = await client.untilEnd();
    expect(trace(answers)).toEqual(["E 28000"]);
    expect(answers[0] && fieldsOf(answers[0]).get("S")).toBe("FATAL");
  });

  it("15: but on a Unix socket there is no TLS, nor need of it", async () => {
    const at = path.join(unixDirectory, `.s.PGSQL.${tls.twokey.port}`);
    const socket = createConnection({ path: at });
    sockets.push(socket);
    await once(socket, "connect");
    const client = new RawClient(socket);
    client.send(SSL_REQUEST);
    expect(await client.nextByte()).toBe("N");
    await client.logIn(logInTo(tls));
    expect(await client.ask(query("SELECT 1"))).toContain("C SELECT 1");
  });

  it("16: TLS at once needs ALPN", async () => {
    const { host, port } = tls.twokey;
    const direct = await upgrade(createConnection({ host, port }), {
      ALPNProtocols: ["postgresql"],
    });
    const client = new RawClient(direct);
    await client.logIn(logInTo(tls));
    expect(await client.ask(query("SELECT 1"))).toContain("Z I");

    for (const ALPNProtocols of [undefined, ["http/1.1"]]) {
      const refused = upgrade(createConnection({ host, port }), {
        ...(ALPNProtocols && { ALPNProtocols }),
      });
      const ended = refused.then(
        async (socket) => {
          const other = new RawClient(socket);
          other.send(startupMessage(logInTo(tls)));
          return trace(await other.untilEnd());
        },
        () => [],
      );
      expect((await ended).filter((answer) => answer.startsWith("R"))).toEqual([]);
    }
  });

  it("a handshake that fails, and one that never ends, close", async () => {
    const client = await open(tls);
    client.send(SSL_REQUEST);
    await client.nextByte();
    client.send(Buffer.from("this is no ClientHello at all"));
    await client.untilEnd();
    const slow = await open(tls);
    slow.send(SSL_REQUEST);
    await slow.nextByte();
    await slow.untilEnd();
  }, 20_000);
});

describe("17: start-up parameters are read as the server reads them", () => {
  const pairs = (...more: readonly (readonly [string, string])[]): Buffer => {
    const { user, database } = world.loginThrough;
    return startupParameters([["user", user], ["database", database], ...more]);
  };
  const logIn = async (packet: Buffer): Promise<RawClient> => {
    const client = await open(world);
    client.send(packet);
    await client.authenticate(world.loginThrough.password);
    return client;
  };

  it("the last of several equal keys counts", async () => {
    await expect(logIn(pairs(["database", "nowhere"]))).rejects.toThrow("E 3D000");
    const client = await logIn(
      startupParameters([
        ["user", "nobody"],
        ["database", "nowhere"],
        ["user", world.loginThrough.user],
        ["database", "shop"],
      ]),
    );
    client.send(query("SELECT current_database()"));
    expect(rowsOf(await client.untilReady())).toEqual([["shop"]]);
  });

  it("an absent or empty database means the user's name", async () => {
    for (const packet of [
      startupParameters([["user", "alice"]]),
      startupParameters([
        ["user", "alice"],
        ["database", ""],
      ]),
    ]) {
      const client = await open(world);
      client.send(packet);
      const login = client.authenticate(world.loginThrough.password);
      await expect(login).rejects.toThrow("E 3D000");
    }
  });

  it("names of settings are case-insensitive, the four others are not", async () => {
    const client = await logIn(pairs(["DateStyle", "German"], ["TIMEZONE", "Asia/Tokyo"]));
    expect(settingsOf(client).get("TimeZone")).toBe("Asia/Tokyo");
    expect(settingsOf(client).get("DateStyle")).toBe("German, DMY");
    await expect(logIn(pairs(["DATABASE", "nowhere"]))).rejects.toThrow(/^E (42501|42704|0A000)/);
  });

  it("names of more than 63 bytes are refused before policy is chosen", async () => {
    await expect(logIn(pairs(["database", `shop${"x".repeat(64)}`]))).rejects.toThrow("E 28000");
  });
});

describe("18: settings pass the same rules as SET", () => {
  const logIn = (parameters: Record<string, string>): Promise<RawClient> =>
    world.through({ parameters });
  const show = async (client: RawClient, name: string): Promise<string | undefined> => {
    client.send(query(`SHOW ${name}`));
    return rowsOf(await client.untilReady())[0]?.[0];
  };

  it.each([
    "-c work_mem=5MB",
    "-cwork_mem=5MB",
    "--work_mem=5MB",
    "--work-mem=5MB",
    "-c  work_mem=5MB  --statement-timeout=0",
    "-c work_mem=4MB -c work_mem=5MB",
  ])("options %j", async (options) => {
    expect(await show(await logIn({ options }), "work_mem")).toBe("5MB");
  });

  it("with escaped blanks", async () => {
    const client = await logIn({ options: String.raw`-c application_name=a\ b\\c` });
    expect(await show(client, "application_name")).toMatch(/ a b\\c$/);
  });

  it.each([
    ["role", { role: "postgres" }],
    ["ROLE", { ROLE: "postgres" }],
    ["session_authorization", { session_authorization: "postgres" }],
    ["standard_conforming_strings", { standard_conforming_strings: "off" }],
    ["Standard_Conforming_Strings", { Standard_Conforming_Strings: "0" }],
    ["client_encoding SJIS", { client_encoding: "SJIS" }],
    ["session_preload_libraries", { session_preload_libraries: "auto_explain" }],
    ["local_preload_libraries", { local_preload_libraries: "x" }],
    ["options -c role", { options: "-c role=postgres" }],
    ["options -crole", { options: "-crole=postgres" }],
    ["options --role", { options: "--role=postgres" }],
    ["options --session-authorization", { options: "--session-authorization=postgres" }],
    ["options with an escaped name", { options: String.raw`-c r\ole=postgres` }],
    ["options with a quoted name", { options: '-c "role"=postgres' }],
    ["options -c standard_conforming_strings", { options: "-c standard_conforming_strings=off" }],
    ["options -C", { options: "-C data_directory" }],
    ["options -d", { options: "-d 5" }],
    ["options -S", { options: "-S 64" }],
    ["options -f", { options: "-f s" }],
    ["options --", { options: "--" }],
    ["options without a value", { options: "-c work_mem" }],
    ["options at an end", { options: "-c" }],
    ["options that are no options", { options: "role=postgres" }],
  ])("%s is refused", async (_, parameters) => {
    await expect(logIn(parameters)).rejects.toThrow(/^E (42501|0A000|42704|22023)/);
  });

  it("and nothing else is passed on as what it is not", async () => {
    const client = await logIn({ application_name: "x', role = 'postgres", options: "" });
    expect(await show(client, "application_name")).toContain(" x', role = 'postgres");
  });
});

describe("20: versions and options are negotiated", () => {
  it.each([
    [3, 2],
    [9999, 2],
    [2, 2],
    [1, 1],
    [0, 0],
  ])("3.%i is answered with 3.%i", async (minorVersion, agreed) => {
    const client = await world.through({ minorVersion });
    const negotiation = client.greeting.find(({ type }) => type === "v");
    if (minorVersion <= 2) {
      expect(negotiation).toBeUndefined();
    } else {
      expect(negotiation?.body.readUInt16BE(2)).toBe(agreed);
      expect(negotiation?.body.readUInt32BE(4)).toBe(0);
    }
    expect(await client.ask(query("SELECT 1"))).toContain("Z I");
  });

  it("unknown protocol options are declined by name", async () => {
    const client = await world.through({
      parameters: { "_pq_.command_compression": "on", "_pq_.other": "x" },
    });
    const negotiation = client.greeting.find(({ type }) => type === "v");
    expect(negotiation?.body.readUInt32BE(4)).toBe(2);
    expect(negotiation?.body.subarray(8)).toEqual(
      Buffer.concat([cString("_pq_.command_compression"), cString("_pq_.other")]),
    );
  });
});

describe("21 to 23: authentication", () => {
  const begin = async (at: World = world): Promise<RawClient> => {
    const client = await open(at);
    client.send(startupMessage(logInTo(at)));
    expect((await client.next())?.type).toBe("R");
    return client;
  };

  it.each([
    ["a Query", query("SELECT 1")],
    ["a Terminate", message("X")],
    ["a Parse", message("P", Buffer.alloc(4))],
    ["a start-up packet", startupMessage({ user: "alice", database: "shop" })],
  ])("21: %s before authentication has finished ends it", async (_, bytes) => {
    const client = await begin();
    client.send(bytes);
    expect(trace(await client.untilEnd())).toEqual(["E 08P01"]);
    expect(await upstreamSessions()).toBe(0);
  });

  it("21: what is sent ahead of time is held unread, and judged", async () => {
    const client = await open(world);
    const { password } = world.loginThrough;
    await world.witness.query("CREATE TABLE IF NOT EXISTS keep (a int)");
    client.send(startupMessage(logInTo(world)));
    // Behind the last message of the authentication, in the same breath.
    const write = client.socket.write.bind(client.socket);
    let messages = 0;
    client.socket.write = (bytes: Buffer) =>
      write(++messages === 2 ? Buffer.concat([bytes, query("DROP TABLE keep")]) : bytes);
    await client.authenticate(password);
    expect(trace(await client.untilReady())).toEqual(["E 42501", "Z I"]);
    expect(await valueOf(world.witness, "SELECT to_regclass('keep')::text")).toBe("keep");
  });

  it.each([
    ["an unknown mechanism", saslInitialResponse("SCRAM-SHA-1", "n,,n=,r=abc")],
    ["no mechanism", message("p")],
    ["a length beyond its end", message("p", Buffer.concat([cString("SCRAM-SHA-256"), int32(99)]))],
    ["no data", message("p", Buffer.concat([cString("SCRAM-SHA-256"), int32(-1)]))],
    ["a broken header", saslInitialResponse("SCRAM-SHA-256", "q,,n=,r=abc")],
    ["an empty nonce", saslInitialResponse("SCRAM-SHA-256", "n,,n=,r=")],
    ["binary data", saslInitialResponse("SCRAM-SHA-256", "\0\xff\0")],
    ["too much", message("p", Buffer.alloc(10_001))],
    ["a plain password", message("p", cString("password"))],
  ])("22: %s ends this connection only", async (_, bytes) => {
    const other = await world.through();
    const client = await begin();
    client.send(bytes);
    const answers = await client.untilEnd();
    const last = answers.at(-1);
    expect(last && trace([last])[0]).toMatch(/^E (08P01|28P01|28000)/);
    expect(await other.ask(query("SELECT 1"))).toContain("Z I");
  });

  it("22: a proof that is wrong, in any bit", async () => {
    const login = world.through({ password: "not it" });
    await expect(login).rejects.toThrow("E 28P01");
    const unknown = world.through({ user: "mallory" });
    await expect(unknown).rejects.toThrow("E 28P01");
    await eventually(
      () =>
        Promise.resolve(
          auditOf(world).some(
            ({ event, person }) => event === "auth.failure" && person === "mallory",
          ),
        ),
      "the failure is on record",
    );
  });

  it("23: channel binding is offered where it can be completed", async () => {
    const mechanisms = async (client: RawClient): Promise<string[]> => {
      client.send(startupMessage(logInTo(tls)));
      const body = (await client.next())?.body.subarray(4).toString() ?? "";
      return body.split("\0").filter((name) => name !== "");
    };
    expect(await mechanisms(await secured(tls))).toEqual(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    expect(await mechanisms(await open(world))).toEqual(["SCRAM-SHA-256"]);
  });

  it("23: who asks for it without TLS is told so", async () => {
    const client = await begin();
    client.send(saslInitialResponse("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc"));
    const last = (await client.untilEnd()).at(-1);
    expect(last && fieldsOf(last).get("S")).toBe("FATAL");
  });
});

it("24: what the server reports at its start-up reaches the client", async () => {
  const ours = settingsOf(await world.through({ parameters: { application_name: "me" } }));
  const its = settingsOf(await world.direct({ parameters: { application_name: "me" } }));
  expect(ours).toEqual(its);
});
