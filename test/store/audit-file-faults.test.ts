import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asText } from "../../src/audit/record.ts";
import { listAuditFiles } from "../../src/store/audit-file-names.ts";
import { searchDirectory } from "../../src/store/audit-search.ts";
import { verifyDirectory } from "../../src/store/audit-verify.ts";
import { PUBLIC_KEY } from "../support/audit-chain.ts";

const WRITER = fileURLToPath(new URL("../support/audit-writer.ts", import.meta.url));
const KILLS = Number(process.env["TWOKEY_KILLS"] ?? 6);
let directory: string;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-audit-"));
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

interface Writer {
  readonly process: ChildProcess;
  /** What it has said so far. */
  readonly output: { text: string };
  says(pattern: RegExp): Promise<void>;
  /** Kills it, and waits until all that it said has come. */
  kill(): Promise<void>;
}

function startWriter(into: string, round: number): Writer {
  const child = spawn(process.execPath, ["--import", "tsx", WRITER, into, String(round)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = { text: "" };
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => {
    output.text += text;
  });
  const ended = new Promise<void>((resolve) =>
    child.once("close", () => {
      resolve();
    }),
  );
  return {
    process: child,
    output,
    async says(pattern) {
      const from = output.text.length;
      while (!pattern.test(output.text.slice(from))) {
        if (child.exitCode !== null) throw new Error("the writer ended by itself");
        await new Promise((resolve) => child.stdout.once("data", resolve));
      }
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Every record that a writer was told of is in the log, and the log is as it was written. */
function expectNothingLost(output: string): number {
  const [report] = verifyDirectory(directory, { publicKeys: [PUBLIC_KEY], anchors: [] });
  expect(report?.findings).toEqual([]);
  const reasons = new Map(
    [...searchDirectory(directory, { event: "session.end" })].map(({ record }) => [
      String(record.seq),
      asText(record.fields["reason"]),
    ]),
  );
  const told = output
    .slice(0, output.lastIndexOf("\n"))
    .split("\n")
    .filter((line) => !line.startsWith("refused"));
  for (const line of told) {
    const [seq = "", ...reason] = line.split(" ");
    if (reasons.get(seq) !== reason.join(" ")) expect.fail(`record ${line} is lost`);
  }
  return told.length;
}

describe("kill -9", () => {
  it(
    `loses no record that was waited for, ${KILLS} times`,
    { timeout: KILLS * 10_000 },
    async () => {
      let output = "";
      for (let round = 0; round < KILLS; round += 1) {
        const writer = startWriter(directory, round);
        await writer.says(/\d+ \d/);
        await new Promise((resolve) => setTimeout(resolve, (round * 53) % 250));
        await writer.kill();
        output += writer.output.text;
      }
      expect(expectNothingLost(output)).toBeGreaterThan(KILLS);
      expect(listAuditFiles(directory).length).toBeGreaterThan(1);
    },
  );
});

describe("a full disk", () => {
  it(
    "refuses what it can't record, and goes on once there is room",
    { timeout: 30_000 },
    async (context) => {
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "twokey-test", directory], {
          stdio: "ignore",
        });
      } catch {
        context.skip("no small file system can be mounted here");
      }
      try {
        const ballast = path.join(directory, "ballast");
        fs.writeFileSync(ballast, Buffer.alloc(400_000));
        const writer = startWriter(directory, 0);
        await writer.says(/refused 58030/);
        fs.unlinkSync(ballast);
        await writer.says(/\n\d+ \d/);
        await writer.says(/refused 58030/);
        await writer.kill();
        expectNothingLost(writer.output.text);
        expect([...searchDirectory(directory, { event: "chain.resumed" })].length).toBeGreaterThan(
          0,
        );
      } finally {
        execFileSync("umount", ["-l", directory]);
      }
    },
  );
});
