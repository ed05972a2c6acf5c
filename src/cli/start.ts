import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { startTwokey } from "../server/twokey.ts";
import { openLog } from "../telemetry/log.ts";
import { untilStopped } from "./until-stopped.ts";
import { version } from "./version.ts";

const DRAIN_MS = 30_000;

/** Runs the proxy until SIGTERM or SIGINT; a second signal does not wait for sessions any more. */
export function startCommand(): Command {
  return new Command("start")
    .requiredOption("--config <file>", "the configuration")
    .action(async ({ config: file }: { config: string }) => {
      const config = loadConfig(file);
      const log = openLog({ level: config.log.level });
      const twokey = await startTwokey({ config, log, version: version() });
      log.info({ port: twokey.port, admin: twokey.adminUrl }, "twokey is listening");
      const signal = await untilStopped();
      log.info({ signal }, "stopping: sessions may end what they are doing");
      const hurry = untilStopped().then(() => "hurried" as const);
      const stopped = twokey.stop({ drainMs: DRAIN_MS }).then(() => "stopped" as const);
      if ((await Promise.race([hurry, stopped])) === "hurried") process.exit(1);
      log.info("stopped");
    });
}
