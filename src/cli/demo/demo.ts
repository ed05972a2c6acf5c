import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { CommandFailed } from "../command-failed.ts";
import { withStopSignal } from "../stop-signal.ts";
import type { Terminal } from "../terminal.ts";
import { refuseTakenPort } from "./ports.ts";
import { openStage, type Stage } from "./stage.ts";
import { approveLine, invocation, walkThrough } from "./walk-through.ts";
import { watch } from "./watch.ts";

interface DemoOptions {
  readonly data?: string;
  readonly port: number;
  readonly adminPort: number;
}

/** `twokey demo`: a Twokey in front of a real PostgreSQL, with a shop to break and two people to try it. */
export function demoCommand(terminal: Terminal): Command {
  return new Command("demo")
    .description("Try Twokey: a PostgreSQL of its own, a shop in it, two people, and what to type")
    .option("--data <dir>", "keep everything there, for the next start (default: nothing is kept)")
    .option("--port <n>", "port of the proxy", parsePort, 6543)
    .option("--admin-port <n>", "port for metrics and approvals", parsePort, 9188)
    .action((options: DemoOptions) => withStopSignal((signal) => demo(options, terminal, signal)));
}

async function demo(options: DemoOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const { data, port, adminPort } = options;
  await refuseTakenPort(port, "--port");
  await refuseTakenPort(adminPort, "--admin-port");
  const directory = makeDirectory(data);
  try {
    terminal.note("starting a PostgreSQL, a shop in it, and Twokey in front ...");
    const keepsDatabases = data !== undefined;
    const stage = await openStage({ directory, keepsDatabases, port, adminPort, signal });
    try {
      await show(stage, { terminal, signal });
    } finally {
      terminal.note("\nstopping ...");
      await stage.stop();
    }
  } catch (error) {
    // Whoever stops it while it starts knows why it didn't.
    if (!signal.aborted) throw error;
  } finally {
    if (data === undefined) rmSync(directory, { recursive: true, force: true });
  }
  terminal.note(data === undefined ? "stopped; nothing is left" : `stopped; kept in ${data}`);
}

async function show(
  stage: Stage,
  { terminal, signal }: { terminal: Terminal; signal: AbortSignal },
): Promise<void> {
  const twokey = invocation(process.argv, process.cwd());
  const { bold, dim } = terminal.colors;
  const { host, port, adminUrl, postgresVersion, made, directory } = stage;
  for (const line of [
    "",
    bold(`Twokey is on ${host}:${port}, in front of a PostgreSQL ${postgresVersion}.`),
    `Databases: shop and postgres are production, shop_dev is development${made.length === 0 ? ", as they were left" : ""}.`,
    `People: alice is a senior, bob is a lead and may sign. Everything is in ${directory}`,
    `Metrics: ${adminUrl}/metrics`,
    "",
    "In a second terminal, in this same folder:",
    "",
    ...walkThrough(stage, { twokey, env: terminal.env }).map((line) =>
      line.startsWith(" ") ? bold(line) : line,
    ),
    "",
    "Ctrl-C stops everything. Until then, this is what happens at the proxy:",
  ]) {
    terminal.print(line);
  }
  const approve = (request: string): string => bold(approveLine(stage, { twokey, request }));
  for await (const news of watch(stage.auditDirectory, { approve, signal })) {
    terminal.print(dim(news.slice(0, 8)) + news.slice(8));
  }
}

function makeDirectory(data: string | undefined): string {
  if (data === undefined) return mkdtempSync(join(tmpdir(), "twokey-demo-"));
  const directory = resolve(data);
  if (existsSync(directory)) {
    const isForeign = readdirSync(directory).length > 0 && !existsSync(join(directory, "secrets"));
    if (isForeign) {
      throw new CommandFailed(2, `${data} has other things in it`, {
        hint: "name a new folder with --data, or one of an earlier demo",
      });
    }
  }
  mkdirSync(directory, { recursive: true });
  return directory;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port < 65_536) return port;
  throw new InvalidArgumentError("Give a number from 0 to 65535.");
}
