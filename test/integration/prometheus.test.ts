import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import https from "node:https";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { pem } from "../support/pem.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestTwokey, type TestTwokey } from "../support/twokey.ts";

const isThere = ["prometheus", "promtool"].every(
  (program) => spawnSync(program, ["--version"]).error === undefined,
);
if (!isThere) process.stdout.write("skipped: prometheus and promtool are not installed\n");

const TOKEN = "a-token-for-tests-only";
const RULES = path.resolve("config/prometheus/twokey.rules.yaml");

describe.skipIf(!isThere)("Prometheus", () => {
  it("takes the rules, and they say what their own tests expect", () => {
    const checked = execFileSync("promtool", ["check", "rules", RULES], { encoding: "utf8" });
    expect(checked).toContain("SUCCESS");
    const tests = path.resolve("config/prometheus/twokey.rules.test.yaml");
    expect(execFileSync("promtool", ["test", "rules", tests], { encoding: "utf8" })).toContain(
      "SUCCESS",
    );
  });

  let postgres: TestPostgres;
  let twokey: TestTwokey;
  let prometheus: ChildProcess;
  let url: string;
  const directory = mkdtempSync(path.join(tmpdir(), "twokey-prometheus-"));

  beforeAll(async () => {
    postgres = await startPostgres();
    writeFileSync(path.join(directory, "token"), TOKEN, { mode: 0o600 });
    const certificate = (name: string): string => path.resolve("test/support/certificates", name);
    twokey = await startTestTwokey({
      postgres,
      config: {
        admin: {
          port: 0,
          tls: { cert: certificate("server.crt"), key: certificate("server.key") },
          metrics: { token: { file: path.join(directory, "token") } },
        },
      },
    });
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    writeFileSync(
      path.join(directory, "prometheus.yaml"),
      JSON.stringify({
        global: { scrape_interval: "1s", evaluation_interval: "1s" },
        rule_files: [RULES],
        scrape_configs: [
          {
            job_name: "twokey",
            scheme: "https",
            authorization: { credentials_file: path.join(directory, "token") },
            tls_config: { ca_file: certificate("ca.crt"), server_name: "localhost" },
            static_configs: [{ targets: [new URL(twokey.adminUrl).host] }],
          },
        ],
      }),
    );
    prometheus = spawn(
      "prometheus",
      [
        `--config.file=${path.join(directory, "prometheus.yaml")}`,
        `--storage.tsdb.path=${path.join(directory, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: "ignore" },
    );
  });
  afterAll(async () => {
    prometheus.kill();
    await once(prometheus, "exit");
    await twokey.stop();
    await postgres.stop();
    rmSync(directory, { recursive: true });
  });

  async function ask(expr: string): Promise<{ metric: Record<string, string>; value: number }[]> {
    const query = new URLSearchParams({ query: expr });
    const response = await fetch(`${url}/api/v1/query?${query.toString()}`);
    const { data } = (await response.json()) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  it("scrapes Twokey, and answers in PromQL what people did", async () => {
    const client = new Client({ connectionString: twokey.url(twokey.people.alice, "postgres") });
    await client.connect();
    for (let n = 0; n < 5; n++) await client.query("SELECT 1");
    await expect(client.query("DROP DATABASE shop")).rejects.toThrow(/needs a second person/);
    await vi.waitFor(
      async () => {
        expect(
          await ask(
            'sum by (environment, action) (twokey_statements_total{effect="destructive_ddl"})',
          ),
        ).toEqual([
          { metric: { environment: "production", action: "require_approval" }, value: 1 },
        ]);
      },
      { timeout: 60_000, interval: 500 },
    );
    expect(await ask("twokey_sessions")).toMatchObject([{ value: 1 }]);
    expect(await ask('sum(twokey_statements_total{effect="read",action="allow"})')).toMatchObject([
      { value: 5 },
    ]);
    const [p99] = await ask(
      "histogram_quantile(0.99, sum by (le) (twokey_decision_duration_seconds_bucket))",
    );
    expect(p99?.value).toBeGreaterThan(0);
    expect(await ask('up{job="twokey"}')).toMatchObject([{ value: 1 }]);
    await client.end();
  });

  it("finds what Twokey exposes well-formed", async () => {
    const exposed = await metricsText(`${twokey.adminUrl}/metrics`);
    const checked = spawnSync("promtool", ["check", "metrics"], {
      input: exposed,
      encoding: "utf8",
    });
    // Its other advice is about names of Node's own metrics.
    const about = checked.stderr.split("\n").filter((line) => line.startsWith("twokey_"));
    expect(about).toEqual([]);
  });
});

async function metricsText(url: string): Promise<string> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const trust = { ca: pem("ca.crt"), servername: "localhost" };
  const [response] = (await once(https.get(url, { headers, ...trust }), "response")) as [
    IncomingMessage,
  ];
  return text(response);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
