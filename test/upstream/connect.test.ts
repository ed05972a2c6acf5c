import type { Socket } from "node:net";
import { TLSSocket, createSecureContext } from "node:tls";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { ScramServer } from "../../src/auth/scram-server.ts";
import { makeVerifier } from "../../src/auth/verifier.ts";
import { Secret } from "../../src/base/secret.ts";
import {
  connectUpstream,
  type UpstreamLink,
  type UpstreamOptions,
} from "../../src/upstream/connect.ts";
import type { UpstreamTls } from "../../src/upstream/dial.ts";
import { UpstreamRefused } from "../../src/upstream/startup-messages.ts";
import { pem } from "../support/pem.ts";
import { message, scriptedServer, type ScriptedServer } from "./scripted-server.ts";

const OK = message("R", "\0\0\0\0");
const KEY = message("K", "\0\0\0\x01abcd");
const READY = message("Z", "I");
const SASL = message("R", "\0\0\0\x0aSCRAM-SHA-256\0\0");

const servers: ScriptedServer[] = [];
const links: UpstreamLink[] = [];

afterEach(() => {
  for (const { connection } of links.splice(0)) connection.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function serverThat(script: (socket: Socket) => void): Promise<ScriptedServer> {
  const server = await scriptedServer(script);
  servers.push(server);
  return server;
}

/** Answers each packet from the client with the next of these. */
function answers(...replies: readonly (Buffer | string)[]): (socket: Socket) => void {
  return (socket) => {
    const left = [...replies];
    socket.on("data", () => {
      const reply = left.shift();
      if (reply !== undefined) socket.write(reply);
    });
  };
}

async function connectTo(
  script: (socket: Socket) => void,
  options: Partial<UpstreamOptions> = {},
): Promise<UpstreamLink> {
  const { address } = await serverThat(script);
  const link = await connectUpstream({
    hosts: [address],
    targetSession: "any",
    tls: { mode: "disable" },
    user: "twokey",
    password: () => Promise.resolve(new Secret("pencil")),
    database: "shop",
    parameters: new Map(),
    minorVersion: 2,
    timeoutMs: 5_000,
    ...options,
  });
  links.push(link);
  return link;
}

async function failure(attempt: Promise<UpstreamLink>): Promise<unknown> {
  return attempt.then(
    () => "connected",
    (error: unknown) => error,
  );
}

describe("start-up", () => {
  it("works however the server's bytes are split", async () => {
    const status = message("S", "TimeZone\0UTC\0");
    const notice = message("N", "SNOTICE\0C00000\0Mhello\0\0");
    const bytes = Buffer.concat([
      message("v", "\0\x03\0\0\0\0\0\0"),
      OK,
      status,
      notice,
      KEY,
      READY,
    ]);
    const link = await connectTo((socket) => {
      socket.setNoDelay();
      socket.once("data", () => {
        for (const byte of bytes) socket.write(Buffer.of(byte));
      });
    });
    expect(link).toMatchObject({ minorVersion: 0, transactionStatus: "I", isEncrypted: false });
    expect(link.parameters).toEqual(new Map([["TimeZone", "UTC"]]));
    expect(link.notices).toEqual([notice]);
    expect(link.key).toEqual({ processId: 1, secret: Buffer.from("abcd") });
  });

  it("leaves what comes right behind ReadyForQuery to the next listener", async () => {
    const late = message("N", "SNOTICE\0C00000\0Mlate\0\0");
    const link = await connectTo(answers(Buffer.concat([OK, READY, late])));
    expect(link.key).toBeUndefined();
    const seen = await new Promise<string>((resolve) => {
      link.connection.listen({
        onChunk: (view) => {
          resolve(view.toString("latin1"));
        },
        onDrain: () => undefined,
        onClose: () => undefined,
      });
    });
    expect(seen).toBe(late.toString("latin1"));
  });

  it("outlives the deadline of its making", async () => {
    const link = await connectTo(answers(Buffer.concat([OK, READY]), "alive"), { timeoutMs: 200 });
    await expect(connectTo(() => undefined, { timeoutMs: 400 })).rejects.toThrow("in time");
    const answer = new Promise<string>((resolve) => {
      link.connection.listen({
        onChunk: (view) => {
          resolve(view.toString());
        },
        onDrain: () => undefined,
        onClose: () => {
          resolve("closed");
        },
      });
    });
    link.connection.write(Buffer.from("?"));
    expect(await answer).toBe("alive");
  });

  it("can't be talked into another user or database by further parameters", async () => {
    let seen = "";
    const script = (socket: Socket): void => {
      socket.once("data", (bytes: Buffer) => {
        seen = bytes.toString("latin1");
        socket.write(Buffer.concat([OK, READY]));
      });
    };
    await connectTo(script, {
      parameters: new Map([
        ["user", "root"],
        ["database", "other"],
        ["a", "b"],
      ]),
    });
    expect(seen.slice(8)).toBe("user\0twokey\0database\0shop\0a\0b\0\0");
  });
});

describe("a server that is not what it should be", () => {
  it.each<[string, RegExp, (socket: Socket) => void]>([
    ["says nothing", /no answer in time/, () => undefined],
    ["hangs up", /closed the connection/, (socket) => socket.once("data", () => socket.end())],
    ["hangs up at once", /./, (socket) => socket.destroy()],
    ["sends HTTP", /invalid message length/, answers("HTTP/1.1 400 Bad Request\r\n\r\n")],
    [
      "announces 2 GiB",
      /invalid message length/,
      answers(Buffer.from("R\x7f\xff\xff\xff", "latin1")),
    ],
    [
      "announces a length below 4",
      /invalid message length/,
      answers(Buffer.from("R\0\0\0\x03", "latin1")),
    ],
    [
      "never stops",
      /do not end|length/,
      (socket) => {
        const setting = message("S", `a\0${"x".repeat(20_000)}\0`);
        socket.once("data", () => {
          for (let i = 0; i < 100; i++) socket.write(setting);
        });
      },
    ],
    ["is ready before it knows us", /unexpected message/, answers(READY)],
    [
      "sends rows instead",
      /unexpected message/,
      answers(Buffer.concat([OK, message("D", "\0\0")])),
    ],
    ["skips authentication's end", /unexpected message/, answers(SASL, OK)],
    ["asks for Kerberos", /authentication method 7/, answers(message("R", "\0\0\0\x07"))],
    ["asks for a cleartext password", /cleartext/, answers(message("R", "\0\0\0\x03"))],
    [
      "offers only what we don't have",
      /no SASL mechanism/,
      answers(message("R", "\0\0\0\x0aSCRAM-SHA-1\0\0")),
    ],
    ["negotiates upwards", /newer protocol/, answers(message("v", "\0\x03\0\x09\0\0\0\0"))],
    ["sends an error without fields", /malformed ErrorResponse/, answers(message("E", "\0"))],
    [
      "sends a challenge of its own nonce",
      /nonce/,
      answers(SASL, message("R", "\0\0\0\x0br=abc,s=QUJD,i=4096")),
    ],
    [
      "sends no challenge",
      /malformed SCRAM/,
      answers(SASL, message("R", "\0\0\0\x0be=other-error")),
    ],
  ])("%s", async (_, reason, script) => {
    const error = await failure(connectTo(script, { timeoutMs: 400 }));
    expect(error).toMatchObject({
      sqlstate: "08001",
      message: expect.stringMatching(reason) as string,
    });
  });

  it("gives a link or an error for any bytes, and no link without being ready", async () => {
    const chunk = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(OK, KEY, SASL, READY, message("N", "\0"), message("S", "a\0b\0")),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 6 }), async (chunks) => {
        const outcome = await failure(
          connectTo((socket) => socket.once("data", () => socket.end(Buffer.concat(chunks)))),
        );
        const isReady = Buffer.concat(chunks).includes(READY) && Buffer.concat(chunks).includes(OK);
        if (!isReady) expect(outcome).toBeInstanceOf(Error);
      }),
      { numRuns: 150 },
    );
  });

  it("is refused when it doesn't know our password's verifier", async () => {
    const verifier = await makeVerifier(new Secret("pencil"), { iterations: 1000 });
    const impostor = { ...verifier, serverKey: Buffer.alloc(32) };
    for (const [known, expected] of [
      [verifier, "connected"],
      [impostor, "signature"],
    ] as const) {
      const scram = new ScramServer({
        verifiers: [known],
        nonce: "nonce",
        channelBinding: undefined,
      });
      const outcome = await failure(
        connectTo((socket) => {
          let step = 0;
          socket.on("data", (bytes: Buffer) => {
            const text = bytes.toString("latin1");
            step += 1;
            if (step === 1) socket.write(SASL);
            if (step === 2) {
              const first = scram.clientFirst("SCRAM-SHA-256", text.slice(text.indexOf("n,,")));
              if (first.kind === "continue")
                socket.write(message("R", `\0\0\0\x0b${first.message}`));
            }
            if (step === 3) {
              const final = scram.clientFinal(text.slice(5));
              if (final.kind === "verified") {
                socket.write(
                  Buffer.concat([message("R", `\0\0\0\x0c${final.message}`), OK, READY]),
                );
              }
            }
          });
        }),
      );
      if (expected === "connected") expect(outcome).toBe("connected");
      else expect(outcome).toMatchObject({ message: expect.stringContaining(expected) as string });
    }
  });
});

