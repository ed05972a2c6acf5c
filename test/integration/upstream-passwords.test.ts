import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { readAudit } from "../support/read-audit.ts";
import { ALLOW_ALL, startTestTwokey, type TestTwokey } from "../support/twokey.ts";

let postgres: TestPostgres;
let twokey: TestTwokey;

beforeAll(async () => {
  postgres = await startPostgres();
  await directly("CREATE ROLE dora LOGIN PASSWORD 'as ever'; CREATE ROLE kim LOGIN");
  await directly(
    "SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'as ever'; CREATE ROLE late LOGIN PASSWORD 'as ever' VALID UNTIL '2020-01-01'",
  );
  const asThere = { roles: ["senior"], asks_for: "upstream" };
  const people = { dora: asThere, kim: asThere, old: asThere, late: asThere, ghost: asThere };
  twokey = await startTestTwokey({
    postgres,
    rules: ALLOW_ALL,
    config: {
      people: { ...people, gone: { ...asThere, disabled: true } },
      upstreams: {
        main: {
          host: postgres.host,
          port: postgres.port,
          user: postgres.superuser,
          password: { file: "upstream.password" },
          tls: { mode: "disable" },
          verifiers: {
            user: postgres.superuser,
            password: { file: "upstream.password" },
            refresh: "1s",
          },
        },
      },
    },
  });
});

afterAll(async () => {
  await twokey.stop();
  await postgres.stop();
});

async function directly(sql: string): Promise<void> {
  const { host, port, superuser: user, password } = postgres;
  const client = new pg.Client({ host, port, user, password, database: "postgres" });
  await client.connect();
  await client.query(sql);
  await client.end();
}

/** Who one is on the server, or why not. */
async function connect(user: string, password: string, database = "postgres"): Promise<string> {
  const client = new pg.Client({ host: twokey.host, port: twokey.port, user, password, database });
  try {
    await client.connect();
    const sql = "SELECT current_user || ' ' || session_user AS who";
    const { rows } = await client.query<{ who: string }>(sql);
    return rows[0]?.who ?? "";
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end();
  }
}

const failed = (user: string): string => `password authentication failed for user "${user}"`;

test("the password that somebody has on the server opens Twokey, and the server as them", async () => {
  expect(await connect("dora", "as ever")).toBe("dora dora");
  await expect
    .poll(() => readAudit(twokey.auditDirectory).find(({ event }) => event === "session.start"))
    .toMatchObject({ person: "dora", authentication: "scram-sha-256" });
});

test.each([
  ["dora", "another"],
  ["ghost", "as ever"], // listed, and not on the server
  ["kim", "as ever"], // there without a password
  ["old", "as ever"], // has an MD5 one, which proves nothing to others
  ["late", "as ever"], // ran out on the server
  ["gone", "as ever"], // disabled here
  ["twokey", "as ever"],
  ["postgres", "as ever"], // there, and not listed
])("%s with %j is turned away", async (user, password) => {
  expect(await connect(user, password)).toBe(failed(user));
});

test("a database that nobody configured has no passwords", async () => {
  expect(await connect("dora", "as ever", "elsewhere")).toBe(failed("dora"));
});

test("a changed password counts after the next look, and the old one no more", async () => {
  await directly("ALTER ROLE dora PASSWORD 'anew'");
  await expect.poll(() => connect("dora", "anew"), { timeout: 20_000 }).toBe("dora dora");
  expect(await connect("dora", "as ever")).toBe(failed("dora"));
});

test("nothing of it is in the audit log", () => {
  const log = JSON.stringify(readAudit(twokey.auditDirectory));
  expect(log).not.toMatch(/as ever|anew|SCRAM-SHA-256\$/);
});
