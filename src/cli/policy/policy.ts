import { Command } from "commander";
import type { Terminal } from "../terminal.ts";
import { diffPolicies, type DiffOptions } from "./diff.ts";
import { testPolicy } from "./test.ts";

/** `twokey policy`: whether the rules do what they are meant to, and what a change of them would do. */
export function policyCommand(terminal: Terminal): Command {
  const command = new Command("policy").description("Try the rules of a configuration");

  command
    .command("test")
    .description("Run the cases that a team wrote for its own policy; no server is asked")
    .argument("<file>", "YAML: cases of user, database, sql and what is expected")
    .requiredOption("--config <file>", "the configuration whose rules decide")
    .option("--json", "print JSON, one case a line")
    .action((file: string, options: { config: string; json?: true }) =>
      testPolicy(file, options, terminal),
    );

  command
    .command("diff")
    .description("Tell which decisions would be others under a new configuration, in groups")
    .argument("<old>", "the configuration in force")
    .argument("<new>", "the one that is to replace it")
    .option(
      "--statements <file>",
      "JSON lines as explain --json - takes them, each with user and database or for all of them",
    )
    .option("--audit <directory>", "what was decided lately: the statements of this audit log")
    .option("--since <time>", "of the audit log, what is not older, such as 2026-11-01T00:00:00Z")
    .option("--examples <count>", "statements shown of each group", Number, 3)
    .option("--json", "print JSON, one group a line")
    .action((before: string, after: string, options: DiffOptions) =>
      diffPolicies({ before, after }, options, terminal),
    );
  return command;
}
