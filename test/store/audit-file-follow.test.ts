import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseRecord } from "../../src/audit/record.ts";
import { followLines, lastLines, type TailPlace } from "../../src/store/audit-file-follow.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { SIGNING_KEY } from "../support/audit-chain.ts";

let directory: string;
let audit: AuditFile;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-audit-"));
  audit = AuditFile.open({
    directory,
    signingKey: SIGNING_KEY,
    durability: "normal",
    limits: { maxFileBytes: 50_000 },
  });
});

afterEach(async () => {
  await audit.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function write(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await audit.synced(
      audit.append({
        event: "admin.action",
        person: "bob",
        operation: "x".repeat((i * 97) % 2000),
        outcome: "done",
      }),
    );
  }
}

function seqs(lines: readonly Buffer[]): number[] {
  return lines.map((line) => parseRecord(line).seq);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

function placeNow(): TailPlace {
  const { place } = lastLines(directory, 0);
  if (place === undefined) throw new Error("no log");
  return place;
}

describe("lastLines", () => {
  it("are the last, over as many files as it takes", async () => {
    await write(200);
    expect(listAuditFiles(directory).length).toBeGreaterThan(3);
    const { seq: last } = parseRecord(lastLines(directory, 1).lines[0] as Buffer);
    for (const count of [0, 1, 5, 70, 199]) {
      expect(seqs(lastLines(directory, count).lines)).toEqual(range(last - count + 1, last));
    }
    expect(seqs(lastLines(directory, 10_000).lines)).toEqual(range(1, last));
  });

  it("leave out one that is not written to its end", async () => {
    await write(1);
    fs.appendFileSync(listAuditFiles(directory)[0]?.path ?? "", `{"seq":`);
    expect(seqs(lastLines(directory, 1).lines)).toEqual([3]);
  });

  it("are none without a log", () => {
    fs.mkdirSync(path.join(directory, "empty"));
    expect(lastLines(path.join(directory, "empty"), 5)).toEqual({ lines: [], place: undefined });
  });
});

describe("followLines", () => {
  it("gives every line once, over all files, until it is stopped", async () => {
    const from = placeNow();
    const stop = new AbortController();
    const writing = write(150);
    const found: number[] = [];
    for await (const line of followLines(directory, from, stop.signal)) {
      const { seq, event } = parseRecord(line);
      found.push(seq);
      if (found.length === 150 && event !== "never") stop.abort();
    }
    await writing;
    expect(found.slice(0, 150)).toEqual(range(3, 152));
    expect(listAuditFiles(directory).length).toBeGreaterThan(2);
  });
});
