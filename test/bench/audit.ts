/**
 * What the audit log costs: `npx tsx test/bench/audit.ts [records]`. Of one run on one machine, in CPU time
 * where nothing is waited for, so that others on the machine matter less. The SHA-256 of the same bytes, in one piece and line by
 * line, is beside the verification as the limit that it can't pass.
 */
import { hash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { ChainWriter, NO_RECORD, SEAL_BYTES } from "../../src/audit/chain.ts";
import { encodeFinished, encodeFragment, parseChainId } from "../../src/audit/record.ts";
import { sha256 } from "../../src/base/digest.ts";
import { parseSqlstate } from "../../src/base/errors.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { searchDirectory } from "../../src/store/audit-search.ts";
import { verifyDirectory } from "../../src/store/audit-verify.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { PUBLIC_KEY, SIGNING_KEY } from "../support/audit-chain.ts";

const records = Number(process.argv[2] ?? 1_000_000);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-bench-"));
const bob = { session: "s-18f3a", person: "bob", environment: "production", database: "shop" };
const who = encodeFragment({
  ...bob,
  roles: ["senior"],
  client: { address: "10.0.0.7:51234", application_name: "psql" },
});
const short = encodeFragment(bob);
const sql = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;";
const what = encodeFragment({
  sql,
  sql_sha256: sha256(sql),
  effects: ["read"],
  destructive: false,
  objects: [{ kind: "table", schema: undefined, name: "pgbench_accounts" }],
  action: "allow",
  rule: "reads are free",
});
const succeeded = parseSqlstate("00000");

function print(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(58)} ${value}\n`);
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function encodeOnly(): void {
  const chain = parseChainId("9f86d081884c7d65");
  const writer = new ChainWriter({ chain, seq: 0, hash: NO_RECORD });
  const buffer = Buffer.alloc(1 << 20);
  const run = (): void => {
    let end = 0;
    for (let i = 0; i < 200_000; i += 1) {
      if (end > 1e6) end = 0;
      end = writer.encode(buffer, end, 1.7e15 + i * 10, "statement.decided", [who, what]);
    }
  };
  run();
  print("encode and hash one statement.decided", `${(cpuSeconds(run) * 5).toFixed(2)} us`);
}

/** As the relay does for reads: two records a statement, nobody waits. */
function appendReads(audit: AuditFile): void {
  const statements = records / 2;
  const took = cpuSeconds(() => {
    for (let i = 0; i < statements; i += 1) {
      const statement = audit.appendEncoded("statement.decided", who, what);
      const outcome = {
        rows: 1,
        bytes: 71,
        copiedBytes: 0,
        durationUs: 123.4,
        sqlstate: succeeded,
      };
      audit.note("statement.finished", short, encodeFinished(statement, outcome));
    }
    audit.flush();
  });
  print("append, chain, sign and write, a record", `${((took / records) * 1e6).toFixed(2)} us`);
}

/** As the relay does for writes: `waiting` statements share a turn. */
async function appendWaiting(
  audit: AuditFile,
  how: "written" | "synced",
  waiting: number,
): Promise<void> {
  const turns = how === "written" ? 5000 : 300;
  const startMs = performance.now();
  for (let turn = 0; turn < turns; turn += 1) {
    const waits: Promise<void>[] = [];
    for (let i = 0; i < waiting; i += 1) {
      waits.push(audit[how](audit.appendEncoded("statement.decided", who, what)));
    }
    await Promise.all(waits);
  }
  const us = ((performance.now() - startMs) / turns / waiting) * 1000;
  print(`append and wait until ${how}, ${waiting} at a time, a record`, `${us.toFixed(1)} us`);
}

function readBack(): void {
  const files = listAuditFiles(directory);
  const megabytes = files.reduce((sum, file) => sum + fs.statSync(file.path).size, 0) / 1e6;
  const rate = (took: number): string => `${(megabytes / took).toFixed(0)} MB/s`;
  print("log", `${megabytes.toFixed(0)} MB in ${files.length} files`);
  const whole = cpuSeconds(() => {
    for (const { path: file } of files) hash("sha256", fs.readFileSync(file));
  });
  print("SHA-256 of it in one piece", rate(whole));
  const byLine = cpuSeconds(() => {
    for (const { path: file } of files) {
      const bytes = fs.readFileSync(file);
      let start = 0;
      for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
        hash("sha256", bytes.subarray(start, end - SEAL_BYTES));
        start = end + 1;
      }
    }
  });
  print("SHA-256 of it line by line", rate(byLine));
  const verifying = cpuSeconds(() => {
    const [report] = verifyDirectory(directory, { publicKeys: [PUBLIC_KEY], anchors: [] });
    if (report?.findings.length !== 0) throw new Error("not as it was written");
  });
  print("verify, signatures included", `${rate(verifying)}, ${verifying.toFixed(2)} s`);
  for (const filter of [{ request: "R-7F3K2M" }, { sql: "drop database" }]) {
    const took = cpuSeconds(() => {
      if ([...searchDirectory(directory, filter)].length !== 1) throw new Error("not found");
    });
    print(`search ${JSON.stringify(filter)}`, `${rate(took)}, ${took.toFixed(2)} s`);
  }
}

try {
  encodeOnly();
  const audit = AuditFile.open({ directory, signingKey: SIGNING_KEY, durability: "normal" });
  appendReads(audit);
  await appendWaiting(audit, "written", 1);
  await appendWaiting(audit, "written", 8);
  await appendWaiting(audit, "written", 32);
  await appendWaiting(audit, "synced", 1);
  await appendWaiting(audit, "synced", 8);
  audit.appendEncoded(
    "statement.decided",
    who,
    encodeFragment({ sql: "DROP DATABASE shop", request: "R-7F3K2M" }),
  );
  await audit.close();
  readBack();
} finally {
  fs.rmSync(directory, { recursive: true });
}
