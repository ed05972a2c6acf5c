import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { rotatablesOf, rotate } from "../provision/rotate.ts";
import type { Terminal } from "./terminal.ts";

interface RotateOptions {
  readonly config: string;
  readonly upstream: string;
  readonly user?: string;
}

/** `twokey rotate`: new passwords for the roles that Twokey logs in as. */
export function rotateCommand(terminal: Terminal): Command {
  return new Command("rotate")
    .description(
      "Give the roles that Twokey logs in as new random passwords; open sessions go on, and whoever knows an old one gets in nowhere",
    )
    .requiredOption("--config <file>", "the configuration")
    .requiredOption("--upstream <name>", "one of its upstreams")
    .option("--user <role>", "this role only; otherwise the upstream's and those of its databases")
    .action((options: RotateOptions) => rotateAll(options, terminal));
}

async function rotateAll(
  { config: file, upstream, user }: RotateOptions,
  terminal: Terminal,
): Promise<void> {
  const config = loadConfig(file, { env: terminal.env });
  const all = rotatablesOf(config, upstream);
  const chosen = all.filter(({ credential }) => user === undefined || credential.user === user);
  if (chosen.length === 0)
    throw new Error(`Twokey does not log in to ${upstream} as ${user ?? ""}`);
  for (const rotatable of chosen) {
    await rotate(rotatable);
    terminal.print(`${rotatable.credential.user}: new password, in ${rotatable.file}`);
  }
}
