import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Secret } from "../../src/base/secret.ts";
import { cancelUpstream } from "../../src/upstream/cancel.ts";
import {
  connectUpstream,
  type UpstreamLink,
  type UpstreamOptions,
} from "../../src/upstream/connect.ts";
import type { UpstreamAddress, UpstreamTls } from "../../src/upstream/dial.ts";
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from "../../src/upstream/embedded-postgres.ts";
import { UpstreamRefused } from "../../src/upstream/startup-messages.ts";
import { pem } from "../support/pem.ts";

// U+00AA is what SASLprep changes: our verifier must come out as the server's.
const PASSWORD = "sécret ª";
const TLS: UpstreamTls = { mode: "verify-full", ca: pem("ca.crt") };
const READY_FOR_QUERY = Buffer.from("Z\0\0\0\x05");
const PLAIN: UpstreamTls = { mode: "disable" };

let server: EmbeddedPostgres;
const links: UpstreamLink[] = [];

beforeAll(async () => {
  server = await startEmbeddedPostgres({
    superuser: "boss",
    password: new Secret(PASSWORD),
    tls: { certificate: pem("server.crt"), key: new Secret(pem("server.key")) },
    hba: [
      "host all md5_user all md5",
      "host all clear_user all password",
      "host all trusted all trust",
      "host all barred all reject",
      "hostssl all tls_only all scram-sha-256",
    ],
  });
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: "boss",
    password: PASSWORD,
    database: "postgres",
  });
  await client.connect();
  await client.query(`
    SET password_encryption = 'md5';
    CREATE ROLE md5_user LOGIN PASSWORD 'md5 word';
    SET password_encryption = 'scram-sha-256';
    CREATE ROLE clear_user LOGIN PASSWORD 'clear word';
    CREATE ROLE tls_only LOGIN PASSWORD 'tls word';
    CREATE ROLE trusted LOGIN;
    CREATE ROLE barred LOGIN;
    CREATE ROLE full_house LOGIN CONNECTION LIMIT 0 PASSWORD 'x'`);
  await client.query("CREATE DATABASE shop");
  await client.end();
});

afterAll(async () => {
  for (const { connection } of links) connection.destroy();
  await server.stop();
});

function tcp(port = server.port, host = "127.0.0.1"): UpstreamAddress {
  return { kind: "tcp", host, port };
}

function unix(): UpstreamAddress {
  return { kind: "unix", path: `${server.socketDir}/.s.PGSQL.${server.port}` };
}

async function connect({
  password = PASSWORD,
  ...options
}: Partial<Omit<UpstreamOptions, "password">> & { password?: string } = {}): Promise<UpstreamLink> {
  const link = await connectUpstream({
    hosts: [tcp()],
    targetSession: "any",
    tls: PLAIN,
    user: "boss",
    database: "shop",
    password: () => Promise.resolve(new Secret(password)),
    parameters: new Map([["application_name", "twokey test"]]),
    minorVersion: 0,
    timeoutMs: 10_000,
    ...options,
  });
  links.push(link);
  return link;
}

/** Sends a Query, and gives all that comes up to ReadyForQuery, as text. */
async function query({ connection }: UpstreamLink, sql: string): Promise<string> {
  const body = Buffer.from(`${sql}\0`);
  const header = Buffer.from([0x51, 0, 0, 0, 0]);
  header.writeUInt32BE(4 + body.length, 1);
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    connection.listen({
      onChunk: (view) => {
        answer = Buffer.concat([answer, view]);
        if (answer.subarray(-6, -1).equals(READY_FOR_QUERY)) resolve(answer.toString("latin1"));
      },
      onDrain: () => undefined,
      onClose: (error) => {
        reject(error ?? new Error("closed"));
      },
    });
    connection.write(Buffer.concat([header, body]));
  });
}

const IN_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

