import { Command } from "commander";
import { requestSchema } from "../admin/request-views.ts";
import type { RequestId } from "../approvals/request-id.ts";
import { openClient, withApiOptions, type ApiOptions } from "./api-options.ts";
import { parseId } from "./approve.ts";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";

interface RejectOptions extends ApiOptions {
  readonly reason?: string;
}

/** `twokey reject ID`: says no for good, and why. */
export function rejectCommand(terminal: Terminal): Command {
  return withApiOptions(new Command("reject"))
    .description("Say no to a request; nobody can sign for it afterwards")
    .argument("<id>", "number of the request, such as R-7F3K2M", parseId)
    .option("--reason <text>", "why not; the requester will read it")
    .action((id: RequestId, options: RejectOptions) => reject(id, options, terminal));
}

async function reject(id: RequestId, options: RejectOptions, terminal: Terminal): Promise<void> {
  const reason = options.reason ?? (await askForReason(terminal));
  const { client } = await openClient(options, terminal);
  const body = { reason };
  const rejected = await client.call("POST", `/requests/${id}/reject`, requestSchema, body);
  terminal.print(options.json ? JSON.stringify(rejected) : `${rejected.id} is rejected`);
}

async function askForReason(terminal: Terminal): Promise<string> {
  const reason = terminal.isInteractive ? await terminal.ask("Why not?") : undefined;
  if (reason === undefined || reason.trim() === "") {
    throw new CommandFailed(2, "a rejection needs a reason", { hint: "give it with --reason" });
  }
  return reason;
}
