import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { searchDirectory } from "../../src/store/audit-search.ts";
import { verifyDirectory } from "../../src/store/audit-verify.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { PUBLIC_KEY, SIGNING_KEY } from "../support/audit-chain.ts";

let directory: string;

beforeEach(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-audit-"));
  await openAndClose();
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

async function openAndClose(): Promise<void> {
  await AuditFile.open({ directory, signingKey: SIGNING_KEY, durability: "normal" }).close();
}

function logFile(): string {
  return listAuditFiles(directory).at(-1)?.path ?? "";
}

function findings(): string[] {
  return verifyDirectory(directory, { publicKeys: [PUBLIC_KEY], anchors: [] }).flatMap((report) =>
    report.findings.map(({ kind, seq }) => `${kind} ${seq}`),
  );
}

function opened(): unknown[] {
  return [...searchDirectory(directory, { event: "chain.opened" })].map(
    ({ record }) => record.fields["after"],
  );
}

describe("a chain is taken up again", () => {
  it("after an orderly end", async () => {
    await openAndClose();
    expect(opened()).toEqual(["nothing", "close"]);
    expect(findings()).toEqual([]);
  });

  it("wherever its writer was killed within a record", async () => {
    const whole = fs.readFileSync(logFile());
    const lineEnds = [...whole.keys()].filter((i) => whole[i] === 0x0a).map((i) => i + 1);
    for (let length = 0; length < whole.length; length += 29) {
      fs.writeFileSync(logFile(), whole.subarray(0, length));
      await openAndClose();
      expect(findings()).toEqual([]);
      const kept = Math.max(0, ...lineEnds.filter((lineEnd) => lineEnd <= length));
      const torn = fs.readdirSync(directory).filter((name) => name.startsWith("torn-"));
      expect(torn.map((name) => fs.statSync(path.join(directory, name)).size)).toEqual(
        kept === length ? [] : [length - kept],
      );
      expect(opened().at(-1)).toBe("crash");
      torn.forEach((name) => {
        fs.unlinkSync(path.join(directory, name));
      });
    }
  });

  it("and what was set aside is verified with it", async () => {
    fs.appendFileSync(logFile(), `{"seq":`);
    await openAndClose();
    expect(findings()).toEqual([]);
    const torn = fs.readdirSync(directory).find((name) => name.startsWith("torn-")) ?? "";
    fs.appendFileSync(path.join(directory, torn), "1");
    expect(findings()).toEqual(["attachment 5"]);
    fs.unlinkSync(path.join(directory, torn));
    expect(findings()).toEqual(["attachment 5"]);
  });

  it("after a power cut left zeros or whole lines of something else at its end", async () => {
    fs.appendFileSync(logFile(), Buffer.concat([Buffer.alloc(5000), Buffer.from("x\ny\n")]));
    await openAndClose();
    expect(findings()).toEqual([]);
    const [torn] = [...searchDirectory(directory, { event: "chain.torn_tail" })];
    expect(torn?.record.fields).toMatchObject({ bytes: 5004, whole_lines: 2 });
  });

  it("when it was killed right after it had begun another file", async () => {
    const next = logFile().replace(/\d{12}\.jsonl$/, "000000000005.jsonl");
    for (const content of ["", `{"seq":5`]) {
      fs.writeFileSync(next, content);
      await openAndClose();
      expect(findings()).toEqual([]);
      expect(fs.existsSync(next)).toBe(false);
    }
  });
});

describe("a chain is not taken up", () => {
  it("on an end that no writer leaves", async () => {
    fs.writeFileSync(logFile(), Buffer.alloc(9 << 20, "x"));
    await expect(openAndClose()).rejects.toThrow("ends in what is no record");
    expect(fs.statSync(logFile()).size).toBe(9 << 20);
  });

  it("when its first file is gone and the rest is empty", async () => {
    const later = logFile().replace(/\d{12}\.jsonl$/, "000000000005.jsonl");
    fs.unlinkSync(logFile());
    fs.writeFileSync(later, "");
    await expect(openAndClose()).rejects.toThrow("ends in what is no record");
  });

  it("when there are two", async () => {
    fs.writeFileSync(path.join(directory, "audit-00000000000000aa-000000000001.jsonl"), "");
    await expect(openAndClose()).rejects.toThrow("more than one chain");
  });
});
