import fs from "node:fs";
import path from "node:path";
import { asText, type LoggedRecord } from "../audit/record.ts";
import type { Json } from "../base/canonical-json.ts";
import type { FoundRecord } from "../store/audit-search.ts";
import { CommandFailed } from "./command-failed.ts";

/** Columns of an export for spreadsheets; everything else is in the JSON lines. */
const COLUMNS = [
  "environment",
  "database",
  "session",
  "person",
  "roles",
  "client",
  "action",
  "rule",
  "effects",
  "destructive",
  "objects",
  "request",
  "approval",
  "sql",
  "sql_sha256",
  "statement",
  "rows",
  "duration_ms",
  "sqlstate",
  "reason",
] as const;

export const CSV_HEAD = ["chain", "seq", "time", "event", ...COLUMNS, "hash"].join(",");

/** A record as a line of CSV (RFC 4180). */
export function csvLine({ chain, seq, time, event, hash, fields }: LoggedRecord): string {
  const cells = COLUMNS.map((name) => csvText(fields[name]));
  return [chain, String(seq), time, event, ...cells, hash].map(csvCell).join(",");
}

function csvText(value: Json | undefined): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A text that begins like a formula is one to a spreadsheet, and the SQL is a stranger's (OWASP, "CSV Injection"). */
function csvCell(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/**
 * Puts a folder together from which anyone can check a request's approvals with nothing but `ssh-keygen`.
 *
 * @param records - everything on record about the request
 * @returns the names of the files
 * @throws CommandFailed when the folder has something in it already, or there is nothing to put into it
 */
export function exportRequest(
  request: string,
  records: readonly FoundRecord[],
  directory: string,
): string[] {
  if (records.length === 0) throw new CommandFailed(1, `nothing on record about ${request}`);
  fs.mkdirSync(directory, { recursive: true });
  if (fs.readdirSync(directory).length > 0) throw new CommandFailed(2, `${directory} is not empty`);
  const approvals = records
    .filter(({ record }) => record.event === "approval.signed")
    .map(({ record }, i) => approvalFiles(record.fields, i + 1));
  const signers = new Set(approvals.map(({ signer }) => signer));
  const files = new Map<string, string | Buffer>([
    ["README.md", readme(request, approvals)],
    ["records.jsonl", Buffer.concat(records.flatMap(({ line }) => [line, LINE_FEED]))],
    ...(signers.size === 0 ? [] : [["allowed_signers", [...signers].join("")] as const]),
    ...approvals.flatMap(({ document, signature }) => [document, signature]),
  ]);
  for (const [name, content] of files) fs.writeFileSync(path.join(directory, name), content);
  return [...files.keys()];
}

const LINE_FEED = Buffer.from("\n");

interface ApprovalFiles {
  readonly document: readonly [name: string, content: string];
  readonly signature: readonly [name: string, content: string];
  readonly signer: string;
  readonly check: string;
}

function approvalFiles(fields: LoggedRecord["fields"], number: number): ApprovalFiles {
  const [signer, namespace, key] = ["signer", "namespace", "public_key"].map((name) =>
    plainWord(asText(fields[name])),
  );
  const document = `approval-${number}.json`;
  return {
    document: [document, asText(fields["document"])],
    signature: [`${document}.sig`, asText(fields["signature"])],
    signer: `${signer} namespaces="${namespace}" ${key}\n`,
    check: `ssh-keygen -Y verify -f allowed_signers -I '${signer}' -n '${namespace}' -s ${document}.sig < ${document}`,
  };
}

/** The commands are made to be pasted into a shell: from a log that somebody may have written into. */
function plainWord(text: string): string {
  if (/^[\w@.+/= :-]+$/.test(text)) return text;
  throw new CommandFailed(
    2,
    `a signer or key in the log is not plain text: ${JSON.stringify(text)}`,
  );
}

function readme(request: string, approvals: readonly ApprovalFiles[]): string {
  const checks = approvals.map(({ check }) => `    ${check}`).join("\n");
  const approved =
    approvals.length === 0
      ? "Nobody has signed for it.\n"
      : `## Who signed for it, and for what

Each \`approval-N.json\` holds the exact bytes that were signed, \`approval-N.json.sig\` the signature over them, made with
the signer's own SSH key. OpenSSH's \`ssh-keygen\` (8.1 or later) says whether they belong together:

${checks}

\`allowed_signers\` was made from the log, so it shows that a key signed, not whose key it is: compare it with the registry
of your own, or ask the signer for their public key.
`;
  return `# Request ${request}

Everything that the audit log has about this request, and how to check it without Twokey.

## What is on record

\`records.jsonl\` has the log's own lines, byte for byte, one a line. The last 75 bytes of each are its hash; it is the SHA-256 of
what comes before them:

    head -n 1 records.jsonl | head -c -76 | sha256sum

That no record was left out between them only the whole log can show: \`twokey audit verify\`.

${approved}`;
}
