import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Alert } from "../../src/alerts/alert.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { loadConfig } from "../../src/config/load.ts";
import { openAlerting, type OpenAlerting } from "../../src/server/alerting.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { startHttpReceiver } from "../alerts/receivers.ts";
import { REFUSED } from "../alerts/samples.ts";

const directory = mkdtempSync(path.join(tmpdir(), "twokey-alerting-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

process.env["TWOKEY_TEST_ALERT_KEY"] = "k";

const metrics = new Metrics({ version: "test", now: Date.now });
const records: AuditRecord[] = [];

function open(url: string, note = ""): Promise<OpenAlerting> {
  const file = path.join(directory, "twokey.yaml");
  const minimal = readFileSync("config/minimal.yaml", "utf8");
  const hook = `{ kind: webhook, url: "${url}", secret: { env: TWOKEY_TEST_ALERT_KEY } }`;
  writeFileSync(file, `${minimal}\n${note}\nalerts: { sinks: { hook: ${hook} } }\n`);
  return openAlerting({
    config: loadConfig(file, { surroundings: "skip" }),
    audit: {
      append: (record) => {
        records.push(record);
        return records.length as ReturnType<Parameters<typeof openAlerting>[0]["audit"]["append"]>;
      },
    },
    metrics,
    log: openLog({ level: "silent" }),
    now: () => new Date(),
  });
}

test("an alert that could not be delivered is delivered by the next process, and is on record then", async () => {
  const receiver = await startHttpReceiver([{ status: 503, headers: { "retry-after": "60" } }]);
  try {
    const before = await open(receiver.url);
    before.notice(REFUSED);
    await receiver.count(1);
    await before.close();
    expect(records).toEqual([]);

    const after = await open(receiver.url);
    const [, delivered] = await receiver.count(2);
    await after.close();
    const { id, title } = JSON.parse(delivered?.body ?? "") as Alert;
    expect(title).toBe('alice: DROP TABLE "orders" was refused in production');
    expect(records).toEqual([
      { event: "alert.sent", alert: id, sink: "hook", outcome: "delivered" },
    ]);
    expect(await metrics.text()).toContain('twokey_alerts_total{sink="hook",outcome="sent"} 1');
  } finally {
    await receiver.close();
  }
});

test("a configuration that changed between two starts is news", async () => {
  const receiver = await startHttpReceiver();
  try {
    await (await open(receiver.url)).close();
    await (await open(receiver.url)).close();
    const changed = await open(receiver.url, "# another one");
    const [first] = await receiver.count(1);
    await changed.close();
    expect(JSON.parse(first?.body ?? "")).toMatchObject({ alert: "config-changed" });
  } finally {
    await receiver.close();
  }
});

test("without sinks nobody is told anything, and nothing is written", async () => {
  const config = loadConfig("config/minimal.yaml", { surroundings: "skip" });
  const { notice, close } = await openAlerting({
    config,
    audit: { append: () => expect.unreachable() },
    metrics,
    log: openLog({ level: "silent" }),
    now: () => new Date(),
  });
  notice(REFUSED);
  await close();
});
