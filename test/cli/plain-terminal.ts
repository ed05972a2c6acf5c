import { Readable } from "node:stream";
import type { Command } from "commander";
import pc from "picocolors";
import { CommandFailed } from "../../src/cli/command-failed.ts";
import type { Terminal } from "../../src/cli/terminal.ts";

export interface Outcome {
  readonly status: 0 | 1 | 2;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command by itself, without a keyboard and without colours. */
export async function runCommand(
  command: (terminal: Terminal, stdin: Readable) => Command,
  argv: readonly string[],
  { stdin = "", env = {} }: { stdin?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  const stdout: string[] = [];
  const terminal: Terminal = {
    env,
    isInteractive: false,
    colors: pc.createColors(false),
    print: (line) => void stdout.push(`${line}\n`),
    note: () => undefined,
    confirm: () => Promise.resolve(false),
    ask: () => Promise.resolve(undefined),
    askSecret: () => Promise.resolve(undefined),
  };
  const silent = { writeErr: () => undefined };
  try {
    await command(terminal, Readable.from([stdin]))
      .exitOverride()
      .configureOutput(silent)
      .parseAsync(argv, { from: "user" });
    return { status: 0, stdout: stdout.join(""), stderr: "" };
  } catch (error) {
    const status = error instanceof CommandFailed ? error.exitStatus : 2;
    const stderr = error instanceof Error ? error.message : String(error);
    return { status, stdout: stdout.join(""), stderr };
  }
}
