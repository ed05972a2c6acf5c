import { readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loginCommand } from "../../src/cli/login.ts";
import { ShortLivedPasswords } from "../../src/store/short-lived-passwords.ts";
import { runCommand, type Outcome } from "../cli/plain-terminal.ts";
import { readAudit } from "../support/read-audit.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestTwokey, type TestPerson, type TestTwokey } from "../support/twokey.ts";

let postgres: TestPostgres;
let twokey: TestTwokey;

beforeAll(async () => {
  postgres = await startPostgres();
  twokey = await startTestTwokey({ postgres });
});

afterAll(async () => {
  await twokey.stop();
  await postgres.stop();
});

/** `twokey login` as this person. */
async function login(person: TestPerson, ...args: readonly string[]): Promise<Login> {
  const env = { ...process.env, XDG_STATE_HOME: path.join(twokey.directory, "state") };
  const who = ["--url", twokey.adminUrl, "--as", person.name, "--key", person.keyFile];
  const outcome = await runCommand(loginCommand, [...who, ...args], { env });
  return { ...outcome, printed: outcome.stdout.trimEnd() };
}

type Login = Outcome & { readonly printed: string };

async function connect(user: string, password: string): Promise<string> {
  const client = new pg.Client({
    host: twokey.host,
    port: twokey.port,
    user,
    password,
    database: "postgres",
  });
  try {
    await client.connect();
    return "in";
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end();
  }
}

describe("twokey login", () => {
  test("gives a password that opens the proxy, beside the person's own", async () => {
    const { alice, bob } = twokey.people;
    const { status, printed } = await login(alice, "--for", "30m");
    expect(status).toBe(0);
    expect(printed).toMatch(/^[\w-]{32}$/);
    expect(await connect("alice", printed)).toBe("in");
    expect(await connect("alice", alice.password)).toBe("in");
    // It is hers, and nobody else's.
    expect(await connect("bob", printed)).not.toBe("in");
    expect(await connect("bob", bob.password)).toBe("in");
  });

  test("says in the log which it was, and never the password", async () => {
    const { printed } = await login(twokey.people.alice);
    expect(await connect("alice", printed)).toBe("in");
    const method = { authentication: "short-lived-password" };
    await expect
      .poll(() => readAudit(twokey.auditDirectory).filter(({ event }) => event === "session.start"))
      .toContainEqual(expect.objectContaining({ person: "alice", ...method }));
    const records = readAudit(twokey.auditDirectory);
    expect(records).toContainEqual(
      expect.objectContaining({ event: "admin.action", operation: "password.issued" }),
    );
    expect(JSON.stringify(records)).not.toContain(printed);
    const file = path.join(twokey.directory, "data/short-lived-passwords.json");
    expect(readFileSync(file, "utf8")).not.toContain(printed);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("--revoke takes all of them back, and no one else's", async () => {
    const { alice, carol } = twokey.people;
    const [one, two] = [(await login(alice)).printed, (await login(alice)).printed];
    const hers = (await login(carol)).printed;
    expect([await connect("alice", one), await connect("alice", two)]).toEqual(["in", "in"]);
    expect((await login(alice, "--revoke")).printed).toMatch(/^\d+ taken back$/);
    expect(await connect("alice", one)).not.toBe("in");
    expect(await connect("alice", two)).not.toBe("in");
    expect(await connect("carol", hers)).toBe("in");
    expect(await connect("alice", alice.password)).toBe("in");
  });

  test("gives none for longer than the configuration lets it", async () => {
    const { status, stderr } = await login(twokey.people.alice, "--for", "13h");
    expect(status).toBe(1);
    expect(stderr).toContain("at most 43200 s");
  });

  test("writes a pgpass file, with one line for each place", async () => {
    const file = path.join(twokey.directory, "pgpass");
    const where = ["--pgpass", file, "--host", twokey.host, "--port", String(twokey.port)];
    await login(twokey.people.alice, ...where);
    await login(twokey.people.carol, ...where);
    await login(twokey.people.alice, ...where);
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    expect(lines.map((line) => line.split(":").slice(0, 4).join(":"))).toEqual([
      `${twokey.host}:${twokey.port}:*:alice`,
      `${twokey.host}:${twokey.port}:*:carol`,
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await connect("alice", lines[0]?.split(":")[4] ?? "")).toBe("in");
  });

  test("runs a program that finds the password in its environment, and not in its arguments", async () => {
    const script =
      "process.exit(process.env.PGUSER === 'carol' && process.env.PGPASSWORD.length === 32 && process.argv.length === 1 ? 0 : 1)";
    expect((await login(twokey.people.carol, "--", process.execPath, "-e", script)).status).toBe(0);
    const failing = await login(
      twokey.people.carol,
      "--",
      process.execPath,
      "-e",
      "process.exit(3)",
    );
    expect([failing.status, failing.stderr]).toEqual([2, expect.stringContaining("status 3")]);
  });

  test("gives nothing to whoever holds another key", async () => {
    const { alice, bob } = twokey.people;
    // Without the sign-in that she has left on this machine.
    rmSync(path.join(twokey.directory, "state"), { recursive: true });
    const forged = await login({ ...alice, keyFile: bob.keyFile });
    expect(forged.status).not.toBe(0);
    expect(forged.printed).toBe("");
  });
});

test("a password is good until it has run out, and outlives a restart", () => {
  const file = path.join(twokey.directory, "kept.json");
  const kept = new ShortLivedPasswords(file);
  kept.add({ id: "a", person: "alice", verifier: "v", expiresAtMs: 2000 }, 0);
  const restarted = new ShortLivedPasswords(file);
  expect(restarted.of("alice", 1999).map(({ id }) => id)).toEqual(["a"]);
  expect(restarted.of("alice", 2000)).toEqual([]);
  expect(restarted.of("bob", 0)).toEqual([]);
  for (let index = 0; index < 30; index++)
    restarted.add({ id: `${index}`, person: "alice", verifier: "v", expiresAtMs: 5000 }, 0);
  expect(kept.of("alice", 1)).toHaveLength(10);
  expect(kept.of("alice", 1).at(-1)?.id).toBe("29");
});
