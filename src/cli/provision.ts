import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { readAdministrator } from "../provision/administrator.ts";
import { applyProvision, planProvision } from "../provision/provision.ts";
import type { Terminal } from "./terminal.ts";

interface ProvisionOptions {
  readonly config: string;
  readonly database: string;
  readonly apply?: boolean;
  readonly asAdmin?: string;
}

/** `twokey provision`: the roles on the server, with what each may do and no more. */
export function provisionCommand(terminal: Terminal): Command {
  return new Command("provision")
    .description(
      "Print the SQL that makes the roles of a database's logins, each with least privilege; or run it, in one transaction",
    )
    .requiredOption("--config <file>", "the configuration")
    .requiredOption("--database <name>", "one of its databases")
    .option("--apply", "run it, and make the password files that are missing")
    .option(
      "--as-admin <place>",
      "env:NAME or file:PATH that holds a superuser's URL; without it, Twokey's own role is used",
    )
    .action((options: ProvisionOptions) => provision(options, terminal));
}

async function provision(
  { config: file, database, apply, asAdmin }: ProvisionOptions,
  terminal: Terminal,
): Promise<void> {
  // Password files may be missing yet: they are what is made here.
  const config = loadConfig(file, { env: terminal.env, surroundings: "skip" });
  const administrator =
    asAdmin === undefined ? undefined : readAdministrator(asAdmin, terminal.env);
  const { sql, withoutPassword } = await planProvision(config, database, {
    makesPasswords: apply === true,
  });
  if (apply !== true) {
    terminal.print(sql);
    for (const user of withoutPassword) {
      terminal.note(`${user}: its password file does not exist; --apply makes it`);
    }
    return;
  }
  await applyProvision(config, database, { sql, administrator });
  terminal.print(`${database}: the roles of its logins are as the configuration says`);
}
