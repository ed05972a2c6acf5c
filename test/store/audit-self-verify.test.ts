import { createPublicKey, generateKeyPairSync } from "node:crypto";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Finding } from "../../src/audit/finding.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { AuditKeeper } from "../../src/store/audit-keeper.ts";
import { AuditSelfVerifier } from "../../src/store/audit-self-verifier.ts";

const { privateKey } = generateKeyPairSync("ed25519");
let directory: string;
let audit: AuditFile;
let nowMs: number;
let found: Finding[];
let verifier: AuditSelfVerifier;

const WHOLE_MS = 3_600_000;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(tmpdir(), "twokey-self-verify-"));
  audit = AuditFile.open({
    directory,
    durability: "normal",
    signingKey: privateKey,
    limits: { checkpointEveryRecords: 16, maxFileBytes: 40_000, spillAboveBytes: 2000 },
  });
  nowMs = 1e12;
  found = [];
  verifier = new AuditSelfVerifier({
    directory,
    publicKey: createPublicKey(privateKey),
    anchorFile: undefined,
    wholeEveryMs: WHOLE_MS,
    audit,
    onFinding: (finding) => found.push(finding),
    now: () => nowMs,
  });
});
afterEach(async () => {
  await verifier.close();
  await audit.close();
  fs.rmSync(directory, { recursive: true });
});

async function write(records: number): Promise<void> {
  for (let n = 0; n < records; n += 1) {
    const target = `target-${n}`;
    const record = { event: "admin.action", person: "bob", operation: "test", target } as const;
    const seq = audit.append({ ...record, outcome: "done" });
    // A file is closed after a sync.
    if (n % 20 === 19) await audit.synced(seq);
  }
  audit.flush();
}

function files(): string[] {
  return listAuditFiles(directory).map((file) => file.path);
}

function change(file: string, from: string, to: string): void {
  const bytes = fs.readFileSync(file);
  const at = bytes.indexOf(from);
  expect(at).not.toBe(-1);
  bytes.write(to, at);
  fs.writeFileSync(file, bytes);
}

const keep = (limits: { bytes?: number }): Promise<void> =>
  new AuditKeeper({
    directory,
    compress: true,
    keep: limits,
    shippedSeq: () => Infinity,
    audit,
    now: Date.now,
  }).run();

describe("a log as it was written", () => {
  it("has no findings, round after round, while it is written, closed, compressed and removed", async () => {
    for (let round = 0; round < 6; round += 1) {
      await write(300);
      const [, writing] = await Promise.all([verifier.run(), write(100), keep({ bytes: 60_000 })]);
      expect(writing).toBeUndefined();
      if (round === 3) nowMs += WHOLE_MS;
    }
    expect(files().some((file) => file.endsWith(".zst"))).toBe(true);
    expect(listAuditFiles(directory)[0]?.firstSeq).toBeGreaterThan(1);
    nowMs += WHOLE_MS;
    await verifier.run();
    expect(found).toEqual([]);
  });

  it("may end in anything after its newest checkpoint", async () => {
    await write(40);
    fs.appendFileSync(files().at(-1) ?? "", '{"seq":9999,"half a rec\nmore of it\n');
    await verifier.run();
    expect(found).toEqual([]);
  });
});

describe("a log that was tampered with", () => {
  it("is told of once, and not again when what follows is verified", async () => {
    await write(100);
    await verifier.run();
    await write(100);
    change(files().at(-1) ?? "", "target-9", "target-8");
    nowMs += WHOLE_MS;
    await verifier.run();
    expect(found).toMatchObject([{ kind: "edited" }]);
    await write(100);
    await verifier.run();
    nowMs += WHOLE_MS;
    await verifier.run();
    expect(found).toHaveLength(1);
  });

  it.each<[what: string, tamper: () => Promise<void> | void, kind: string]>([
    [
      "edited since the last time",
      () => {
        change(files().at(-1) ?? "", "target-40", "target-41");
      },
      "edited",
    ],
    [
      "edited in a closed file since the last time",
      async () => {
        const [writtenTo] = files().slice(-1);
        await write(300);
        expect(files().at(-1)).not.toBe(writtenTo);
        change(writtenTo ?? "", "target-40", "target-41");
      },
      "edited",
    ],
    [
      "cut off",
      () => {
        const file = files().at(-1) ?? "";
        fs.truncateSync(file, fs.statSync(file).size - 6000);
      },
      "truncated",
    ],
  ])("is found without reading all of it: %s", async (_, tamper, kind) => {
    await write(30);
    await verifier.run();
    await write(60);
    await tamper();
    await verifier.run();
    expect(found.map((finding) => finding.kind)).toContain(kind);
  });

  it("is found by reading all of it: its oldest file is gone, and no record says why", async () => {
    await write(600);
    await verifier.run();
    fs.rmSync(files()[0] ?? "");
    nowMs += WHOLE_MS;
    await write(20);
    await verifier.run();
    expect(found).toMatchObject([{ kind: "deleted", seq: 1 }]);
  });

  it("is found by reading all of it: what is beside it, and what is compressed", async () => {
    audit.append({
      event: "request.closed",
      request: "R-1",
      outcome: "expired",
      ...audit.statementText("SELECT 1".padEnd(3000)),
    });
    await write(600);
    await keep({});
    await verifier.run();
    expect(found).toEqual([]);
    const [name = ""] = fs.readdirSync(path.join(directory, "spilled"));
    fs.appendFileSync(path.join(directory, "spilled", name), " ");
    const archived = files()[1] ?? "";
    const bytes = fs.readFileSync(archived);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    fs.writeFileSync(archived, bytes);
    nowMs += WHOLE_MS;
    await verifier.run();
    expect(found.map(({ kind }) => kind)).toContain("attachment");
    expect(found.length).toBeGreaterThan(1);
  });
});
