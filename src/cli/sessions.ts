import { Command } from "commander";
import { z } from "zod";
import { sessionSchema } from "../admin/session-routes.ts";
import { openClient, withApiOptions, type ApiOptions } from "./api-options.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** `twokey sessions`: who is connected, and the way to end it. */
export function sessionsCommand(terminal: Terminal): Command {
  const command = new Command("sessions").description("Open sessions");

  withApiOptions(command.command("list"))
    .description("List the sessions that you may see")
    .action((options: ApiOptions) => list(options, terminal));

  withApiOptions(command.command("terminate"))
    .description("End a session; what it was doing is rolled back")
    .argument("<id>", "its id, as listed")
    .action((id: string, options: ApiOptions) => terminate(id, options, terminal));

  return command;
}

async function list(options: ApiOptions, terminal: Terminal): Promise<void> {
  const { client } = await openClient(options, terminal);
  const answer = z.object({ sessions: z.array(sessionSchema) });
  const { sessions } = await client.call("GET", "/sessions", answer);
  if (options.json) {
    terminal.print(JSON.stringify(sessions));
    return;
  }
  if (sessions.length === 0) {
    terminal.note("no sessions that you may see");
    return;
  }
  const head = ["session", "person", "where", "from", "state", "since", "statement"];
  const rows = sessions.map((session) => [
    session.id,
    session.person,
    `${session.environment}/${session.database}`,
    `${session.address} ${session.application_name}`.trim(),
    session.state.replaceAll("_", " "),
    session.started_at,
    (session.statement?.sql ?? "").slice(0, 60),
  ]);
  for (const line of table(head, rows)) terminal.print(line);
}

async function terminate(id: string, options: ApiOptions, terminal: Terminal): Promise<void> {
  const { client } = await openClient(options, terminal);
  await client.call("DELETE", `/sessions/${encodeURIComponent(id)}`, z.undefined());
  terminal.print(options.json ? JSON.stringify({ id, terminated: true }) : `${id} is ended`);
}
