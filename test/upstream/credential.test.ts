import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { SecretSource } from "../../src/config/secret-source.ts";
import { credentialWarning, loadCredential } from "../../src/upstream/credential.ts";

const VARIABLE = "TWOKEY_TEST_UPSTREAM_PASSWORD";
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "twokey-test-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

afterEach(() => {
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- process.env is not an ordinary object
  delete process.env[VARIABLE];
});

async function file(text: string, mode = 0o600) {
  const path = join(folder, "credential");
  await writeFile(path, text);
  await chmod(path, mode);
  return { from: "file", path } as const;
}

describe("an upstream credential", () => {
  it.each([
    ["s3cret", "s3cret"],
    ["s3cret\n", "s3cret"],
    ["s3cret\r\n", "s3cret"],
    [" s3cret \n", " s3cret "],
    ["sécret\n", "sécret"],
  ])("in a file with %j is %j", async (text, expected) => {
    expect(loadCredential(await file(text)).reveal()).toBe(expected);
  });

  it("is read anew each time", async () => {
    const source = await file("old\n");
    loadCredential(source);
    await file("new\n");
    expect(loadCredential(source).reveal()).toBe("new");
  });

  it("can lie in the environment", async () => {
    process.env[VARIABLE] = "from outside";
    const source = { from: "env", name: VARIABLE } as const;
    expect(loadCredential(source).reveal()).toBe("from outside");
    expect(await credentialWarning(source)).toBeUndefined();
  });

  it("does not show when printed", async () => {
    const secret = loadCredential(await file("s3cret"));
    expect(`${String(secret)} ${inspect(secret)} ${JSON.stringify({ secret })}`).not.toContain(
      "s3cret",
    );
  });

  it.each<[string, () => Promise<SecretSource>, RegExp]>([
    [
      "no file",
      () => Promise.resolve({ from: "file", path: "/nowhere/x" }),
      /"\/nowhere\/x" can't be read/,
    ],
    [
      "no variable",
      () => Promise.resolve({ from: "env", name: VARIABLE }),
      /can't be read or is empty/,
    ],
    ["an empty file", () => file("\n"), /is empty/],
    ["two lines", () => file("s3cret\nuser\n"), /more than one line/],
    ["a zero byte", () => file("s3cret\0"), /more than one line/],
  ])("is refused from %s, without being shown", async (_, place, message) => {
    const source = await place();
    const error = failureOf(() => loadCredential(source));
    expect(error).toMatchObject({
      sqlstate: "08001",
      message: expect.stringMatching(message) as string,
    });
    expect(inspect(error)).not.toContain("s3cret");
  });

  it.each([
    [0o600, undefined],
    [0o400, undefined],
    [0o640, "0640"],
    [0o604, "0604"],
    [0o777, "0777"],
  ])("in a file of mode %o warns: %s", async (mode, expected) => {
    const warning = await credentialWarning(await file("s3cret", mode));
    if (expected === undefined) expect(warning).toBeUndefined();
    else expect(warning).toContain(expected);
  });
});

function failureOf(attempt: () => unknown): unknown {
  try {
    return attempt();
  } catch (error) {
    return error;
  }
}
