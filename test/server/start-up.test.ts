import { rmSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { startTwokey } from "../../src/server/twokey.ts";
import { Classifier } from "../../src/session/classifier.ts";
import { FrontendListener } from "../../src/session/frontend-listener.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { writeTestConfig } from "../support/twokey.ts";

it("warms the parsers of all dialects up before it listens", async () => {
  const warmUp = vi.spyOn(Classifier.prototype, "warmUp").mockReturnValue(undefined);
  const listen = vi.spyOn(FrontendListener.prototype, "listen");
  const nowhere = {
    ...{ host: "127.0.0.1", port: 1, superuser: "nobody", password: "none", socketDir: "/nowhere" },
    stop: () => Promise.resolve(),
  };
  const { directory, configFile } = await writeTestConfig({ postgres: nowhere });
  const config = loadConfig(configFile);
  const twokey = await startTwokey({ config, log: openLog({ level: "silent" }), version: "test" });
  await twokey.stop({ drainMs: 0 });
  rmSync(directory, { recursive: true });
  const warmed = warmUp.mock.invocationCallOrder;
  const [listened = 0] = listen.mock.invocationCallOrder;
  expect(warmed).toHaveLength(2);
  expect(listened).toBeGreaterThan(Math.max(...warmed));
});
