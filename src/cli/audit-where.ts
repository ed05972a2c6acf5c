import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { CommandFailed } from "./command-failed.ts";

export interface WhereOptions {
  readonly config?: string;
  readonly dir?: string;
  readonly json?: boolean;
}

export function withWhere(command: Command): Command {
  return command
    .option("--dir <directory>", "where the log's files are")
    .option("--config <file>", "configuration that says where")
    .option("--json", "print JSON");
}

interface Located {
  readonly directory: string;
  readonly keyFile: string | undefined;
  readonly anchorFile: string | undefined;
}

export interface KeyOptions {
  readonly key?: string;
  readonly anchor?: string;
}

/** What is said on the command line counts; the configuration says the rest. */
export function locate({ config, dir, key, anchor }: WhereOptions & KeyOptions): Located {
  if (config === undefined) {
    if (dir === undefined) {
      throw new CommandFailed(2, "no audit log named", { hint: "give --dir or --config" });
    }
    return { directory: dir, keyFile: key, anchorFile: anchor };
  }
  const { audit } = loadConfig(config, { surroundings: "skip" });
  return {
    directory: dir ?? audit.directory,
    keyFile: key ?? `${audit.checkpoint.keyFile}.pub`,
    anchorFile: anchor ?? audit.checkpoint.anchorFile,
  };
}

/** What can't be read gives no answer, which is neither yes nor no. */
export function answer<T>(ask: () => T, what = "the audit log"): T {
  try {
    return ask();
  } catch (cause) {
    throw unanswered(cause, what);
  }
}

export function unanswered(cause: unknown, what = "the audit log"): CommandFailed {
  if (cause instanceof CommandFailed) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CommandFailed(2, `${what} can't be read: ${why}`, { cause });
}
