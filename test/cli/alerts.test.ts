import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import type { Alert } from "../../src/alerts/alert.ts";
import { alertsCommand } from "../../src/cli/alerts.ts";
import { startHttpReceiver, type HttpReceiver } from "../alerts/receivers.ts";
import { runCommand, type Outcome } from "./plain-terminal.ts";

const directory = mkdtempSync(join(tmpdir(), "twokey-alerts-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

let receiver: HttpReceiver;
afterEach(() => receiver.close());

async function alertsTest(...argv: string[]): Promise<Outcome> {
  receiver = await startHttpReceiver();
  const config = join(directory, "twokey.yaml");
  const alerts = `alerts:
  sinks:
    hook: { kind: webhook, url: "${receiver.url}", secret: { env: KEY } }
    nobody: { kind: alertmanager, url: "http://127.0.0.1:1" }
`;
  const minimal = readFileSync("config/minimal.yaml", "utf8");
  writeFileSync(config, minimal.replaceAll(/, verifier_file: \w+\.verifier/g, "") + alerts);
  writeFileSync(join(directory, "allowed_signers"), "");
  const env = { KEY: "k", TWOKEY_UPSTREAM_PASSWORD: "p" };
  return runCommand(alertsCommand, ["test", "--config", config, ...argv], { env });
}

test("says of each sink whether it took a test alert", async () => {
  const { status, stdout, stderr } = await alertsTest();
  expect(stdout).toMatch(/^hook +webhook +delivered +\d+\.\d{3} s *$/m);
  expect(stdout).toMatch(/^nobody +alertmanager +failed +\d+\.\d{3} s .*(bad port|ECONNREFUSED)/m);
  expect({ status, stderr }).toEqual({ status: 1, stderr: "not delivered: nobody" });
  expect(JSON.parse(receiver.received[0]?.body ?? "")).toMatchObject({
    alert: "test",
    event: "test",
  } satisfies Partial<Alert>);
});

test("tests only the sinks that are named", async () => {
  const { status, stdout } = await alertsTest("--sink", "hook", "--json");
  expect(JSON.parse(stdout)).toMatchObject([{ sink: "hook", kind: "webhook", delivered: true }]);
  expect(status).toBe(0);
});

test("can't tell of a sink that is not there", async () => {
  const { status, stderr } = await alertsTest("--sink", "pager");
  expect({ status, stderr }).toEqual({ status: 2, stderr: 'there is no sink "pager"' });
});
