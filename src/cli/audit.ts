import fs from "node:fs";
import type { KeyObject } from "node:crypto";
import { Command, InvalidArgumentError } from "commander";
import type { ChainReport } from "../audit/finding.ts";
import { parseRecord, type LoggedRecord } from "../audit/record.ts";
import type { SearchFilter } from "../audit/search.ts";
import { loadConfig } from "../config/load.ts";
import { followLines, lastLines } from "../store/audit-file-follow.ts";
import { loadPublicKey } from "../store/audit-file-key.ts";
import { listAuditFiles } from "../store/audit-file-names.ts";
import {
  loadAnchors,
  searchDirectory,
  verifyDirectory,
  type FoundRecord,
} from "../store/audit-file-read.ts";
import { csvLine, CSV_HEAD, exportRequest } from "./audit-export.ts";
import { describeRecord } from "./audit-line.ts";
import { parseWhen } from "./audit-when.ts";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

interface WhereOptions {
  readonly config?: string;
  readonly dir?: string;
  readonly json?: boolean;
}

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
    .option("--anchor <file>", "checkpoints kept elsewhere (default: the configured ones)")
    .action((options: VerifyOptions) => {
      verify(options, terminal);
    });

  withFilter(withWhere(command.command("search")))
    .description("List the records that match everything asked for; 1 when there is none")
    .option("--limit <n>", "stop after so many", parseCount)
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

function withWhere(command: Command): Command {
  return command
    .option("--dir <directory>", "where the log's files are")
    .option("--config <file>", "configuration that says where")
    .option("--json", "print JSON");
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

interface VerifyOptions extends WhereOptions {
  readonly key?: string;
  readonly anchor?: string;
}

function verify(options: VerifyOptions, terminal: Terminal): void {
  const { directory, keyFile, anchorFile } = locate(options);
  const publicKeys = keyFile === undefined ? [] : [readKey(keyFile)];
  const reports = answer(() => {
    const anchors = anchorFile === undefined ? [] : loadAnchors(anchorFile, publicKeys);
    return verifyDirectory(directory, { publicKeys, anchors });
  });
  if (reports.length === 0) throw new CommandFailed(2, `no audit log in ${directory}`);
  const isGood = reports.every(({ findings }) => findings.length === 0);
  if (options.json) terminal.print(JSON.stringify({ ok: isGood, chains: reports }));
  else {
    for (const report of reports) {
      for (const line of describeReport(report, publicKeys.length > 0, terminal)) {
        terminal.print(line);
      }
    }
  }
  if (!isGood) throw new CommandFailed(1, "the audit log is not as it was written");
}

function describeReport(report: ChainReport, isKeyGiven: boolean, { colors }: Terminal): string[] {
  const { chain, records, lastSeq, signedUpTo, findings } = report;
  const [first, ...others] = findings;
  const verdict =
    first === undefined
      ? colors.green("as they were written")
      : colors.red("not as they were written");
  return [
    `chain ${chain}: ${count(records, "record")}, ${verdict}`,
    ...(first === undefined ? [] : [`  first bad record: ${describeFinding(first)}`]),
    ...others.slice(0, 9).map((finding) => `  then: ${describeFinding(finding)}`),
    ...(others.length > 9 ? [`  and ${others.length - 9} more (--json lists them)`] : []),
    `  ${isKeyGiven ? signatures(lastSeq, signedUpTo) : NO_KEY}`,
    `  ${ENDS[report.end]}`,
  ];
}

const NO_KEY =
  "signatures not checked: without --key, it does not show when all hashes after an edit were made anew";

const ENDS = {
  closed: "closed in order",
  open: "open: in use, or its writer was killed",
  unfinished: "ends within a record: in use, or its writer was killed",
} as const satisfies Record<ChainReport["end"], string>;

function signatures(lastSeq: number, signedUpTo: number): string {
  const rest = lastSeq - signedUpTo;
  const since = rest > 0 ? `; ${count(rest, "record")} since then under no signature yet` : "";
  return `signed up to record ${signedUpTo}${since}`;
}

function describeFinding({
  kind,
  seq,
  file,
  line,
  message,
}: ChainReport["findings"][number]): string {
  return `${seq}, ${kind} (${visibleLine(message)}; ${file}:${line})`;
}

interface SearchOptions extends FilterOptions {
  readonly limit?: number;
}

function search(options: SearchOptions, terminal: Terminal): void {
  let found = 0;
  answer(() => {
    for (const { record, line } of recordsOf(options)) {
      if (found === options.limit) break;
      found += 1;
      printRecord(line, record, options, terminal);
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

function recordsOf(options: FilterOptions): Generator<FoundRecord> {
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
  return searchDirectory(directory, filter);
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

interface Located {
  readonly directory: string;
  readonly keyFile: string | undefined;
  readonly anchorFile: string | undefined;
}

/** What is said on the command line counts; the configuration says the rest. */
function locate({ config, dir, key, anchor }: VerifyOptions): Located {
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

function readKey(filePath: string): KeyObject {
  return answer(() => loadPublicKey(filePath), `public key ${filePath}`);
}

/** What can't be read gives no answer, which is neither yes nor no. */
function answer<T>(ask: () => T, what = "the audit log"): T {
  try {
    return ask();
  } catch (cause) {
    if (cause instanceof CommandFailed) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailed(2, `${what} can't be read: ${why}`, { cause });
  }
}

function count(n: number, noun: string): string {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Give a whole number.");
  return Number(text);
}

function parseFormat(text: string): "jsonl" | "csv" {
  if (text === "jsonl" || text === "csv") return text;
  throw new InvalidArgumentError("Give jsonl or csv.");
}
