import { Command } from "commander";
import { z } from "zod";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { ConfigError, ConfigUnreadable } from "../config/mistakes.ts";
import { configSchema } from "../config/schema.ts";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";

interface CheckOptions {
  readonly config?: string;
  readonly schema?: boolean;
  readonly offline?: boolean;
  readonly json?: boolean;
}

/** `twokey check`: every mistake of a configuration at once; or its JSON Schema, for editors. */
export function checkCommand(terminal: Terminal): Command {
  return new Command("check")
    .description(
      "List every mistake of a configuration file, with line and column; 1 if there are any",
    )
    .option("--config <file>", "the configuration")
    .option("--offline", "leave alone the files and environment variables that it names")
    .option("--schema", "print the JSON Schema of configuration files instead")
    .option("--json", "print JSON")
    .action((options: CheckOptions) => {
      check(options, terminal);
    });
}

function check({ config: file, schema, offline, json }: CheckOptions, terminal: Terminal): void {
  if (schema === true) {
    terminal.print(JSON.stringify(z.toJSONSchema(configSchema, { io: "input" }), null, 2));
    return;
  }
  if (file === undefined) throw new CommandFailed(2, "check needs --config FILE, or --schema");
  const mistakes = mistakesIn(file, { env: terminal.env, isOffline: offline === true });
  if (Array.isArray(mistakes)) {
    if (json === true) terminal.print(JSON.stringify({ ok: false, mistakes }));
    else for (const mistake of mistakes) terminal.print(mistake);
    throw new CommandFailed(1, `${count(mistakes.length, "mistake")} in ${file}`);
  }
  terminal.print(
    json === true ? JSON.stringify({ ok: true, mistakes: [] }) : summary(file, mistakes),
  );
}

/** The mistakes, or the configuration that has none. */
function mistakesIn(
  file: string,
  { env, isOffline }: { env: NodeJS.ProcessEnv; isOffline: boolean },
): string[] | Config {
  try {
    return loadConfig(file, { env, surroundings: isOffline ? "skip" : "check" });
  } catch (error) {
    if (error instanceof ConfigUnreadable || !(error instanceof ConfigError)) throw error;
    return [...error.mistakes];
  }
}

function summary(file: string, { policy, databases, environments, principals }: Config): string {
  const parts = [
    count(policy.rules.length, "rule"),
    count(databases.size, "database"),
    count(environments.length, "environment"),
    count(principals.size, "principal"),
  ];
  return `${file}: no mistakes (${parts.join(", ")})`;
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? "" : "s"}`;
}