describe("TLS", () => {
  const tls: UpstreamTls = { mode: "verify-full", ca: pem("ca.crt") };

  function encrypted(
    certificate: string,
    then: (socket: Socket) => void = answers(Buffer.concat([OK, READY])),
  ) {
    return (plain: Socket): void => {
      plain.once("data", () => {
        plain.write("S");
        const secureContext = createSecureContext({
          cert: pem(`${certificate}.crt`),
          key: pem(`${certificate}.key`),
        });
        const socket = new TLSSocket(plain, { isServer: true, secureContext });
        socket.on("error", () => undefined);
        then(socket);
      });
    };
  }

  it.each<[string, string, UpstreamTls, string]>([
    ["its own name", "server", tls, "connected"],
    ["another name", "other-name", tls, "altnames"],
    [
      "another name, when only the issuer counts",
      "other-name",
      { ...tls, mode: "verify-ca" },
      "connected",
    ],
    ["another issuer", "rogue-alice", tls, "certificate"],
    ["another issuer, when nothing is verified", "rogue-alice", { mode: "require" }, "connected"],
    [
      "another issuer, when a CA is given with require",
      "rogue-alice",
      { ...tls, mode: "require" },
      "certificate",
    ],
  ])("a certificate with %s", async (_, certificate, options, expected) => {
    const outcome = await failure(connectTo(encrypted(certificate), { tls: options }));
    if (expected === "connected") expect(outcome).toBe("connected");
    else
      expect(outcome).toMatchObject({
        sqlstate: "08001",
        message: expect.stringContaining(expected) as string,
      });
  });

  it.each<[string, RegExp, Buffer | string]>([
    ["declines", /does not support TLS/, "N"],
    [
      "answers with an error",
      /did not answer SSLRequest/,
      message("E", "SFATAL\0C53300\0Mtoo many\0\0"),
    ],
    ["adds bytes in plain", /unencrypted bytes/, Buffer.concat([Buffer.from("S"), OK, READY])],
    ["declines and adds bytes", /unencrypted bytes/, Buffer.concat([Buffer.from("N"), OK, READY])],
  ])("a server that %s", async (_, reason, reply) => {
    const error = await failure(connectTo(answers(reply), { tls }));
    expect(error).toMatchObject({
      sqlstate: "08001",
      message: expect.stringMatching(reason) as string,
    });
  });

  it("does without when it is only preferred, and then sends no cleartext password", async () => {
    const link = await connectTo(answers("N", Buffer.concat([OK, READY])), {
      tls: { mode: "prefer" },
    });
    expect(link.isEncrypted).toBe(false);
    const asks = answers("N", message("R", "\0\0\0\x03"));
    expect(await failure(connectTo(asks, { tls: { mode: "prefer" } }))).toMatchObject({
      message: expect.stringContaining("cleartext") as string,
    });
  });

  it("sends a cleartext password inside, and binds SCRAM to the channel where that is offered", async () => {
    const first = await firstAnswer(message("R", "\0\0\0\x03"));
    expect(first).toBe("p\0\0\0\x0bpencil\0");
    const both = message("R", "\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    expect(await firstAnswer(both)).toMatch(/SCRAM-SHA-256-PLUS.*p=tls-server-end-point,,n=,r=/s);
    expect(await firstAnswer(SASL)).toMatch(/SCRAM-SHA-256\0.*y,,n=,r=/s);
  });

  async function firstAnswer(question: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      const asks = encrypted("server", (socket) => {
        socket.once("data", () => {
          socket.write(question);
          socket.once("data", (answer: Buffer) => {
            resolve(answer.toString("latin1"));
            socket.destroy();
          });
        });
      });
      connectTo(asks, { tls }).then(
        () => {
          reject(new Error("connected"));
        },
        () => undefined,
      );
    });
  }
});

