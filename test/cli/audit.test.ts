import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import pc from "picocolors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CommanderError, type Command } from "commander";
import { sha256 } from "../../src/base/digest.ts";
import { parseSqlstate } from "../../src/base/errors.ts";
import { auditCommand } from "../../src/cli/audit.ts";
import { parseWhen } from "../../src/cli/audit-when.ts";
import { CommandFailed } from "../../src/cli/command-failed.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { openSigningKey } from "../../src/store/audit-file-key.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { hasSshKeygen } from "./harness.ts";

let directory: string;
let log: string;
let key: string;
let anchor: string;
let closed: number;

const bob = {
  session: "s-1",
  person: "bob",
  environment: "production",
  database: "shop",
} as const;
const drop = `DROP DATABASE "shop"`;
const statement = {
  sql: drop,
  sql_sha256: sha256(drop),
  effects: ["destructive_ddl"],
  destructive: true,
  objects: [{ kind: "database", schema: undefined, name: "shop" }],
  rule: "destructive needs two",
} as const;

beforeEach(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-cli-audit-"));
  log = path.join(directory, "audit");
  key = path.join(directory, "key.pem");
  anchor = path.join(directory, "anchors.jsonl");
  const audit = AuditFile.open({
    directory: log,
    signingKey: openSigningKey(key),
    durability: "normal",
    anchorFile: anchor,
  });
  const client = { address: "10.0.0.7:51234", application_name: "psql" };
  const who = { ...bob, roles: ["senior"], client };
  audit.append({ event: "session.start", ...who, authentication: "scram-sha-256" });
  audit.append({
    event: "statement.decided",
    ...who,
    ...statement,
    action: "require_approval",
    request: "R-7F3K2M",
  });
  audit.append(signed("ada"));
  const decided = audit.append({
    event: "statement.decided",
    ...who,
    ...statement,
    action: "allow",
    request: "R-7F3K2M",
    approval: "R-7F3K2M/1",
  });
  audit.append({
    event: "statement.finished",
    ...bob,
    statement: decided,
    rows: 0,
    bytes: 18,
    duration_ms: 12.5,
    sqlstate: parseSqlstate("00000"),
  });
  audit.append({
    event: "session.end",
    ...bob,
    reason: "=cmd|' /C calc'!A0\u001b[2J",
    duration_ms: 1,
  });
  await audit.close();
  closed = 10;
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

/** An approval signed by a person with an SSH key of their own, with OpenSSH where it is there. */
function signed(approver: string) {
  const document = `{"approver":"${approver}","request":"R-7F3K2M"}`;
  const file = path.join(directory, "document");
  const sshKey = path.join(directory, approver);
  let signature = "not signed";
  let publicKey = "ssh-ed25519 AAAA";
  if (hasSshKeygen) {
    fs.writeFileSync(file, document);
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", sshKey]);
    execFileSync("ssh-keygen", ["-q", "-Y", "sign", "-f", sshKey, "-n", "approval@twokey", file], {
      stdio: "ignore",
    });
    signature = fs.readFileSync(`${file}.sig`, "utf8");
    publicKey = fs.readFileSync(`${sshKey}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
  }
  return {
    event: "approval.signed",
    request: "R-7F3K2M",
    approval: "R-7F3K2M/1",
    person: approver,
    document,
    signature,
    namespace: "approval@twokey",
    signer: approver,
    public_key: publicKey,
  } as const;
}

interface Answer {
  readonly status: 0 | 1 | 2;
  readonly lines: string[];
  readonly notes: string[];
}

async function run(...argv: string[]): Promise<Answer> {
  const lines: string[] = [];
  const notes: string[] = [];
  const command = auditCommand({
    env: {},
    isInteractive: false,
    colors: pc.createColors(false),
    print: (line) => lines.push(line),
    note: (line) => notes.push(line),
    confirm: () => Promise.resolve(false),
    ask: () => Promise.resolve(undefined),
    askSecret: () => Promise.resolve(undefined),
  });
  quiet(command);
  try {
    await command.parseAsync(argv, { from: "user" });
    return { status: 0, lines, notes };
  } catch (error) {
    if (error instanceof CommanderError) return { status: 2, lines, notes: [error.message] };
    if (!(error instanceof CommandFailed)) throw error;
    return { status: error.exitStatus, lines, notes: [...notes, error.message] };
  }
}

function quiet(command: Command): void {
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  command.commands.forEach(quiet);
}

function tamper(): void {
  const file = listAuditFiles(log)[0]?.path ?? "";
  fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace("senior", "junior"));
}

describe("audit verify", () => {
  it("says yes, and how far the log is signed", async () => {
    const { status, lines } = await run(
      "verify",
      "--dir",
      log,
      "--key",
      `${key}.pub`,
      "--anchor",
      anchor,
    );
    expect(status).toBe(0);
    expect(lines.join("\n").replace(/[0-9a-f]{16}/, "C")).toBe(
      [
        `chain C: ${closed} records, as they were written`,
        `  signed up to record ${closed}`,
        "  closed in order",
      ].join("\n"),
    );
  });

  it("says no, and names the first bad record", async () => {
    tamper();
    const { status, lines } = await run("verify", "--dir", log, "--key", `${key}.pub`);
    expect(status).toBe(1);
    expect(lines[1]).toMatch(
      /^ {2}first bad record: 3, edited \(.*; audit-\w+-000000000001.jsonl:3\)$/,
    );
  });

  it("says so when signatures were not checked", async () => {
    const { status, lines } = await run("verify", "--dir", log);
    expect(status).toBe(0);
    expect(lines.join("\n")).toContain("signatures not checked");
  });

  it("gives facts as JSON", async () => {
    tamper();
    const { lines } = await run("verify", "--dir", log, "--json");
    expect(JSON.parse(lines.join(""))).toMatchObject({
      ok: false,
      chains: [{ records: closed, findings: [{ kind: "edited", seq: 3 }] }],
    });
  });

  it.each<[string, () => string[]]>([
    ["no directory named", () => []],
    ["no such directory", () => ["--dir", path.join(directory, "none")]],
    ["no log in it", () => ["--dir", directory]],
    ["no such key", () => ["--dir", log, "--key", "/nonexistent"]],
    ["a key that is none", () => ["--dir", log, "--key", anchor]],
    ["no such anchors", () => ["--dir", log, "--anchor", "/nonexistent"]],
    ["anchors that prove nothing", () => ["--dir", log, "--anchor", `${key}.pub`]],
    ["no such configuration", () => ["--config", "/nonexistent"]],
    ["an option that isn't one", () => ["--dir", log, "--fix"]],
  ])("can't tell with %s", async (_, argv) => {
    const result = await run("verify", ...argv()).catch((error: unknown) => error);
    // A mistake in the configuration is the program's to print, with status 2.
    if (!(result instanceof Error)) expect(result).toMatchObject({ status: 2 });
  });
});

describe("audit search", () => {
  it("answers who dropped it", async () => {
    const { status, lines } = await run(
      "search",
      "--dir",
      log,
      "--sql",
      "drop database",
      "--event",
      "statement",
    );
    expect(status).toBe(0);
    expect(lines.map((line) => line.replace(/^\S+Z/, "T"))).toEqual([
      "T #4  statement.decided  bob  production/shop  require approval by destructive needs two  R-7F3K2M  from 10.0.0.7:51234",
      `    ${drop}`,
      "T #6  statement.decided  bob  production/shop  allow by destructive needs two  R-7F3K2M  approval R-7F3K2M/1  from 10.0.0.7:51234",
      `    ${drop}`,
    ]);
  });

  it("never lets a record act on the terminal", async () => {
    const { lines } = await run("search", "--dir", log, "--event", "session.end");
    expect(lines.join("")).toContain("\\u{001b}[2J");
  });

  it("gives the log's own lines as JSON", async () => {
    const { lines } = await run("search", "--dir", log, "--request", "R-7F3K2M", "--json");
    expect(lines.map((line) => (JSON.parse(line) as { seq: number }).seq)).toEqual([4, 5, 6]);
  });

  it("stops after as many as asked for", async () => {
    expect((await run("search", "--dir", log, "--json", "--limit", "2")).lines).toHaveLength(2);
  });

  it("says no when there is none, and can't tell without a log", async () => {
    expect((await run("search", "--dir", log, "--person", "eve")).status).toBe(1);
    expect((await run("search", "--dir", log, "--until", "2020-01-01")).status).toBe(1);
    expect((await run("search", "--dir", directory)).status).toBe(2);
    expect((await run("search", "--dir", log, "--since", "yesterday")).status).toBe(2);
    expect((await run("search", "--dir", log, "--limit", "-1")).status).toBe(2);
  });
});

describe("audit tail", () => {
  it("shows the last records", async () => {
    const { lines } = await run("tail", "--dir", log, "-n", "3", "--json");
    expect(lines.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
      "session.end",
      "chain.closed",
      "chain.checkpoint",
    ]);
  });

  it("goes on past what is no record", async () => {
    const file = listAuditFiles(log)[0]?.path ?? "";
    fs.appendFileSync(file, "what is this\n");
    const { lines, notes } = await run("tail", "--dir", log, "-n", "2");
    expect(lines).toHaveLength(1);
    expect(notes).toHaveLength(1);
  });
});

describe("audit export", () => {
  it("writes the log's own lines", async () => {
    const output = path.join(directory, "out.jsonl");
    await run("export", "--dir", log, "--output", output);
    expect(fs.readFileSync(output)).toEqual(fs.readFileSync(listAuditFiles(log)[0]?.path ?? ""));
    expect((await run("export", "--dir", log, "--output", output)).status).toBe(2);
  });

  it("writes CSV that a spreadsheet takes for text", async () => {
    const { lines } = await run(
      "export",
      "--dir",
      log,
      "--format",
      "csv",
      "--event",
      "session.end",
    );
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain(`,'=cmd|' /C calc'!A0`);
    const dropped = await run(
      "export",
      "--dir",
      log,
      "--format",
      "csv",
      "--event",
      "statement.decided",
    );
    expect(dropped.lines[1]).toContain(`"DROP DATABASE ""shop"""`);
    const columns = dropped.lines[0]?.split(",").length;
    expect(columns).toBe(25);
  });

  it("makes a folder from which anyone can verify the approval with ssh-keygen", async (context) => {
    const output = path.join(directory, "case");
    const { status } = await run(
      "export",
      "--dir",
      log,
      "--request",
      "R-7F3K2M",
      "--output",
      output,
    );
    expect(status).toBe(0);
    expect(fs.readdirSync(output).sort()).toEqual([
      "README.md",
      "allowed_signers",
      "approval-1.json",
      "approval-1.json.sig",
      "records.jsonl",
    ]);
    if (!hasSshKeygen) context.skip("ssh-keygen is not here");
    const readme = fs.readFileSync(path.join(output, "README.md"), "utf8");
    const [command = ""] = /ssh-keygen -Y verify .*/.exec(readme) ?? [];
    expect(execFileSync("sh", ["-c", command], { cwd: output, encoding: "utf8" })).toContain(
      `Good "approval@twokey" signature for ada`,
    );
    const [hashCommand = ""] = /head -n 1 .*/.exec(readme) ?? [];
    const digest = execFileSync("sh", ["-c", hashCommand], { cwd: output, encoding: "utf8" });
    const [line = "{}"] = fs.readFileSync(path.join(output, "records.jsonl"), "utf8").split("\n");
    expect(digest.slice(0, 64)).toBe((JSON.parse(line) as { hash: string }).hash);
  });

  it("refuses a folder in use, no folder, and a request that nothing is known of", async () => {
    const request = ["export", "--dir", log, "--request", "R-7F3K2M"];
    expect((await run(...request)).status).toBe(2);
    expect((await run(...request, "--output", log)).status).toBe(2);
    const unknown = path.join(directory, "unknown");
    expect(
      await run("export", "--dir", log, "--request", "R-000000", "--output", unknown),
    ).toMatchObject({
      status: 1,
    });
    expect(fs.existsSync(unknown)).toBe(false);
  });
});

describe("parseWhen", () => {
  const now = Date.UTC(2026, 2, 14, 12);
  it.each([
    ["30m", now - 1_800_000],
    ["7d", now - 7 * 86_400_000],
    ["2026-03-14", Date.UTC(2026, 2, 14)],
    ["2026-03-14T09:26Z", Date.UTC(2026, 2, 14, 9, 26)],
    ["2026-03-14T09:26:53.5+01:00", Date.UTC(2026, 2, 14, 8, 26, 53, 500)],
  ])("reads %s", (text, expected) => {
    expect(parseWhen(text, now)).toBe(expected);
  });

  it.each(["", "2", "h", "-2h", "2026-13-01", "2026-03-14T09:26", "14.3.2026", "now"])(
    "refuses %j",
    (text) => {
      expect(() => parseWhen(text, now)).toThrow();
    },
  );
});
