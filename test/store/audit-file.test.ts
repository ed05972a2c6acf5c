import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { encodeFinished, encodeFragment, type LoggedRecord } from "../../src/audit/record.ts";
import { AuditUnavailable, LimitReached, parseSqlstate } from "../../src/base/errors.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { searchDirectory } from "../../src/store/audit-search.ts";
import { loadAnchors, verifyDirectory } from "../../src/store/audit-verify.ts";
import type { AuditFileOptions } from "../../src/store/audit-file-options.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { PUBLIC_KEY, SIGNING_KEY } from "../support/audit-chain.ts";

const OK = parseSqlstate("00000");
let directory: string;
let open: AuditFile[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-audit-"));
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const audit of open) await audit.close().catch(() => undefined);
  open = [];
  fs.rmSync(directory, { recursive: true, force: true });
});

function start(options: Partial<AuditFileOptions> = {}): AuditFile {
  const audit = AuditFile.open({
    directory,
    signingKey: SIGNING_KEY,
    durability: "normal",
    ...options,
  });
  open.push(audit);
  return audit;
}

function verified(options: { anchorFile?: string } = {}): { lastSeq: number; end: string } {
  const anchors =
    options.anchorFile === undefined ? [] : loadAnchors(options.anchorFile, [PUBLIC_KEY]);
  const [report, ...others] = verifyDirectory(directory, { publicKeys: [PUBLIC_KEY], anchors });
  if (report === undefined) throw new Error("no chain");
  expect(others).toEqual([]);
  expect(report.findings).toEqual([]);
  return report;
}

function records(): LoggedRecord[] {
  return [...searchDirectory(directory, {})].map(({ record }) => record);
}

function events(): string[] {
  return records().map(({ event }) => event);
}

const end = (reason: string) =>
  ({
    event: "session.end",
    session: "s-1",
    person: "bob",
    environment: "production",
    database: "shop",
    reason,
    duration_ms: 1,
  }) as const;

function logFile(): string {
  return listAuditFiles(directory).at(-1)?.path ?? "";
}

