import { randomUUID } from "node:crypto";
import { Command } from "commander";
import type { Alert } from "../alerts/alert.ts";
import { reasonOf } from "../alerts/courier.ts";
import type { Delivery } from "../alerts/delivery.ts";
import { openSink } from "../alerts/open-sink.ts";
import type { SinkConfig } from "../config/alerts.ts";
import { loadConfig } from "../config/load.ts";
import { addSilenceCommands } from "./alerts-silence.ts";
import { CommandFailed } from "./command-failed.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

interface TestOptions {
  readonly config: string;
  readonly sink?: readonly string[];
  readonly json?: boolean;
}

const TIMEOUT_MS = 15_000;

/** `twokey alerts test`: whether whoever should be told would be. */
export function alertsCommand(terminal: Terminal): Command {
  const command = new Command("alerts").description("Who is told at once");

  command
    .command("test")
    .description("Send a test alert to each sink, once; 1 if one of them did not take it")
    .requiredOption("--config <file>", "the configuration")
    .option("--sink <name...>", "these only")
    .option("--json", "print JSON")
    .action((options: TestOptions) => test(options, terminal));

  addSilenceCommands(command, terminal);
  return command;
}

async function test(options: TestOptions, terminal: Terminal): Promise<void> {
  const { env } = terminal;
  const { sinks } = loadConfig(options.config, { env }).alerts;
  const names = options.sink ?? [...sinks.keys()];
  if (names.length === 0) {
    throw new CommandFailed(2, "no sinks are configured, so nobody is told of anything", {
      hint: "name some in alerts.sinks",
    });
  }
  const results = await Promise.all(
    names.map(async (name) => {
      const sink = sinks.get(name);
      if (sink === undefined) throw new CommandFailed(2, `there is no sink "${name}"`);
      const startedAtMs = performance.now();
      const delivery = await attempt(sink, env);
      const seconds = Math.round(performance.now() - startedAtMs) / 1000;
      return {
        sink: name,
        kind: sink.kind,
        delivered: delivery.kind === "delivered",
        seconds,
        ...(delivery.kind === "failed" && { why: delivery.why }),
      };
    }),
  );
  if (options.json === true) terminal.print(JSON.stringify(results));
  else {
    const rows = results.map(({ sink, kind, delivered, seconds, why }) => [
      sink,
      kind,
      delivered ? "delivered" : "failed",
      `${seconds.toFixed(3)} s`,
      visibleLine(why ?? ""),
    ]);
    for (const line of table(["sink", "kind", "outcome", "took", "why"], rows)) {
      terminal.print(line);
    }
  }
  const failed = results.filter(({ delivered }) => !delivered).map(({ sink }) => sink);
  if (failed.length > 0) throw new CommandFailed(1, `not delivered: ${failed.join(", ")}`);
}

async function attempt(sink: SinkConfig, env: NodeJS.ProcessEnv): Promise<Delivery> {
  const send = openSink(sink, { now: () => new Date(), env });
  try {
    return await send(testAlert(new Date()), AbortSignal.timeout(TIMEOUT_MS));
  } catch (error) {
    return { kind: "failed", why: reasonOf(error), isFinal: false };
  }
}

function testAlert(now: Date): Alert {
  const id = `A-${randomUUID()}`;
  return {
    id,
    time: now.toISOString(),
    alert: "test",
    event: "test",
    severity: "info",
    status: "firing",
    group: id.replaceAll(/[^0-9a-f]/g, ""),
    times: 1,
    title: "a test alert of Twokey: nothing has happened",
    next: "Nothing: whoever reads this would have been told",
  };
}
