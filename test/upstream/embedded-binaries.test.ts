import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findBinaries } from "../../src/upstream/embedded-binaries.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "twokey-test-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function script(text: string): Promise<void> {
  const path = join(folder, "postgres");
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
}

const find = () => findBinaries({ binDir: folder, privateDir: folder, account: undefined });

describe("the programs in a folder", () => {
  it("are taken, with their version", async () => {
    await script('echo "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"');
    expect(await find()).toEqual({
      initdb: join(folder, "initdb"),
      postgres: join(folder, "postgres"),
      version: "15.18",
    });
  });

  it.each([
    ["don't run", "exit 127"],
    ["are something else", "echo nginx/1.22"],
  ])("are refused when they %s", async (_, text) => {
    await script(text);
    await expect(find()).rejects.toThrow(/can't run .*postgres/);
  });

  it("are refused when they aren't there", async () => {
    await expect(find()).rejects.toThrow(/can't run/);
  });
});
