import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { userCommand } from "../../src/cli/user.ts";
import { runCommand } from "../cli/plain-terminal.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";

const PASSWORD = "correct horse";

let postgres: TestPostgres;
let twokey: TestTwokey;
let folder: string;
let peopleFile: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "twokey-people-"));
  peopleFile = path.join(folder, "people.yaml");
  writeFileSync(peopleFile, "people: {}\n");
  postgres = await startPostgres();
  twokey = await startTestTwokey({
    postgres,
    config: { people_file: peopleFile },
  });
});

afterAll(async () => {
  await twokey.stop();
  await postgres.stop();
  rmSync(folder, { recursive: true });
});

async function user(...argv: readonly string[]): Promise<void> {
  const [sub = "", ...rest] = argv;
  const ran = await runCommand(userCommand, [sub, "--config", twokey.configFile, ...rest], {
    stdin: PASSWORD,
  });
  expect(ran).toMatchObject({ status: 0 });
}

/** Logs in and runs a statement. */
async function logIn(name: string, password = PASSWORD): Promise<string> {
  const client = new pg.Client({
    host: twokey.host,
    port: twokey.port,
    user: name,
    password,
    database: "postgres",
  });
  try {
    await client.connect();
    await client.query("SELECT 1");
    return "in";
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end();
  }
}

const failed = (name: string): string => `password authentication failed for user "${name}"`;

test("who is added, disabled or given a new password is so at the next log-in", async () => {
  expect(await logIn("dora")).toBe(failed("dora"));
  await user("add", "dora", "--role", "senior");
  expect(await logIn("dora")).toBe("in");
  await user("disable", "dora");
  expect(await logIn("dora")).toBe(failed("dora"));
  await user("enable", "dora");
  expect(await logIn("dora")).toBe("in");
  writeFileSync(path.join(folder, "new"), "another horse");
  await user("password", "dora", "--password-file", path.join(folder, "new"));
  expect(await logIn("dora")).toBe(failed("dora"));
  expect(await logIn("dora", "another horse")).toBe("in");
  writeFileSync(peopleFile, "people: [no use\n");
  expect(await logIn("dora", "another horse")).toBe("in");
  writeFileSync(peopleFile, "people: {}\n");
  expect(await logIn("dora", "another horse")).toBe(failed("dora"));
  expect(await logIn("alice", twokey.people.alice.password)).toBe("in");
});
