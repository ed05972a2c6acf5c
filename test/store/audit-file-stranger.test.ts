import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSigningKey } from "../../src/store/audit-file-key.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { AuditFile } from "../../src/store/audit-file.ts";

const CHECKER = fileURLToPath(new URL("../support/verify_chain.py", import.meta.url));
const missing = ["python3", "openssl"].filter(
  (command) => spawnSync(command, ["--help"]).error !== undefined,
);
let directory: string;
let publicKey: string;

beforeEach(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-audit-"));
  const keyFile = path.join(directory, "key.pem");
  publicKey = `${keyFile}.pub`;
  const audit = AuditFile.open({
    directory,
    signingKey: openSigningKey(keyFile),
    durability: "normal",
    limits: { maxFileBytes: 20_000, checkpointEveryRecords: 10 },
  });
  for (let i = 0; i < 100; i += 1) {
    const reason = `"\\\u0000\u2028\ud800 ü ${"x".repeat(i * 10)}`;
    await audit.synced(
      audit.append({ event: "approval.rejected", request: `R-${i}`, person: "bob", reason }),
    );
  }
  await audit.close();
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

function stranger(): string {
  return spawnSync("python3", [CHECKER, directory, publicKey], { encoding: "utf8" })
    .stdout.replace(/^[0-9a-f]{16} /, "")
    .trim();
}

/** A checker in another language, written from the format's description, comes to the same answers. */
describe.skipIf(missing.length > 0)(`a stranger's checker`, () => {
  it("agrees that a log is as it was written", () => {
    expect(stranger()).toMatch(/^ok 1\d\d$/);
  });

  it("agrees on an edit", () => {
    const [, file] = listAuditFiles(directory);
    const content = fs.readFileSync(file?.path ?? "", "utf8");
    fs.writeFileSync(file?.path ?? "", content.replace("bob", "eve"));
    expect(stranger()).toBe(`bad ${file?.firstSeq} its hash is not the hash of its bytes`);
  });

  it("agrees on a file that is gone", () => {
    const [, file] = listAuditFiles(directory);
    fs.unlinkSync(file?.path ?? "");
    expect(stranger()).toMatch(new RegExp(`^bad ${file?.firstSeq} record \\d+ stands here$`));
  });

  it("agrees on a checkpoint signed by somebody else", () => {
    openSigningKey(path.join(directory, "other.pem"));
    fs.copyFileSync(path.join(directory, "other.pem.pub"), publicKey);
    expect(stranger()).toBe("bad 2 a checkpoint is not signed by the key");
  });
});

if (missing.length > 0) {
  it(`needs ${missing.join(" and ")}, not found here`, (context) => {
    context.skip(`without ${missing.join(" and ")} nobody else can check`);
  });
}
