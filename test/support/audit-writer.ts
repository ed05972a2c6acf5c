/**
 * A writer to be killed: appends records as fast as it can, and prints the number and the reason of each whose wait has
 * ended, so that it may have had an effect. `node --import tsx audit-writer.ts DIRECTORY ROUND`
 */
import fs from "node:fs";
import type { AuditUnavailable } from "../../src/base/errors.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { SIGNING_KEY } from "./audit-chain.ts";

const [directory = "", round = ""] = process.argv.slice(2);
const audit = AuditFile.open({
  directory,
  signingKey: SIGNING_KEY,
  durability: "normal",
  limits: { maxFileBytes: 300_000, checkpointEveryRecords: 100 },
});

async function write(writer: number): Promise<void> {
  for (let i = 0; ; i += 1) {
    const reason = `${round}.${writer}.${i} ${"x".repeat((i * 37) % 900)}`;
    try {
      const seq = audit.append({
        event: "session.end",
        session: "s-1",
        person: "bob",
        environment: "production",
        database: "shop",
        reason,
        duration_ms: i,
      });
      await (i % 5 === 0 ? audit.synced(seq) : audit.written(seq));
      say(`${seq} ${reason}\n`);
    } catch (error) {
      // Refused: it had no effect. The one who waits for room asks again in the next turn.
      say(`refused ${(error as AuditUnavailable).sqlstate}\n`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** Whole and at once, though the pipe may be full. */
function say(line: string): void {
  for (;;) {
    try {
      fs.writeSync(1, line);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

for (let writer = 0; writer < 8; writer += 1) void write(writer);