describe("a link to a real server", () => {
  it("is ready for queries, with what the server reported", async () => {
    const link = await connect();
    expect(link.parameters.get("server_version")).toBe(server.version);
    expect(link.parameters.get("application_name")).toBe("twokey test");
    expect(link.transactionStatus).toBe("I");
    expect(link.key?.secret).toHaveLength(4);
    expect(link.notices).toEqual([]);
    expect(await query(link, "SELECT current_user || '@' || current_database()")).toContain(
      "boss@shop",
    );
  });

  it("goes over a Unix socket, without TLS whatever the mode", async () => {
    const link = await connect({ hosts: [unix()], tls: TLS });
    expect(link.isEncrypted).toBe(false);
    expect(await query(link, "SELECT 'over ' || 'unix'")).toContain("over unix");
  });

  it.each<[string, UpstreamTls]>([
    ["verify-full", TLS],
    ["verify-ca", { ...TLS, mode: "verify-ca" }],
    ["require", { mode: "require" }],
    ["prefer", { mode: "prefer" }],
    ["direct", { ...TLS, isDirect: true }],
  ])("is encrypted: %s", async (_, tls) => {
    const link = await connect({ hosts: [tcp(server.port, "localhost")], tls });
    expect(link.isEncrypted).toBe(true);
    expect(await query(link, IN_TLS)).toContain("\x01t");
    // Bigger than one TLS record.
    expect((await query(link, "SELECT repeat('x', 300000)")).length).toBeGreaterThan(300_000);
  });

  it("speaks protocol 3.2 when asked, with its longer cancel key", async () => {
    const link = await connect({ minorVersion: 2 });
    expect(link.minorVersion).toBe(2);
    expect(link.key?.secret.length).toBeGreaterThan(4);
  });

  it.each([
    ["md5_user", "md5 word", PLAIN],
    ["clear_user", "clear word", TLS],
    ["trusted", "not asked for", PLAIN],
    ["tls_only", "tls word", TLS],
  ])("logs in as %s", async (user, password, tls) => {
    const link = await connect({ user, password, tls });
    expect(await query(link, "SELECT current_user")).toContain(user);
  });

  it("delivers a large result unchanged, through one reused buffer", async () => {
    const link = await connect();
    const answer = await query(
      link,
      "SELECT string_agg(lpad(i::text, 8), '') FROM generate_series(1, 500000) i",
    );
    expect(answer).toContain("       1       2");
    expect(answer).toContain("  499999  500000");
    expect(answer.length).toBeGreaterThan(4_000_000);
    expect(await query(link, "SELECT 'still ' || 'here'")).toContain("still here");
  });

  it("cancels what a session is doing", async () => {
    for (const tls of [PLAIN, TLS]) {
      const link = await connect({ tls, minorVersion: 2 });
      const sleeping = query(link, "SELECT pg_sleep(30)");
      await waitUntilActive();
      await cancelUpstream(link, { tls, timeoutMs: 5_000 });
      expect(await sleeping).toContain("57014");
      link.connection.destroy();
    }
  });

  it("tells the listener when the server ends the session", async () => {
    const link = await connect();
    const ended = new Promise((resolve) => {
      let text = "";
      link.connection.listen({
        onChunk: (view) => (text += view.toString("latin1")),
        onDrain: () => undefined,
        onClose: (error) => {
          resolve({ text, error });
        },
      });
    });
    const killer = await connect();
    await query(killer, `SELECT pg_terminate_backend(${link.key?.processId ?? 0})`);
    expect(await ended).toMatchObject({
      text: expect.stringContaining("57P01") as string,
      error: undefined,
    });
  });
});

async function waitUntilActive(): Promise<void> {
  const watcher = await connect();
  await expect
    .poll(() =>
      query(watcher, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
    )
    .toContain("\x011");
}

describe("a link that can't be had", () => {
  it.each<[string, string, Parameters<typeof connect>[0]]>([
    ["an unknown database", "3D000", { database: "none" }],
    ["a wrong password of ours", "28P01", { password: "wrong" }],
    ["a role that pg_hba rejects", "28000", { user: "barred" }],
    ["a role without room", "53300", { user: "full_house", password: "x" }],
    ["an unknown setting", "42704", { parameters: new Map([["no_such_setting", "1"]]) }],
  ])("%s: the server's own error", async (_, sqlstate, options) => {
    const error = await failure(options);
    expect(error).toBeInstanceOf(UpstreamRefused);
    expect(error).toMatchObject({ sqlstate });
  });

  it.each<[string, RegExp, () => Parameters<typeof connect>[0]]>([
    ["no server", /ECONNREFUSED/, () => ({ hosts: [tcp(1)] })],
    [
      "no Unix socket",
      /ENOENT/,
      () => ({ hosts: [{ kind: "unix", path: "/nowhere/.s.PGSQL.1" }] }),
    ],
    [
      "another authority",
      /certificate|issuer/,
      () => ({ tls: { ...TLS, ca: pem("rogue-ca.crt") } }),
    ],
    ["no authority at all", /certificate|issuer/, () => ({ tls: { mode: "verify-ca" } })],
    [
      "cleartext without TLS",
      /cleartext password/,
      () => ({ user: "clear_user", password: "clear word" }),
    ],
    ["another kind of session", /not standby/, () => ({ targetSession: "standby" })],
    ["no hosts", /no upstream host/, () => ({ hosts: [] })],
  ])("%s", async (_, message, options) => {
    const error = await failure(options());
    expect(error).toMatchObject({
      sqlstate: "08001",
      message: expect.stringMatching(message) as string,
    });
  });

  it("never shows the password", async () => {
    const { inspect } = await import("node:util");
    for (const options of [
      { user: "clear_user" },
      { tls: TLS },
      { user: "md5_user" },
      { database: "none" },
    ]) {
      const password = "5ecret-in-an-error";
      const error = await failure({ ...options, password });
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(password);
    }
  });
});

describe("several hosts", () => {
  it("takes the first that gives a session of the right kind", async () => {
    const link = await connect({ hosts: [tcp(1), tcp()], targetSession: "read-write" });
    expect(link.address).toEqual(tcp());
  });

  it("doesn't ask another when the first knows the answer", async () => {
    expect(await failure({ hosts: [tcp(), tcp(1)], database: "none" })).toBeInstanceOf(
      UpstreamRefused,
    );
  });
});

async function failure(options: Parameters<typeof connect>[0]): Promise<unknown> {
  return connect(options).then(
    () => "connected",
    (error: unknown) => error,
  );
}
