import { Command, Option } from "commander";
import { readFileSync } from "node:fs";
import { z } from "zod";
import {
  requestSchema,
  requestSummarySchema,
  stateSchema,
  type RequestView,
} from "../admin/request-views.ts";
import type { RequestId } from "../approvals/request-id.ts";
import { openClient, withApiOptions, type ApiOptions } from "./api-options.ts";
import { parseId } from "./approve.ts";
import { CommandFailed } from "./command-failed.ts";
import { parseSeconds } from "./seconds.ts";
import { describeRequest } from "./show-request.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

interface ListOptions extends ApiOptions {
  readonly state: readonly string[];
  readonly limit: string;
  readonly review?: true;
}

interface SubmitOptions extends ApiOptions {
  readonly database: string;
  readonly for?: string;
  readonly split?: true;
  readonly sql?: readonly string[];
  readonly file?: readonly string[];
  readonly reason?: string;
}

interface AccessOptions extends ApiOptions {
  readonly role: string;
  readonly database: string;
  readonly reason: string;
  readonly for: number;
}

/** `twokey request`: what waits for a second person, and what became of it. */
export function requestCommand(terminal: Terminal): Command {
  const id = ["<id>", "number of the request, such as R-7F3K2M", parseId] as const;
  const command = new Command("request").description("Requests for a second person");

  withApiOptions(command.command("list"))
    .description("List the requests that you may see, the newest first")
    .addOption(
      new Option("--state <state...>", "only these")
        .choices(stateSchema.options)
        .default(["pending", "approved"]),
    )
    .option("--review", "only what was run by breaking the glass and nobody has reviewed yet")
    .option("--limit <n>", "at most so many", "50")
    .action((options: ListOptions) => list(options, terminal));

  withApiOptions(command.command("show"))
    .description("Show a request: exact SQL, who, where, why, signatures")
    .argument(...id)
    .action((requestId: RequestId, options: ApiOptions) => show(requestId, options, terminal));

  withApiOptions(command.command("submit"))
    .description("Ask for approval before running something")
    .requiredOption("--database <name>", "where it will run, by the name you connect to")
    .option("--sql <text>", "a statement, to the letter; may be given again", append)
    .option(
      "--file <file>",
      "a file (- for standard input) whose whole text, to its last byte, is sent as one; may be given again",
      append,
    )
    .option("--split", "cut each file into its statements, as psql sends them one by one")
    .option("--for <workload>", "who will run it, if not you: you can't sign for it either")
    .option("--reason <text>", "what it is for; the approver will read it")
    .action((options: SubmitOptions) => submit(options, terminal));

  withApiOptions(command.command("access"))
    .description(
      "Ask for a role for a while; it begins with the last signature, and ends by itself",
    )
    .requiredOption("--role <role>", "which")
    .requiredOption("--database <name>", "where, by the name you connect to")
    .requiredOption("--reason <text>", "what it is for; the approver will read it")
    .option("--for <duration>", "how long: 30m, 1h", parseSeconds, 3600)
    .action((options: AccessOptions) => requestAccess(options, terminal));

  withApiOptions(command.command("cancel"))
    .description("Take a request back, signed or not")
    .argument(...id)
    .action((requestId: RequestId, options: ApiOptions) => cancel(requestId, options, terminal));

  return command;
}

async function requestAccess(options: AccessOptions, terminal: Terminal): Promise<void> {
  const { client } = await openClient(options, terminal);
  const { role, database, reason, for: seconds } = options;
  const body = { role, database, reason, seconds };
  const request = await client.call("POST", "/requests/access", requestSchema, body);
  terminal.print(options.json ? JSON.stringify(request) : visibleLine(waitsFor(request)));
}

function waitsFor(request: RequestView): string {
  return `${request.id} waits for ${request.signatures_needed} of ${request.approvers.join(", ")}: twokey approve ${request.id}`;
}