describe("a writer", () => {
  it("opens a chain, signs it, and closes it in order", async () => {
    const audit = start();
    await audit.written(audit.append(end("done")));
    await audit.close();
    expect(events()).toEqual([
      "chain.opened",
      "chain.checkpoint",
      "session.end",
      "chain.closed",
      "chain.checkpoint",
    ]);
    expect(verified().end).toBe("closed");
  });

  it("has nothing written before it is waited for, and all of it after", async () => {
    const audit = start();
    const before = fs.statSync(logFile()).size;
    const seqs = Array.from({ length: 10 }, (_, i) => audit.append(end(`r${i}`)));
    expect(fs.statSync(logFile()).size).toBe(before);
    const write = vi.spyOn(fs, "writeSync");
    await Promise.all(seqs.map((seq) => audit.written(seq)));
    expect(write).toHaveBeenCalledTimes(1);
    expect(events().filter((event) => event === "session.end")).toHaveLength(10);
  });

  it("syncs once for all who wait, and counts what is not synced", async () => {
    const audit = start();
    const seqs = Array.from({ length: 10 }, (_, i) => audit.append(end(`r${i}`)));
    expect(audit.stats.unsynced).toBe(10);
    const sync = vi.spyOn(fs, "fdatasync");
    await Promise.all(seqs.map((seq) => audit.synced(seq)));
    expect(sync).toHaveBeenCalledTimes(1);
    expect(audit.stats).toMatchObject({ records: 12, unsynced: 0, writeFailures: 0 });
  });

  it("syncs again for who comes while one sync is under way", async () => {
    const audit = start();
    const sync = vi.spyOn(fs, "fdatasync");
    const first = audit.synced(audit.append(end("1")));
    await vi.waitFor(() => {
      expect(sync).toHaveBeenCalledTimes(1);
    });
    const second = audit.synced(audit.append(end("2")));
    await Promise.all([first, second]);
    expect(sync).toHaveBeenCalledTimes(2);
    expect(audit.stats.unsynced).toBe(0);
  });

  it("with strict durability, has on disk what it calls written", async () => {
    const audit = start({ durability: "strict" });
    const sync = vi.spyOn(fs, "fdatasync");
    await audit.written(audit.append(end("1")));
    expect(sync).toHaveBeenCalledTimes(1);
  });

  it("writes out by itself soon after", async () => {
    const audit = start();
    audit.append(end("nobody waits"));
    await vi.waitFor(() => {
      expect(events()).toContain("session.end");
    });
  });

  it("copies parts that were encoded before", async () => {
    const audit = start();
    const who = encodeFragment({ session: "s-1", person: "bob" });
    const seq = audit.appendEncoded("statement.decided", who, encodeFragment({ rule: "r" }));
    audit.note(
      "statement.finished",
      who,
      encodeFinished(seq, { rows: 3, bytes: 9, copiedBytes: 0, durationUs: 5, sqlstate: OK }),
    );
    await audit.close();
    expect(records().slice(2, 4)).toMatchObject([
      { event: "statement.decided", fields: { person: "bob", rule: "r" } },
      { event: "statement.finished", fields: { statement: seq, rows: 3, sqlstate: "00000" } },
    ]);
  });

  it("refuses a record that no reader would take", () => {
    const audit = start();
    expect(() => audit.append(end("x".repeat(4 << 20)))).toThrow(LimitReached);
  });

  it("takes any number of records between two turns", async () => {
    const audit = start();
    for (let i = 0; i < 20_000; i += 1) audit.append(end("x".repeat(200)));
    await audit.close();
    expect(verified().lastSeq).toBeGreaterThan(20_000);
  });

  it("puts a long statement into a file of its own, whole, which is verified with the log", async () => {
    const audit = start({ limits: { spillAboveBytes: 100 } });
    const sql = `SELECT '${"ü".repeat(100)}'`;
    expect(audit.statementText("SELECT 1")).toMatchObject({ sql: "SELECT 1" });
    const text = audit.statementText(sql);
    expect(text).toMatchObject({ sql_spilled: true, sql_bytes: 209 });
    expect(audit.statementText(sql)).toEqual(text);
    audit.appendEncoded("statement.decided", encodeFragment(text));
    await audit.close();
    verified();
    expect([...searchDirectory(directory, { sql: "ÜÜÜ" })]).toHaveLength(1);

    const file = path.join(directory, "spilled", `${text.sql_sha256}.sql`);
    expect(fs.readFileSync(file, "utf8")).toBe(sql);
    fs.appendFileSync(file, " ");
    expect(findings()).toEqual(["attachment 3"]);
    fs.unlinkSync(file);
    expect(findings()).toEqual(["attachment 3"]);
  });

  it("keeps a second writer out of its directory", async () => {
    const audit = start();
    expect(() => start()).toThrow("another process writes the audit log");
    await audit.close();
    await start().close();
    expect(verified().lastSeq).toBe(8);
  });

  it("goes over to another file by size, with one chain over all", async () => {
    const audit = start({ limits: { maxFileBytes: 20_000 } });
    for (let i = 0; i < 200; i += 1) await audit.synced(audit.append(end("x".repeat(500))));
    await audit.close();
    expect(listAuditFiles(directory).length).toBeGreaterThan(4);
    verified();
    fs.unlinkSync(listAuditFiles(directory)[1]?.path ?? "");
    expect(findings()[0]).toMatch(/^deleted/);
  });

  it("goes over to another file by age", async () => {
    const audit = start({ limits: { maxFileAgeSeconds: 0 } });
    await audit.synced(audit.append(end("1")));
    await audit.synced(audit.append(end("2")));
    await audit.close();
    expect(listAuditFiles(directory)).toHaveLength(3);
    verified();
  });

  it("puts a checkpoint within as many records as the last one promised", async () => {
    const audit = start({ limits: { checkpointEveryRecords: 10 } });
    for (let i = 0; i < 100; i += 1) audit.append(end("x"));
    await audit.close();
    const seqs = records().flatMap(({ event, seq }) => (event === "chain.checkpoint" ? [seq] : []));
    expect(Math.max(...seqs.slice(1).map((seq, i) => seq - (seqs[i] ?? 0)))).toBe(10);
    verified();
  });

  it("signs what has been under no checkpoint for a time, and syncs it", async () => {
    vi.useFakeTimers({ toFake: ["setInterval"] });
    try {
      const audit = start({ limits: { checkpointEverySeconds: 0 } });
      vi.advanceTimersByTime(5000);
      await audit.written(audit.append(end("1")));
      vi.advanceTimersByTime(1000);
      await vi.waitFor(() => {
        expect(audit.stats).toMatchObject({ records: 4, unsynced: 0 });
      });
      vi.advanceTimersByTime(5000);
      expect(audit.stats.records).toBe(4);
      expect(events().at(-1)).toBe("chain.checkpoint");
    } finally {
      vi.useRealTimers();
    }
  });

  it("keeps checkpoints elsewhere, which show that the log was cut", async () => {
    const anchorFile = path.join(directory, "anchors.jsonl");
    const audit = start({ anchorFile });
    await audit.written(audit.append(end("1")));
    await audit.close();
    verified({ anchorFile });
    const lines = fs.readFileSync(logFile(), "utf8").split("\n");
    fs.writeFileSync(logFile(), `${lines.slice(0, 2).join("\n")}\n`);
    const anchors = loadAnchors(anchorFile, [PUBLIC_KEY]);
    const [report] = verifyDirectory(directory, { publicKeys: [PUBLIC_KEY], anchors });
    expect(report?.findings).toMatchObject([{ kind: "truncated", seq: 3 }]);
    fs.unlinkSync(logFile());
    const [gone] = verifyDirectory(directory, { publicKeys: [PUBLIC_KEY], anchors });
    expect(gone?.findings).toMatchObject([{ kind: "truncated", seq: 1 }]);
  });
});