describe("several hosts", () => {
  const refusal = (sqlstate: string) => answers(message("E", `SFATAL\0C${sqlstate}\0Mno\0\0`));
  const good = answers(Buffer.concat([OK, READY]));
  const standby = answers(
    Buffer.concat([
      OK,
      message("S", "in_hot_standby\0on\0"),
      message("S", "default_transaction_read_only\0off\0"),
      READY,
    ]),
  );
  const primary = answers(
    Buffer.concat([
      OK,
      message("S", "in_hot_standby\0off\0"),
      message("S", "default_transaction_read_only\0on\0"),
      READY,
    ]),
  );

  async function attempt(
    scripts: readonly ((socket: Socket) => void)[],
    targetSession: UpstreamOptions["targetSession"],
  ): Promise<unknown> {
    const all = await Promise.all(scripts.map(serverThat));
    const hosts = all.map(({ address }) => address);
    const outcome = await connectTo(good, { hosts, targetSession, timeoutMs: 900 }).catch(
      (error: unknown) => error,
    );
    if (outcome instanceof Error) return outcome;
    return hosts.indexOf((outcome as UpstreamLink).address);
  }

  it.each<
    [string, readonly ((socket: Socket) => void)[], UpstreamOptions["targetSession"], number]
  >([
    ["the first", [good, good], "any", 0],
    ["the next when one hangs", [() => undefined, good], "any", 1],
    ["the next when one is full", [refusal("53300"), good], "any", 1],
    ["the next when one is starting", [refusal("57P03"), good], "any", 1],
    ["the primary", [standby, primary], "primary", 1],
    ["the standby", [primary, standby], "standby", 1],
    ["one that can't tell, for any", [good, primary], "any", 0],
    ["one that can tell, else", [good, primary], "primary", 1],
    ["what can only be read", [primary, standby], "read-only", 0],
  ])("takes %s", async (_, scripts, targetSession, expected) => {
    expect(await attempt(scripts, targetSession)).toBe(expected);
  });

  it("names every reason when there is none", async () => {
    expect(await attempt([standby, primary], "read-write")).toMatchObject({
      sqlstate: "08001",
      message: expect.stringMatching(/not read-write; .*not read-write/) as string,
    });
  });

  it("stops at a refusal that another host would repeat", async () => {
    expect(await attempt([refusal("28P01"), good], "any")).toBeInstanceOf(UpstreamRefused);
  });
});

describe("giving up", () => {
  it("closes the socket, at the deadline and when cancelled", async () => {
    const closed: Promise<unknown>[] = [];
    for (const [options, cancel] of [
      [{ timeoutMs: 200 }, false],
      [{ timeoutMs: 60_000 }, true],
    ] as const) {
      const controller = new AbortController();
      const { address } = await serverThat((socket) => {
        socket.on("data", () => {
          if (cancel) controller.abort();
        });
        closed.push(new Promise((resolve) => socket.once("close", resolve)));
      });
      const attempt = connectTo(() => undefined, {
        ...options,
        hosts: [address],
        signal: controller.signal,
      });
      await expect(attempt).rejects.toMatchObject({ sqlstate: "08001" });
    }
    expect(closed).toHaveLength(2);
    await Promise.all(closed);
  });

  it("doesn't even start when it was cancelled before", async () => {
    const attempt = connectTo(() => undefined, { signal: AbortSignal.abort() });
    await expect(attempt).rejects.toMatchObject({ sqlstate: "08001" });
  });
});
