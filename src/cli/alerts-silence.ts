import type { Command } from "commander";
import { z } from "zod";
import { silenceSchema } from "../admin/watch-routes.ts";
import { openClient, withApiOptions, type ApiOptions } from "./api-options.ts";
import { CommandFailed } from "./command-failed.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

interface SilenceOptions extends ApiOptions {
  readonly for: string;
  readonly reason: string;
  readonly person?: string;
}

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `twokey alerts silence`, `silences` and `unsilence`. */
export function addSilenceCommands(command: Command, terminal: Terminal): void {
  withApiOptions(command.command("silence"))
    .description("Have an alert rule say nothing for a time; on record, with the reason")
    .argument("<rule>", "name of the alert rule")
    .requiredOption("--for <time>", "such as 30m, 2h or 1d; at most 30d")
    .requiredOption("--reason <text>", "why; whoever looks for the alerts reads it")
    .option("--person <name>", "only about this person or workload")
    .action((rule: string, options: SilenceOptions) => silence(rule, options, terminal));

  withApiOptions(command.command("silences"))
    .description("List the silences")
    .action((options: ApiOptions) => list(options, terminal));

  withApiOptions(command.command("unsilence"))
    .description("End a silence")
    .argument("<id>", "its id, as listed")
    .action(async (id: string, options: ApiOptions) => {
      const { client } = await openClient(options, terminal);
      await client.call("DELETE", `/silences/${encodeURIComponent(id)}`, z.undefined());
      terminal.print(options.json === true ? JSON.stringify({ id, ended: true }) : `${id} is over`);
    });
}

async function silence(rule: string, options: SilenceOptions, terminal: Terminal): Promise<void> {
  const { reason, person } = options;
  const seconds = parseSeconds(options.for);
  const { client } = await openClient(options, terminal);
  const body = { rule, seconds, reason, ...(person !== undefined && { person }) };
  const made = await client.call("POST", "/silences", silenceSchema, body);
  terminal.print(
    options.json === true
      ? JSON.stringify(made)
      : `${made.id}: ${made.rule} is silent until ${made.until}`,
  );
}

async function list(options: ApiOptions, terminal: Terminal): Promise<void> {
  const { client } = await openClient(options, terminal);
  const answer = z.object({ silences: z.array(silenceSchema) });
  const { silences } = await client.call("GET", "/silences", answer);
  if (options.json === true) {
    terminal.print(JSON.stringify(silences));
    return;
  }
  if (silences.length === 0) {
    terminal.note("nothing is silent");
    return;
  }
  const rows = silences.map(({ id, rule, person, until, by, reason }) => [
    id,
    rule,
    person ?? "",
    until,
    by,
    reason,
  ]);
  for (const line of table(["id", "rule", "person", "until", "by", "reason"], rows)) {
    terminal.print(line);
  }
}

function parseSeconds(text: string): number {
  const [, digits, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined) {
    throw new CommandFailed(2, `${text} is no time such as 30m, 2h or 1d`);
  }
  return Number(digits) * SECONDS[unit as keyof typeof SECONDS];
}
