import type { KeyObject } from "node:crypto";
import type { ChainReport } from "../audit/finding.ts";
import { loadPublicKey } from "../store/audit-file-key.ts";
import { loadAnchors, verifyDirectoryInThreads } from "../store/audit-verify.ts";
import { answer, locate, unanswered, type KeyOptions, type WhereOptions } from "./audit-where.ts";
import { CommandFailed } from "./command-failed.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

export interface VerifyOptions extends WhereOptions, KeyOptions {
  readonly since?: number;
}

export async function verify(options: VerifyOptions, terminal: Terminal): Promise<void> {
  const { directory, keyFile, anchorFile } = locate(options);
  const publicKeys = keyFile === undefined ? [] : [readKey(keyFile)];
  if (options.since !== undefined && publicKeys.length === 0) {
    throw new CommandFailed(2, "a checkpoint is only worth its signature", { hint: "give --key" });
  }
  const anchors = answer(() =>
    anchorFile === undefined ? [] : loadAnchors(anchorFile, publicKeys),
  );
  const asked = { publicKeys, anchors, sinceSeq: options.since };
  const reports = await verifyDirectoryInThreads(directory, asked).catch((cause: unknown) => {
    throw unanswered(cause);
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
    `chain ${chain}: ${count(records, "record")}${since(report)}, ${verdict}`,
    ...(first === undefined ? [] : [`  first bad record: ${describeFinding(first)}`]),
    ...others.slice(0, 9).map((finding) => `  then: ${describeFinding(finding)}`),
    ...(others.length > 9 ? [`  and ${others.length - 9} more (--json lists them)`] : []),
    `  ${isKeyGiven ? signatures(lastSeq, signedUpTo) : NO_KEY}`,
    `  ${ENDS[report.end]}`,
  ];
}

function since({ since: start }: ChainReport): string {
  switch (start?.kind) {
    case undefined:
      return "";
    case "known":
      return ` since checkpoint ${start.seq}`;
    case "pruned":
      return ` since record ${start.seq}, up to which they were removed`;
  }
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

function readKey(filePath: string): KeyObject {
  return answer(() => loadPublicKey(filePath), `public key ${filePath}`);
}

function count(n: number, noun: string): string {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}
