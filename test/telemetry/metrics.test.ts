import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EFFECTS } from "../../src/sql/classification.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";

const NOW = Date.parse("2026-11-23T12:00:00Z");

function newMetrics(): Metrics {
  return new Metrics({ version: "1.2.3", now: () => NOW });
}

/** The samples of `twokey_*`, as `name{labels}` → value. */
async function samples(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split("\n").filter((line) => line.startsWith("twokey_"));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

describe("metrics", () => {
  it("has samples only for what something has fed", async () => {
    expect(
      [...(await samples(newMetrics())).keys()].filter((name) => !name.includes("_bucket")),
    ).toEqual([
      `twokey_build_info{version="1.2.3",node="${process.version}"}`,
      "twokey_decision_duration_seconds_sum",
      "twokey_decision_duration_seconds_count",
      "twokey_statement_duration_seconds_sum",
      "twokey_statement_duration_seconds_count",
      'twokey_bytes_total{direction="to_upstream"}',
      'twokey_bytes_total{direction="to_frontend"}',
      'twokey_classification_cache_lookups_total{result="hit"}',
      'twokey_classification_cache_lookups_total{result="miss"}',
      "twokey_audit_records_total",
      "twokey_audit_write_failures_total",
      "twokey_audit_unsynced_records",
    ]);
  });

  it("counts every effect and action apart, and the same again at the next scrape", async () => {
    const metrics = newMetrics();
    for (const [index, effect] of EFFECTS.entries()) {
      for (let n = 0; n <= index; n++) metrics.statement("production", effect, "allow");
    }
    metrics.statement("production", "destructive_ddl", "require_approval");
    metrics.statement("staging", "destructive_ddl", "block");
    for (let scrape = 0; scrape < 2; scrape++) {
      const seen = await samples(metrics);
      for (const [index, effect] of EFFECTS.entries()) {
        const name = `twokey_statements_total{environment="production",effect="${effect}",action="allow"}`;
        expect(seen.get(name), effect).toBe(index + 1);
      }
      expect(
        seen.get(
          'twokey_statements_total{environment="production",effect="destructive_ddl",action="require_approval"}',
        ),
      ).toBe(1);
      expect(
        seen.get(
          'twokey_statements_total{environment="staging",effect="destructive_ddl",action="block"}',
        ),
      ).toBe(1);
    }
  });

  it.each([
    [0, "5e-06"],
    [0.00005, "0.00005"],
    [0.000051, "0.0001"],
    [0.003, "0.005"],
    [10, "10"],
    [11, "+Inf"],
  ])("puts a statement of %d s into bucket le=%s and all above it", async (seconds, le) => {
    const metrics = newMetrics();
    metrics.statementTook(seconds);
    const buckets = [...(await samples(metrics))].filter(([name]) =>
      name.startsWith("twokey_statement_duration_seconds_bucket"),
    );
    const first = buckets.findIndex(([, value]) => value === 1);
    expect(buckets.map(([, value]) => value)).toEqual(buckets.map((_, i) => (i < first ? 0 : 1)));
    expect(Number(buckets[first]?.[0].match(/le="(.*)"/)?.[1]?.replace("+Inf", "Infinity"))).toBe(
      Number(le.replace("+Inf", "Infinity")),
    );
  });

  it("adds up count and sum of a histogram", async () => {
    const metrics = newMetrics();
    metrics.decisionTook(0.25);
    metrics.decisionTook(0.5);
    const seen = await samples(metrics);
    expect(seen.get("twokey_decision_duration_seconds_sum")).toBe(0.75);
    expect(seen.get("twokey_decision_duration_seconds_count")).toBe(2);
    expect(seen.get('twokey_decision_duration_seconds_bucket{le="+Inf"}')).toBe(2);
  });

  it("feeds every other metric under its contract's name", async () => {
    const metrics = newMetrics();
    metrics.bytes("to_upstream", 10);
    metrics.bytes("to_frontend", 20);
    metrics.readCache(() => ({ hit: 1, miss: 0 }));
    metrics.readAudit(() => ({ records: 1, writeFailures: 1, unsynced: 3 }));
    metrics.sessionOpened("production");
    metrics.sessionOpened("production");
    metrics.sessionClosed("production");
    metrics.upstreamUp("db1", true);
    metrics.authFailed("password");
    metrics.request("created");
    metrics.approval("accepted");
    metrics.alert("slack", "sent");
    metrics.backupFinished("shop", "succeeded");
    metrics.backupFinished("shop", "failed");
    metrics.backupFound("crm", NOW - 90_000);
    metrics.configReloaded("refused");
    const seen = await samples(metrics);
    expect(Object.fromEntries(seen)).toMatchObject({
      'twokey_bytes_total{direction="to_upstream"}': 10,
      'twokey_bytes_total{direction="to_frontend"}': 20,
      'twokey_classification_cache_lookups_total{result="hit"}': 1,
      twokey_audit_records_total: 1,
      twokey_audit_write_failures_total: 1,
      twokey_audit_unsynced_records: 3,
      'twokey_sessions{environment="production"}': 1,
      'twokey_upstream_up{upstream="db1"}': 1,
      'twokey_auth_failures_total{reason="password"}': 1,
      'twokey_requests_total{outcome="created"}': 1,
      'twokey_approvals_total{outcome="accepted"}': 1,
      'twokey_alerts_total{sink="slack",outcome="sent"}': 1,
      'twokey_backup_runs_total{database="shop",outcome="succeeded"}': 1,
      'twokey_backup_runs_total{database="shop",outcome="failed"}': 1,
      'twokey_backup_age_seconds{database="crm"}': 90,
      'twokey_config_reloads_total{outcome="refused"}': 1,
    });
  });

  it("shows process and event-loop lag metrics", async () => {
    const text = await newMetrics().text();
    expect(text).toMatch(/^process_resident_memory_bytes /m);
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
  });

  it("bounds every label, whatever it is fed", async () => {
    const metrics = newMetrics();
    for (let i = 0; i < 1000; i++) {
      metrics.statement(`environment ${i}`, "read", "allow");
      metrics.authFailed(`"}\n${i}`);
    }
    const seen = await samples(metrics);
    const statements = [...seen].filter(([name]) => name.startsWith("twokey_statements_total"));
    expect(statements).toHaveLength(101);
    expect(
      seen.get('twokey_statements_total{environment="other",effect="read",action="allow"}'),
    ).toBe(900);
    expect([...seen].filter(([name]) => name.startsWith("twokey_auth_failures"))).toHaveLength(101);
  });

  it("are all in the reference, and the reference names no other", async () => {
    const reference = readFileSync("docs/reference/metrics.md", "utf8");
    const documented = [...reference.matchAll(/^\| `(twokey_\w+)` +\| (\w+)/gm)];
    const exposed = [...(await newMetrics().text()).matchAll(/^# TYPE (twokey_\w+) (\w+)/gm)];
    expect(documented.map(([, name, type]) => `${name} ${type}`).sort()).toEqual(
      exposed.map(([, name, type]) => `${name} ${type}`).sort(),
    );
  });
});