async function list(options: ListOptions, terminal: Terminal): Promise<void> {
  const { client } = await openClient(options, terminal);
  const query = new URLSearchParams(
    options.review
      ? [["review", "open"]]
      : options.state.map((state): [string, string] => ["state", state]),
  );
  query.set("limit", options.limit);
  const answer = z.object({ requests: z.array(requestSummarySchema), next: z.string().optional() });
  const { requests, next } = await client.call("GET", `/requests?${query.toString()}`, answer);
  if (options.json) {
    terminal.print(JSON.stringify(requests));
    return;
  }
  if (requests.length === 0) {
    const which = options.review ? "wait for a review" : `are ${options.state.join(" or ")}`;
    terminal.note(`no requests that ${which}`);
  } else {
    const head = ["request", "state", "signed", "requester", "where", "what"];
    const rows = requests.map((request) => [
      request.id,
      request.state,
      `${request.signatures}/${request.signatures_needed}`,
      request.requester,
      `${request.environment}/${request.database}`,
      request.summary,
    ]);
    for (const line of table(head, rows)) terminal.print(line);
  }
  if (next !== undefined) terminal.note("there are more: see them with --limit");
}

async function show(id: RequestId, options: ApiOptions, terminal: Terminal): Promise<void> {
  const { client } = await openClient(options, terminal);
  const request = await client.call("GET", `/requests/${id}`, requestSchema);
  if (options.json) {
    terminal.print(JSON.stringify(request));
    return;
  }
  const isOpen = request.state === "pending" || request.state === "approved";
  const impact = isOpen
    ? await client.call("GET", `/requests/${id}/impact`, z.record(z.string(), z.json()))
    : undefined;
  const lines = describeRequest(request, terminal.colors, impact);
  for (const line of lines) terminal.print(line);
}

async function submit(options: SubmitOptions, terminal: Terminal): Promise<void> {
  const files = (options.file ?? []).map(readStatement);
  const texts = options.split ? await splitFiles(files) : files;
  const statements = [...(options.sql ?? []), ...texts];
  if (statements.length === 0) {
    throw new CommandFailed(2, "there is nothing to ask for", {
      hint: "give statements with --sql or --file",
    });
  }
  const { client } = await openClient(options, terminal);
  const { database, reason, for: requester } = options;
  const body = {
    database,
    statements,
    ...(requester !== undefined && { requester }),
    ...(reason !== undefined && { reason }),
  };
  const request = await client.call("POST", "/requests", requestSchema, body);
  terminal.print(
    options.json
      ? JSON.stringify(request)
      : visibleLine(
          `${request.id}${howMany(request, statements)} waits for ${request.signatures_needed} of ${request.approvers.join(", ")}: twokey approve ${request.id}`,
        ),
  );
}

/** Of several, those that policy allows anyway are not in the request. */
function howMany({ statements }: RequestView, all: readonly string[]): string {
  return all.length === 1 ? "" : `, for ${statements.length} of ${all.length} statements,`;
}

async function splitFiles(files: readonly string[]): Promise<string[]> {
  // Only who splits waits for PostgreSQL's grammar to load.
  const { splitStatements } = await import("../sql/split.ts");
  return files.flatMap((text) => {
    const split = splitStatements(text);
    if (split.kind === "split") return split.statements;
    throw new CommandFailed(2, `can't cut it into statements: ${split.message}`, {
      hint: "psql's own commands and variables are not SQL; without --split, a file is one statement",
    });
  });
}

async function cancel(id: RequestId, options: ApiOptions, terminal: Terminal): Promise<void> {
  const { client } = await openClient(options, terminal);
  const request = await client.call("POST", `/requests/${id}/cancel`, requestSchema);
  terminal.print(options.json ? JSON.stringify(request) : `${request.id} is cancelled`);
}

/** What isn't UTF-8 would arrive as something else than what is run later. */
function readStatement(file: string): string {
  try {
    const bytes = readFileSync(file === "-" ? process.stdin.fd : file);
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "unknown error";
    throw new CommandFailed(2, `can't read ${file}: ${why}`, { cause });
  }
}

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
