import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SearchFilter } from "../../src/audit/search.ts";
import { encodeFragment } from "../../src/audit/record.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { keepClosedFiles, type KeepJob } from "../../src/store/audit-keep.ts";
import { AuditKeeper } from "../../src/store/audit-keeper.ts";
import { searchDirectory } from "../../src/store/audit-search.ts";
import { verifyDirectory, verifyDirectoryInThreads } from "../../src/store/audit-verify.ts";
import { PUBLIC_KEY, SIGNING_KEY } from "../support/audit-chain.ts";

const BOB = { session: "s", person: "bob", environment: "production", database: "shop" };
const KEY = { publicKeys: [PUBLIC_KEY], anchors: [] };
let directory: string;
let audit: AuditFile;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-audit-"));
  audit = open();
});

afterEach(async () => {
  await audit.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

function open(): AuditFile {
  return AuditFile.open({
    directory,
    signingKey: SIGNING_KEY,
    durability: "normal",
    limits: { maxFileBytes: 300_000, checkpointEveryRecords: 200, spillAboveBytes: 2000 },
  });
}

/** Statements with a table and a literal of their own, until another file was begun so many times. */
async function fill(files: number): Promise<void> {
  const before = listAuditFiles(directory).length;
  for (let i = 0; listAuditFiles(directory).length < before + files; i += 1) {
    const sql = `SELECT * FROM t${i % 7} WHERE id = ${i * 7919} AND note = 'Grüße ${i}'`;
    const objects = [{ kind: "table" as const, schema: "public", name: `t${i % 7}` }];
    const record = {
      ...BOB,
      ...audit.statementText(i % 50 === 7 ? `${sql} -- ${`long ${i}`.repeat(400)}` : sql),
      effects: [i % 11 === 0 ? ("delete" as const) : ("read" as const)],
      destructive: i % 33 === 0,
      objects,
    };
    const seq = audit.appendEncoded("statement.decided", encodeFragment(record));
    if (i % 100 === 0) await audit.synced(seq);
  }
}

function job(more: Partial<KeepJob> = {}): KeepJob {
  const none = { writtenBeforeMs: undefined, maxBytes: undefined, shippedSeq: Infinity };
  return { directory, compress: true, ...none, ...more };
}

function found(filter: SearchFilter, withoutIndex = false): string[] {
  return [...searchDirectory(directory, filter, { withoutIndex })].map(({ line }) =>
    line.toString(),
  );
}

describe("a closed file", () => {
  it("is compressed to what zstd gives back byte for byte", async (context) => {
    await fill(2);
    const [first] = listAuditFiles(directory);
    const before = hash("sha256", fs.readFileSync(first?.path ?? ""));
    keepClosedFiles(job());
    const archives = listAuditFiles(directory).filter(({ isCompressed }) => isCompressed);
    expect(archives).toHaveLength(2);
    expect(fs.existsSync(first?.path ?? "")).toBe(false);
    try {
      execFileSync("zstd", ["--version"]);
    } catch {
      context.skip("no zstd here");
    }
    const restored = execFileSync("zstd", ["-dcq", archives[0]?.path ?? ""], {
      maxBuffer: 1 << 30,
    });
    expect(hash("sha256", restored)).toBe(before);
  });

  it("is searched by its index for the same as without, compressed or not", async () => {
    await fill(2);
    const filters: SearchFilter[] = [
      { object: "t3" },
      { object: "public.t3", effect: "delete" },
      { effect: "destructive" },
      { person: "bob", sql: "ID = 7919 " },
      { sql: "grüße 77'" },
      { sql: "long 57long" },
      { sql: "id" },
      { sql: "no such text" },
      { person: "eve" },
      { event: "chain" },
      { event: "statement.decided", sql: "t5 where" },
      { sinceMs: Date.now() + 1e6 },
      { untilMs: Date.now(), sql: "t1" },
    ];
    const plain = filters.map((filter) => found(filter, true));
    keepClosedFiles(job({ compress: false }));
    expect(filters.map((filter) => found(filter))).toEqual(plain);
    keepClosedFiles(job());
    expect(filters.map((filter) => found(filter))).toEqual(plain);
    expect(filters.map((filter) => found(filter, true))).toEqual(plain);
    expect(plain.map((lines) => lines.length > 0)).toEqual(
      filters.map(
        ({ sql, person, sinceMs }) =>
          sql !== "no such text" && person !== "eve" && sinceMs === undefined,
      ),
    );
  });

  it("is read in whole when its index is not of it, and the index made anew", async () => {
    await fill(1);
    keepClosedFiles(job({ compress: false }));
    const [file] = listAuditFiles(directory);
    const filePath = file?.path ?? "";
    const edited = fs.readFileSync(filePath, "utf8").replace(`"id = 0`, `"id = 9`);
    fs.writeFileSync(filePath, `${edited}{"event":"x"}\n`);
    const all = found({ sql: "id = 7919 " });
    expect(all).toHaveLength(1);
    const index = filePath.replace(/jsonl$/, "index");
    fs.writeFileSync(index, "no database");
    expect(found({ sql: "id = 7919 " })).toEqual(all);
    keepClosedFiles(job({ compress: false }));
    expect(fs.readFileSync(index).subarray(0, 6).toString()).toBe("SQLite");
  });

  it("tells what was edited after it was indexed", async () => {
    await fill(1);
    keepClosedFiles(job({ compress: false }));
    const [file] = listAuditFiles(directory);
    const filePath = file?.path ?? "";
    const text = fs.readFileSync(filePath, "utf8");
    fs.writeFileSync(filePath, text.replace("id = 7919 ", "id = 7918 "));
    for (const withoutIndex of [false, true]) {
      const [hit] = [...searchDirectory(directory, { sql: "id = 7918 " }, { withoutIndex })];
      expect(hit?.isSealed).toBe(false);
    }
  });

  it("is finished when its compression was interrupted at any point", async () => {
    await fill(1);
    const [file] = listAuditFiles(directory);
    const filePath = file?.path ?? "";
    const bytes = fs.readFileSync(filePath);
    fs.writeFileSync(`${filePath}.zst.part`, "half");
    keepClosedFiles(job());
    fs.writeFileSync(filePath, bytes); // killed between the new name and the removal of the old
    expect(listAuditFiles(directory).map(({ isCompressed }) => isCompressed)).toEqual([
      false,
      false,
    ]);
    keepClosedFiles(job());
    expect(listAuditFiles(directory).map(({ isCompressed }) => isCompressed)).toEqual([
      true,
      false,
    ]);
    expect(fs.readdirSync(directory).filter((name) => name.endsWith(".part"))).toEqual([]);
    expect(verifyDirectory(directory, KEY)[0]?.findings).toEqual([]);
  });

  it("may be compressed before the next has a record, and the chain goes on all the same", async () => {
    await fill(1);
    await audit.close();
    const [first, last] = listAuditFiles(directory);
    keepClosedFiles(job());
    for (const content of ["", `{"seq":`]) {
      fs.writeFileSync(last?.path ?? "", content);
      audit = open();
      await audit.close();
      expect(verifyDirectory(directory, KEY)[0]?.findings).toEqual([]);
    }
    expect(fs.existsSync(`${first?.path ?? ""}.zst`)).toBe(true);
    audit = open();
  });
});

describe("verifying in threads", () => {
  it(
    "says the same as in one, of a good log and of any that was tampered with",
    { timeout: 60_000 },
    async () => {
      await fill(2);
      await audit.close();
      keepClosedFiles(job({ compress: false }));
      const asWritten = await verifyDirectoryInThreads(directory, KEY);
      expect(asWritten).toEqual(verifyDirectory(directory, KEY));
      expect(asWritten[0]?.findings).toEqual([]);
      const files = listAuditFiles(directory).map(({ path: file }) => file);
      for (const [i, file] of files.entries()) {
        const bytes = fs.readFileSync(file);
        const lines = bytes.toString().split("\n");
        const middle = lines.length >> 1;
        const tampered = [
          lines.with(middle, (lines[middle] ?? "").replace(`"time":"20`, `"time":"19`)),
          lines.toSpliced(middle, 1),
          lines.toSpliced(0, 1),
          lines.toSpliced(-2, 1),
        ];
        for (const [n, version] of tampered.entries()) {
          fs.writeFileSync(file, version.join("\n"));
          const report = await verifyDirectoryInThreads(directory, KEY);
          expect(report).toEqual(verifyDirectory(directory, KEY));
          // The last file is so short that any of these may only cut its end off, which an anchor shows.
          if (i < files.length - 1) expect(report[0]?.findings, `${i} ${n}`).not.toEqual([]);
        }
        fs.writeFileSync(file, bytes);
      }
      audit = open();
    },
  );

  it("says of a damaged archive which record is the first that is not there", async () => {
    await fill(2);
    await audit.close();
    keepClosedFiles(job());
    const [, second] = listAuditFiles(directory);
    const bytes = fs.readFileSync(second?.path ?? "");
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x55;
    fs.writeFileSync(second?.path ?? "", bytes);
    const [report] = await verifyDirectoryInThreads(directory, KEY);
    expect(report?.findings[0]?.seq).toBeGreaterThanOrEqual(second?.firstSeq ?? Infinity);
    audit = open();
  });

  it("begins after a signed checkpoint when asked to", async () => {
    await fill(3);
    const files = listAuditFiles(directory);
    const [report] = await verifyDirectoryInThreads(directory, {
      ...KEY,
      sinceSeq: (files[2]?.firstSeq ?? 0) + 5,
    });
    expect(report).toMatchObject({
      findings: [],
      since: { kind: "known", seq: (files[2]?.firstSeq ?? 0) - 1 },
    });
    const edited = fs.readFileSync(files[0]?.path ?? "", "utf8").replace("bob", "eve");
    fs.writeFileSync(files[0]?.path ?? "", edited);
    const since = { ...KEY, sinceSeq: files[2]?.firstSeq };
    expect((await verifyDirectoryInThreads(directory, since))[0]?.findings).toEqual([]);
    expect((await verifyDirectoryInThreads(directory, KEY))[0]?.findings).not.toEqual([]);
  });
});

describe("retention", () => {
  function keeper(
    keep: { ageMs?: number; bytes?: number },
    shippedSeq = Infinity,
    nowMs = Date.now(),
  ): AuditKeeper {
    return new AuditKeeper({
      directory,
      compress: true,
      keep,
      shippedSeq: () => shippedSeq,
      audit,
      now: () => nowMs,
    });
  }

  it("removes what is too old, says so on record, and leaves a chain that verifies", async () => {
    await fill(3);
    const before = listAuditFiles(directory);
    await keeper({ ageMs: 1000 }, Infinity, Date.now() + 60_000).run();
    const [kept] = listAuditFiles(directory);
    expect(kept?.firstSeq).toBe(before[3]?.firstSeq);
    const [record] = [...searchDirectory(directory, { event: "chain.pruned" })];
    expect(record?.record.fields).toMatchObject({
      from: 1,
      to: (kept?.firstSeq ?? 0) - 1,
      files: 3,
      reason: "age",
    });
    audit.flush();
    const report = await verifyDirectoryInThreads(directory, KEY);
    expect(report).toMatchObject([
      { findings: [], since: { kind: "pruned", seq: (kept?.firstSeq ?? 0) - 1 } },
    ]);
    expect(fs.readdirSync(directory).filter((name) => name.endsWith(".index"))).toEqual([]);
    // Statements that nobody names any more went with them.
    const named = new Set(
      [...searchDirectory(directory, { event: "statement" })].map(
        ({ record: { fields } }) => fields["sql_sha256"],
      ),
    );
    const spilled = fs.readdirSync(path.join(directory, "spilled"));
    expect(spilled.filter((name) => !named.has(name.replace(/\.sql$/, "")))).toEqual([]);
  });

  it("removes the oldest until the rest has the size", async () => {
    await fill(4);
    await keeper({}).run();
    const size = (): number =>
      fs
        .readdirSync(directory)
        .filter((name) => /zst$|index$/.test(name))
        .reduce((sum, name) => sum + fs.statSync(path.join(directory, name)).size, 0);
    const bytes = Math.floor(size() / 2);
    await keeper({ bytes }).run();
    expect(size()).toBeLessThanOrEqual(bytes);
    expect(listAuditFiles(directory).length).toBeGreaterThan(1);
    audit.flush();
    expect(verifyDirectory(directory, KEY)[0]?.findings).toEqual([]);
  });

  it("never removes what was not shipped", async () => {
    await fill(3);
    const files = listAuditFiles(directory);
    await keeper({ ageMs: 1000 }, (files[2]?.firstSeq ?? 0) - 1, Date.now() + 60_000).run();
    expect(listAuditFiles(directory)[0]?.firstSeq).toBe(files[2]?.firstSeq);
  });

  it("is found out when somebody else removes more, or without a word", async () => {
    await fill(4);
    await keeper(
      { ageMs: 1000 },
      (listAuditFiles(directory)[1]?.firstSeq ?? 0) - 1,
      Date.now() + 60_000,
    ).run();
    audit.flush();
    expect(verifyDirectory(directory, KEY)[0]?.findings).toEqual([]);
    fs.unlinkSync(listAuditFiles(directory)[0]?.path ?? "");
    expect(verifyDirectory(directory, KEY)[0]?.findings[0]).toMatchObject({
      kind: "deleted",
      seq: 1,
    });
  });

  it("is finished when it was killed between two files", async () => {
    await fill(3);
    const copies = listAuditFiles(directory).map(
      ({ path: file }) => [file, fs.readFileSync(file)] as const,
    );
    await keeper({ ageMs: 1000 }, Infinity, Date.now() + 60_000).run();
    audit.flush();
    const [second] = copies.slice(1, 2);
    const [third] = copies.slice(2, 3);
    for (const copy of [second, third]) if (copy !== undefined) fs.writeFileSync(...copy);
    expect(
      verifyDirectory(directory, KEY)[0]?.findings.filter(({ kind }) => kind !== "attachment"),
    ).toEqual([]);
  });
});
