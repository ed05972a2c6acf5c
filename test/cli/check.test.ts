import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkCommand } from "../../src/cli/check.ts";
import { runCommand, type Outcome } from "./plain-terminal.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "twokey-check-"));
  writeFileSync(join(directory, "bad.yaml"), "roles: [a, a]\nrule: []\n");
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function check(...argv: string[]): Promise<Outcome> {
  return runCommand(checkCommand, argv);
}

test("says what a good configuration holds", async () => {
  const { status, stdout } = await check("--offline", "--config", "config/minimal.yaml");
  expect(status).toBe(0);
  expect(stdout).toBe(
    "config/minimal.yaml: no mistakes (2 rules, 1 database, 1 environment, 2 principals)\n",
  );
});

test("looks for the files and variables that it names, unless told otherwise", async () => {
  const { status, stdout } = await check("--config", "config/minimal.yaml");
  expect(status).toBe(1);
  expect(stdout).toContain(
    "config/minimal.yaml:7:22 upstreams.main.password.env - environment variable TWOKEY_UPSTREAM_PASSWORD is not set\n",
  );
  expect(stdout.trim().split("\n")).toHaveLength(4);
});

test("lists every mistake, and leaves with 1", async () => {
  const file = join(directory, "bad.yaml");
  const { status, stdout, stderr } = await check("--config", file);
  expect(status).toBe(1);
  expect(stdout.replaceAll(`${file}:`, "")).toBe(
    [
      "1:1 upstreams - is missing: must be keys with values",
      "1:1 databases - is missing: must be keys with values",
      "1:1 environments - is missing: must be keys with values",
      "1:1 rules - is missing: must be a list",
      '1:12 roles.1 - "a" is given twice; names are unique',
      '2:1 rule - is not known here; did you mean "rules"?',
      "",
    ].join("\n"),
  );
  expect(stderr).toBe(`6 mistakes in ${file}`);
});

test("prints JSON for scripts", async () => {
  const good = await check("--json", "--offline", "--config", "config/minimal.yaml");
  expect(JSON.parse(good.stdout)).toEqual({ ok: true, mistakes: [] });
  const bad = await check("--json", "--config", join(directory, "bad.yaml"));
  expect(bad.status).toBe(1);
  expect(JSON.parse(bad.stdout)).toMatchObject({
    ok: false,
    mistakes: expect.arrayContaining([expect.stringContaining("2:1 rule - ")]) as string[],
  });
});

test("leaves with 2 where it could not tell", async () => {
  expect(await check("--config", join(directory, "nowhere.yaml"))).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("can't be read") as string,
  });
  expect(await check()).toMatchObject({ status: 2 });
});

test("prints a JSON Schema that an editor takes", async () => {
  const { status, stdout } = await check("--schema");
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    $schema: "https://json-schema.org/draft/2020-12/schema",
    required: ["upstreams", "databases", "environments", "roles", "rules"],
    additionalProperties: false,
  });
});
