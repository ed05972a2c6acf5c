import fs from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { parseRecord, type LoggedRecord } from "../audit/record.ts";
import type { SearchFilter } from "../audit/search.ts";
import { followLines, lastLines } from "../store/audit-file-follow.ts";
import { listAuditFiles } from "../store/audit-file-names.ts";
import { searchDirectory, type FoundRecord } from "../store/audit-search.ts";
import { csvLine, CSV_HEAD, exportRequest } from "./audit-export.ts";
import { describeRecord } from "./audit-line.ts";
import { verify, type VerifyOptions } from "./audit-verify.ts";
import { parseWhen } from "./audit-when.ts";
import { answer, locate, withWhere, type WhereOptions } from "./audit-where.ts";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";

interface FilterOptions extends WhereOptions {
  readonly person?: string;
  readonly database?: string;
  readonly effect?: string;
  readonly object?: string;
  readonly sql?: string;
  readonly request?: string;
  readonly event?: string;
  readonly since?: number;
  readonly until?: number;
}

/** `twokey audit`: the log verified, searched, followed and exported. It reads files, and needs no running proxy. */
export function auditCommand(terminal: Terminal): Command {
  const command = new Command("audit").description("The audit log");

  withWhere(command.command("verify"))
    .description("Say whether the log is as it was written; if not, name the first bad record")
    .option(
      "--key <file>",
      "public key of the checkpoints, PEM (default: beside the configured key)",
    )
    .option(
      "--anchor <file>",
      "checkpoints kept elsewhere, or a folder of them (default: the configured ones)",
    )
    .option(
      "--since <seq>",
      "begin after a signed checkpoint that is no later than this record",
      parseCount,
    )
    .action((options: VerifyOptions) => verify(options, terminal));

  withFilter(withWhere(command.command("search")))
    .description("List the records that match everything asked for; 1 when there is none")
    .option("--limit <n>", "stop after so many", parseCount)
    .option("--no-index", "read everything, trusting the files only")
    .action((options: SearchOptions) => {
      search(options, terminal);
    });

  withWhere(command.command("tail"))
    .description("Show the last records")
    .option("-n, --lines <n>", "how many", parseCount, 10)
    .option("-f, --follow", "and those to come, until Ctrl-C")
    .action((options: TailOptions) => tail(options, terminal));

  withFilter(withWhere(command.command("export")))
    .description("Write records out; with --request, a folder for an auditor")
    .option("--format <format>", "jsonl (the log's own lines) or csv", parseFormat, "jsonl")
    .option("--output <path>", "file, or for --request a new folder (default: standard output)")
    .action((options: ExportOptions) => {
      exportRecords(options, terminal);
    });

  return command;
}

function withFilter(command: Command): Command {
  const when = (text: string): number => parseWhen(text, Date.now());
  return command
    .option("--person <name>", "who did it, asked for it or signed for it")
    .option("--database <name>", "in this database")
    .option("--effect <effect>", "an effect such as delete or destructive_ddl, or destructive")
    .option("--object <name>", "names this object: users, public.users or table:public.users")
    .option("--sql <text>", "has this in its statement, in whatever case")
    .option("--request <id>", "of this request")
    .option("--event <event>", "of this kind: statement.decided, or statement for all of them")
    .option("--since <when>", "from then on: 2h, 7d, 2026-03-14 or 2026-03-14T09:26:53Z", when)
    .option("--until <when>", "before then", when);
}

interface SearchOptions extends FilterOptions {
  readonly limit?: number;
  readonly index?: boolean;
}

function search(options: SearchOptions, terminal: Terminal): void {
  let found = 0;
  answer(() => {
    for (const { record, line, isSealed } of recordsOf(options)) {
      if (found === options.limit) break;
      found += 1;
      printRecord(line, record, options, terminal);
      if (!isSealed) {
        terminal.note(`record ${record.seq} is not what was written: see \`twokey audit verify\``);
      }
    }
  });
  if (found === 0) throw new CommandFailed(1, "no such record");
}

interface TailOptions extends WhereOptions {
  readonly lines: number;
  readonly follow?: boolean;
}

async function tail(options: TailOptions, terminal: Terminal): Promise<void> {
  const { directory } = locate(options);
  const { lines, place } = answer(() => lastLines(directory, options.lines));
  if (place === undefined) throw new CommandFailed(2, `no audit log in ${directory}`);
  for (const line of lines) printLine(line, options, terminal);
  if (!options.follow) return;
  const stop = new AbortController();
  process.once("SIGINT", () => {
    stop.abort();
  });
  for await (const line of followLines(directory, place, stop.signal)) {
    printLine(line, options, terminal);
  }
}

interface ExportOptions extends FilterOptions {
  readonly format: "jsonl" | "csv";
  readonly output?: string;
}

function exportRecords(options: ExportOptions, terminal: Terminal): void {
  const { request, output } = options;
  if (request !== undefined) {
    if (output === undefined) {
      throw new CommandFailed(2, "a request is exported into a folder", {
        hint: "name a new one with --output",
      });
    }
    const files = answer(() => exportRequest(request, [...recordsOf(options)], output));
    terminal.print(options.json ? JSON.stringify(files) : `${output}: ${files.join(", ")}`);
    return;
  }
  const lines = exportLines(options);
  answer(() => {
    if (output === undefined) for (const line of lines) terminal.print(line);
    else writeNew(output, lines);
  });
}

function* exportLines(options: ExportOptions): Generator<string> {
  if (options.format === "csv") yield CSV_HEAD;
  for (const { record, line } of recordsOf(options)) {
    yield options.format === "csv" ? csvLine(record) : line.toString();
  }
}

function writeNew(filePath: string, lines: Iterable<string>): void {
  const fd = fs.openSync(filePath, "wx", 0o600);
  try {
    for (const line of lines) fs.writeSync(fd, `${line}\n`);
  } finally {
    fs.closeSync(fd);
  }
}

function recordsOf(options: SearchOptions): Generator<FoundRecord> {
  const { directory } = locate(options);
  if (listAuditFiles(directory).length === 0) {
    throw new CommandFailed(2, `no audit log in ${directory}`);
  }
  const { person, database, effect, object, sql, request, event, since, until } = options;
  const filter: SearchFilter = {
    ...{ person, database, effect, object, sql, request, event },
    sinceMs: since,
    untilMs: until,
  };
  return searchDirectory(directory, filter, { withoutIndex: options.index === false });
}

function printLine(line: Buffer, options: WhereOptions, terminal: Terminal): void {
  let record: LoggedRecord;
  try {
    record = parseRecord(line);
  } catch {
    terminal.note("a line that is no record; see `twokey audit verify`");
    return;
  }
  printRecord(line, record, options, terminal);
}

function printRecord(
  line: Buffer,
  record: LoggedRecord,
  { json }: WhereOptions,
  terminal: Terminal,
): void {
  if (json) terminal.print(line.toString());
  else for (const text of describeRecord(record, terminal.colors)) terminal.print(text);
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Give a whole number.");
  return Number(text);
}

function parseFormat(text: string): "jsonl" | "csv" {
  if (text === "jsonl" || text === "csv") return text;
  throw new InvalidArgumentError("Give jsonl or csv.");
}
