import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { formatKeyFiles } from "../../src/approvals/ssh-private-key.ts";
import { asked, openTestAdmin } from "./harness.ts";

const missing = ["curl", "jq", "ssh-keygen"].filter((tool) => spawnSync(tool, ["-V"]).error);
if (missing.length > 0)
  process.stderr.write(`no ${missing.join(", ")}: the API is not tried by hand\n`);

it.skipIf(missing.length > 0)("the commands of the reference sign in and approve", async () => {
  const [signIn = "", approve = ""] = Array.from(
    readFileSync("docs/reference/api.md", "utf8").matchAll(/```sh\n(.*?)```/gs),
    ([, block]) => block ?? "",
  );
  const home = mkdtempSync(join(tmpdir(), "twokey-by-hand-"));
  const admin = await openTestAdmin();
  try {
    mkdirSync(join(home, ".ssh"));
    const { privateKeyFile } = formatKeyFiles(Buffer.alloc(32, "bob"), "bob");
    writeFileSync(join(home, ".ssh", "id_ed25519"), privateKeyFile, { mode: 0o600 });
    const id = await admin.open(asked());
    const here = signIn.replace(/^url=.*$/m, `url=${admin.url}/api/v1`);
    const script = `set -eu\n${here}${approve.replaceAll("R-7F3K2M", id)}`;
    await promisify(execFile)("sh", ["-c", script], {
      cwd: home,
      env: { PATH: process.env["PATH"], HOME: home },
    });
    const [request] = (await admin.requests.list({ limit: 1 })).requests;
    expect(request).toMatchObject({ id, state: { kind: "approved" } });
  } finally {
    await admin.close();
    rmSync(home, { recursive: true });
  }
});
