import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
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
  return { kind: "file", path } as const;
}

describe("an upstream credential", () => {
  it.each([
    ["s3cret", "s3cret"],
    ["s3cret\n", "s3cret"],
    ["s3cret\r\n", "s3cret"],
    [" s3cret \n", " s3cret "],
    ["sécret\n", "sécret"],
  ])("in a file with %j is %j", async (text, expected) => {
    expect((await loadCredential(await file(text))).reveal()).toBe(expected);
  });

  it("is read anew each time", async () => {
    const source = await file("old\n");
    await loadCredential(source);
    await file("new\n");
    expect((await loadCredential(source)).reveal()).toBe("new");
  });

  it("can lie in the environment", async () => {
    process.env[VARIABLE] = "from outside";
    const source = { kind: "environment", variable: VARIABLE } as const;
    expect((await loadCredential(source)).reveal()).toBe("from outside");
    expect(await credentialWarning(source)).toBeUndefined();
  });

  it("does not show when printed", async () => {
    const secret = await loadCredential(await file("s3cret"));
    expect(`${String(secret)} ${inspect(secret)} ${JSON.stringify({ secret })}`).not.toContain(
      "s3cret",
    );
  });

  it.each<[string, () => Promise<Parameters<typeof loadCredential>[0]>, RegExp]>([
    [
      "no file",
      () => Promise.resolve({ kind: "file", path: "/nowhere/x" }),
      /"\/nowhere\/x" can't be read/,
    ],
    [
      "no variable",
      () => Promise.resolve({ kind: "environment", variable: VARIABLE }),
      /is not set/,
    ],
    ["an empty file", () => file("\n"), /is empty/],
    ["two lines", () => file("s3cret\nuser\n"), /more than one line/],
    ["a zero byte", () => file("s3cret\0"), /more than one line/],
    ["a huge file", () => file("s3cret".repeat(20_000)), /can't be read/],
  ])("is refused from %s, without being shown", async (_, source, message) => {
    const error = await loadCredential(await source()).catch((reason: unknown) => reason);
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
