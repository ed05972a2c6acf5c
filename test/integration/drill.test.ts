import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { Program } from "../support/processes.ts";

describe("twokey drill", { timeout: 180_000 }, () => {
  it("passes, step by step, and tells the times of that morning", async () => {
    const { status, stdout } = await new Program(["drill"]).ended();
    expect(stdout.match(/^✓ \d/gm)).toHaveLength(8);
    expect(stdout).not.toContain("✗");
    expect(stdout).toMatch(/"who dropped it" was answered in \d+ ms/);
    expect(status).toBe(0);
  });

  it("needs neither psql nor ssh-keygen, prints facts as JSON, and leaves nothing behind", async () => {
    const bare = mkdtempSync(join(tmpdir(), "twokey-bare-"));
    symlinkSync(programFile("id"), join(bare, "id"));
    const temporary = mkdtempSync(join(tmpdir(), "twokey-tmp-"));
    chmodSync(temporary, 0o711);
    try {
      const env = { ...process.env, PATH: bare, TMPDIR: temporary };
      const { status, stdout, stderr } = await new Program(["drill", "--json"], env).ended();
      expect(stderr).not.toContain("error:");
      const { ok, steps } = JSON.parse(stdout) as { ok: boolean; steps: { ok: boolean }[] };
      expect({ status, ok, steps: steps.filter((step) => step.ok).length }).toEqual({
        status: 0,
        ok: true,
        steps: 8,
      });
      expect(readdirSync(temporary).filter((name) => name.startsWith("twokey-"))).toEqual([]);
    } finally {
      rmSync(bare, { recursive: true });
      rmSync(temporary, { recursive: true });
    }
  });
});

function programFile(name: string): string {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const file = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (file === undefined) throw new Error(`there is no ${name} here`);
  return file;
}
