/**
 * The log at its size after some weeks: `npx tsx test/bench/audit-ten-million.ts [records] [directory]`. Writes it (statements
 * of an application with literals of their own in each, two people, one DROP in the middle), indexes and compresses what is
 * closed, and then asks what an auditor asks. Everything in one process; wall time, so on a quiet machine.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { SearchFilter } from "../../src/audit/search.ts";
import { encodeFinished, encodeFragment } from "../../src/audit/record.ts";
import { sha256 } from "../../src/base/digest.ts";
import { parseSqlstate } from "../../src/base/errors.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { keepClosedFiles } from "../../src/store/audit-keep.ts";
import { searchDirectory } from "../../src/store/audit-search.ts";
import { verifyDirectory, verifyDirectoryInThreads } from "../../src/store/audit-verify.ts";
import { PUBLIC_KEY, SIGNING_KEY } from "../support/audit-chain.ts";

const records = Number(process.argv[2] ?? 10_000_000);
const kept = process.argv[3];
const directory = kept ?? fs.mkdtempSync(path.join(os.tmpdir(), "twokey-bench-"));
const succeeded = parseSqlstate("00000");

function print(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(64)} ${value}\n`);
}

function timed<T>(work: () => T): [seconds: number, result: T] {
  const startMs = performance.now();
  const result = work();
  return [(performance.now() - startMs) / 1000, result];
}

function sizeOf(pattern: RegExp): number {
  return fs
    .readdirSync(directory)
    .filter((name) => pattern.test(name))
    .reduce((sum, name) => sum + fs.statSync(path.join(directory, name)).size, 0);
}

const TEXTS = [
  (n: number) => `SELECT abalance FROM pgbench_accounts WHERE aid = ${n}`,
  (n: number) => `UPDATE pgbench_tellers SET tbalance = tbalance + ${n % 997} WHERE tid = ${n}`,
  (n: number) => `INSERT INTO orders (customer, note) VALUES (${n}, 'order ${n.toString(36)}')`,
  (n: number) =>
    `SELECT c.name, sum(o.total) FROM customers c JOIN orders o ON o.customer = c.id WHERE c.id = ${n} GROUP BY 1`,
];

async function write(): Promise<void> {
  const audit = AuditFile.open({ directory, signingKey: SIGNING_KEY, durability: "normal" });
  const sessions = ["app", "reporting", "bob", "carol"].map((person) => {
    const fields = { session: `s-${person}`, person, environment: "production", database: "shop" };
    const client = { address: "10.0.0.7", application_name: person };
    return {
      whole: encodeFragment({ ...fields, roles: ["senior"], client }),
      short: encodeFragment(fields),
    };
  });
  const decide = (
    session: number,
    sql: string,
    effect: "read" | "write" | "destructive_ddl",
    table: string,
  ): void => {
    const who = sessions[session];
    if (who === undefined) return;
    const what = encodeFragment({
      sql,
      sql_sha256: sha256(sql),
      effects: [effect],
      destructive: effect === "destructive_ddl",
      objects: [{ kind: "table", schema: undefined, name: table }],
      action: "allow",
      rule: "as the rules say",
    });
    const seq = audit.appendEncoded("statement.decided", who.whole, what);
    const outcome = { rows: 1, bytes: 71, copiedBytes: 0, durationUs: 123.4, sqlstate: succeeded };
    audit.note("statement.finished", who.short, encodeFinished(seq, outcome));
  };
  for (let i = 0; i < records / 2; i += 1) {
    const n = (i * 7919) % 1_000_003;
    const text = TEXTS[i & 3];
    if (i === Math.floor(records / 4))
      decide(2, "DROP TABLE payments CASCADE", "destructive_ddl", "payments");
    // People now and then; applications all the time.
    const session = i % 5000 === 0 ? 3 : i % 2;
    if (text !== undefined)
      decide(session, text(n), (i & 3) === 0 || (i & 3) === 3 ? "read" : "write", "orders");
    if (i % 1000 === 0)
      await audit.written(audit.appendEncoded("session.end", encodeFragment({ reason: "r" })));
  }
  await audit.close();
}

function search(name: string, filter: SearchFilter, limit: number): void {
  const [seconds, found] = timed(() => {
    let count = 0;
    for (const { isSealed } of searchDirectory(directory, filter)) {
      if (!isSealed) throw new Error("not as it was written");
      count += 1;
      if (count === limit) break;
    }
    return count;
  });
  const rss = (process.memoryUsage.rss() / 1e6).toFixed(0);
  print(`search ${name}`, `${(seconds * 1000).toFixed(0)} ms, ${found} found, ${rss} MB resident`);
}

try {
  print(
    "load",
    os
      .loadavg()
      .map((load) => load.toFixed(1))
      .join(" "),
  );
  if (fs.readdirSync(directory).length === 0) {
    const startMs = performance.now();
    await write();
    const took = (performance.now() - startMs) / 1000;
    print("written", `${(records / took / 1000).toFixed(0)} k records/s`);
  }
  const rawBytes = sizeOf(/\.jsonl$/);
  if (rawBytes > 300e6) {
    const [wholeS] = timed(() =>
      verifyDirectory(directory, { publicKeys: [PUBLIC_KEY], anchors: [] }),
    );
    print(
      "verify, one thread",
      `${wholeS.toFixed(1)} s, ${(rawBytes / 1e6 / wholeS).toFixed(0)} MB/s`,
    );
    const startMs = performance.now();
    const [report] = await verifyDirectoryInThreads(directory, {
      publicKeys: [PUBLIC_KEY],
      anchors: [],
    });
    const inThreadsS = (performance.now() - startMs) / 1000;
    if (report?.findings.length !== 0) throw new Error("not as it was written");
    print(
      "verify, a thread a processor",
      `${inThreadsS.toFixed(1)} s, ${(rawBytes / 1e6 / inThreadsS).toFixed(0)} MB/s`,
    );
    const job = {
      directory,
      writtenBeforeMs: undefined,
      maxBytes: undefined,
      shippedSeq: Infinity,
    };
    const [indexS] = timed(() => keepClosedFiles({ ...job, compress: false }));
    const closed = rawBytes - sizeOf(/x^/);
    print(
      "index",
      `${indexS.toFixed(1)} s, ${(rawBytes / 1e6 / indexS).toFixed(0)} MB/s, ${(sizeOf(/\.index$/) / 1e6).toFixed(0)} MB of ${(closed / 1e6).toFixed(0)} MB`,
    );
    const [zstdS] = timed(() => keepClosedFiles({ ...job, compress: true }));
    print(
      "compress",
      `${zstdS.toFixed(1)} s, ${(rawBytes / 1e6 / zstdS).toFixed(0)} MB/s, to ${(sizeOf(/\.zst$/) / 1e6).toFixed(0)} MB`,
    );
  }
  search("--effect destructive (who dropped anything)", { effect: "destructive" }, Infinity);
  search("--object payments (who dropped X)", { object: "payments" }, Infinity);
  search("--sql 'drop table payments'", { sql: "drop table payments" }, Infinity);
  search("--sql 'payments casc' --person bob", { sql: "payments casc", person: "bob" }, Infinity);
  search("--person carol, the first 100", { person: "carol" }, 100);
  search("--person carol, all", { person: "carol" }, Infinity);
  search("--sql 'aid = 500001' (one in millions)", { sql: "aid = 500001" }, Infinity);
  search("--sql 'no such text at all'", { sql: "no such text at all" }, Infinity);
  search("--request R-NOTHING", { request: "R-NOTHING" }, Infinity);
  search("--since in an hour", { sinceMs: Date.now() + 3_600_000 }, Infinity);
  const startMs = performance.now();
  const [report] = await verifyDirectoryInThreads(directory, {
    publicKeys: [PUBLIC_KEY],
    anchors: [],
  });
  const seconds = (performance.now() - startMs) / 1000;
  if (report?.findings.length !== 0) throw new Error("not as it was written");
  print(
    "verify, compressed",
    `${seconds.toFixed(1)} s, ${report.records} records, ${(report.records / seconds / 1e6).toFixed(2)} M records/s`,
  );
} finally {
  if (kept === undefined) fs.rmSync(directory, { recursive: true });
}