function findings(): string[] {
  return verifyDirectory(directory, { publicKeys: [PUBLIC_KEY], anchors: [] }).flatMap((report) =>
    report.findings.map(({ kind, seq }) => `${kind} ${seq}`),
  );
}

describe("when the log can't be written", () => {
  function failing(name: "writeSync" | "fdatasyncSync", code: string) {
    return vi.spyOn(fs, name).mockImplementation(() => {
      throw Object.assign(new Error(`${code}: it can't`), { code });
    });
  }

  it.each(["ENOSPC", "EIO", "EROFS"])(
    "refuses after %s, goes on by itself, and tells",
    async (code) => {
      const states: (AuditUnavailable | undefined)[] = [];
      const audit = start({ onAvailability: (failure) => states.push(failure) });
      const who = encodeFragment({ person: "bob" });
      const refused = audit.append(end("refused"));
      const broken = failing("writeSync", code);
      await expect(audit.written(refused)).rejects.toThrow(AuditUnavailable);
      await expect(audit.written(refused)).rejects.toMatchObject({ sqlstate: "58030" });
      await expect(audit.synced(refused)).rejects.toThrow(AuditUnavailable);
      expect(() => audit.append(end("not taken"))).toThrow(AuditUnavailable);
      audit.note(
        "statement.finished",
        who,
        encodeFinished(refused, { rows: 1, bytes: 9, copiedBytes: 0, durationUs: 1, sqlstate: OK }),
      );
      expect(audit.failure).toBeInstanceOf(AuditUnavailable);

      broken.mockRestore();
      await vi.waitFor(() => {
        expect(audit.failure).toBeUndefined();
      });
      expect(states.map((failure) => failure !== undefined)).toEqual([true, false]);
      await audit.written(audit.append(end("again")));
      expect(audit.stats.writeFailures).toBeGreaterThan(0);
      expect(records().slice(2)).toMatchObject([
        { event: "session.end", fields: { reason: "refused" } },
        { event: "statement.finished" },
        {
          event: "chain.resumed",
          fields: { cause: `${code}: it can't`, refused_from: 3, refused_to: 3, lost: 0 },
        },
        { event: "session.end", fields: { reason: "again" } },
      ]);
      verified();
    },
  );

  it("completes a write that stopped half-way", async () => {
    const audit = start();
    const write = fs.writeSync.bind(fs);
    const broken = vi.spyOn(fs, "writeSync").mockImplementation(((
      fd: number,
      bytes: Buffer,
      at: number,
      length: number,
      position: number,
    ) => {
      if (length < 50) throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
      return write(fd, bytes, at, Math.ceil(length / 2), position);
    }) as typeof fs.writeSync);
    await expect(audit.written(audit.append(end("half")))).rejects.toThrow(AuditUnavailable);
    broken.mockRestore();
    await vi.waitFor(() => {
      expect(audit.failure).toBeUndefined();
    });
    await audit.close();
    expect(events().slice(2, 4)).toEqual(["session.end", "chain.resumed"]);
    verified();
  });

  it("writes again what a failed fdatasync may have lost", async () => {
    const audit = start();
    const sync = vi
      .spyOn(fs, "fdatasync")
      .mockImplementation((_: number, done: (e: Error) => void) => {
        // As the kernel may leave it: the error told once, the page gone.
        const { size } = fs.statSync(logFile());
        done(Object.assign(new Error(`EIO at ${size}`), { code: "EIO" }));
      });
    const seq = audit.append(end("on disk?"));
    await expect(audit.synced(seq)).rejects.toThrow(AuditUnavailable);
    const write = vi.spyOn(fs, "writeSync");
    sync.mockRestore();
    await vi.waitFor(() => {
      expect(audit.failure).toBeUndefined();
    });
    expect((write.mock.calls[0]?.[1] as unknown as Buffer).toString()).toContain("on disk?");
    await audit.synced(seq);
    verified();
  });

  it("counts the ends of statements for which it had no room", async () => {
    const audit = start();
    const broken = failing("writeSync", "ENOSPC");
    await expect(audit.written(audit.append(end("x")))).rejects.toThrow(AuditUnavailable);
    const large = encodeFragment({ reason: "x".repeat(2_000_000) });
    for (let i = 0; i < 10; i += 1) audit.note("session.end", large);
    broken.mockRestore();
    await vi.waitFor(() => {
      expect(audit.failure).toBeUndefined();
    });
    await audit.close();
    const resumed = records().find(({ event }) => event === "chain.resumed");
    expect(resumed?.fields["lost"]).toBe(6);
    verified();
  });

  it("brings back a log that was removed under it", async () => {
    const audit = start();
    await audit.written(audit.append(end("before")));
    fs.rmSync(directory, { recursive: true });
    await expect(audit.written(audit.append(end("after")))).rejects.toThrow(AuditUnavailable);
    await vi.waitFor(() => {
      expect(audit.failure).toBeUndefined();
    });
    expect(() => start()).toThrow("another process writes");
    await audit.close();
    expect(events()).toContain("session.end");
    verified();
  });

  it("notices that it was removed though nothing is written", async () => {
    vi.useFakeTimers({ toFake: ["setInterval"] });
    try {
      const audit = start();
      fs.rmSync(directory, { recursive: true });
      vi.advanceTimersByTime(1000);
      expect(audit.failure).toBeInstanceOf(AuditUnavailable);
      await vi.waitFor(() => {
        expect(audit.failure).toBeUndefined();
      });
      verified();
    } finally {
      vi.useRealTimers();
    }
  });

  it("takes a failed sync before the next file for a failure", async () => {
    const audit = start({ limits: { maxFileAgeSeconds: 0 } });
    const broken = failing("fdatasyncSync", "EIO");
    await audit.synced(audit.append(end("1")));
    expect(audit.failure).toBeInstanceOf(AuditUnavailable);
    broken.mockRestore();
    await vi.waitFor(() => {
      expect(audit.failure).toBeUndefined();
    });
    await audit.close();
    verified();
  });

  it("does not write into a file that has taken its place", async () => {
    const audit = start();
    await audit.written(audit.append(end("before")));
    const file = logFile();
    fs.renameSync(file, `${file}.taken`);
    fs.writeFileSync(file, "something else");
    await expect(audit.written(audit.append(end("after")))).rejects.toThrow(AuditUnavailable);
    await vi.waitFor(() => {
      expect(audit.stats.writeFailures).toBeGreaterThan(2);
    });
    expect(fs.readFileSync(file, "utf8")).toBe("something else");
    fs.renameSync(`${file}.taken`, file);
    await vi.waitFor(
      () => {
        expect(audit.failure).toBeUndefined();
      },
      { timeout: 5000 },
    );
    await audit.close();
    verified();
  });

  it("goes on in a copy of its file, as after a restore or a remount", async () => {
    const audit = start();
    await audit.written(audit.append(end("before")));
    const file = logFile();
    fs.copyFileSync(file, `${file}.copy`);
    fs.renameSync(`${file}.copy`, file);
    await expect(audit.written(audit.append(end("after")))).rejects.toThrow(AuditUnavailable);
    await vi.waitFor(() => {
      expect(audit.failure).toBeUndefined();
    });
    await audit.close();
    verified();
  });

  it("refuses a statement whose long text can't be kept", () => {
    const audit = start({ limits: { spillAboveBytes: 10 } });
    fs.writeFileSync(path.join(directory, "spilled"), "in the way");
    expect(() => audit.statementText("SELECT 1, 2, 3")).toThrow(AuditUnavailable);
  });

  it("does without an anchor or another file for a time, and tells", async () => {
    const troubles: unknown[] = [];
    const anchorFile = path.join(directory, "missing", "anchors.jsonl");
    const audit = start({ anchorFile, onTrouble: (error) => troubles.push(error) });
    await audit.written(audit.append(end("1")));
    expect(troubles.length).toBeGreaterThan(0);
    fs.mkdirSync(path.dirname(anchorFile));
    await audit.close();
    expect(loadAnchors(anchorFile, [PUBLIC_KEY])).toHaveLength(2);
  });

  it("cuts an anchor that a killed writer had left unfinished", async () => {
    const anchorFile = path.join(directory, "anchors.jsonl");
    await start({ anchorFile }).close();
    fs.appendFileSync(anchorFile, `{"seq":`);
    await start({ anchorFile }).close();
    expect(loadAnchors(anchorFile, [PUBLIC_KEY])).toHaveLength(4);
    verified({ anchorFile });
  });

  it("does not open what it can't write", () => {
    fs.writeFileSync(path.join(directory, "file"), "");
    expect(() => start({ directory: path.join(directory, "file", "audit") })).toThrow(
      AuditUnavailable,
    );
  });
});
