import { visibleText } from "../approvals/visible-text.ts";
import { asText, type LoggedRecord } from "../audit/record.ts";
import type { Json } from "../base/canonical-json.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

const SQL_LINES = 12;

/** A record as a person reads it: when, what, who, where and what came of it; below it the statement. */
export function describeRecord(record: LoggedRecord, colors: Terminal["colors"]): string[] {
  const { fields } = record;
  const where = [fields["environment"], fields["database"]].map(asText).filter(Boolean).join("/");
  const head = [
    colors.dim(`${record.time} #${record.seq}`),
    colors.bold(visibleLine(record.event)),
    visibleLine(asText(fields["person"])),
    visibleLine(where),
    ...outcome(fields, colors),
  ];
  return [
    head.filter((part) => part !== "").join("  "),
    ...statement(fields).map((line) => `    ${line}`),
  ];
}

function outcome(fields: LoggedRecord["fields"], colors: Terminal["colors"]): string[] {
  const action = asText(fields["action"]);
  const rule = fields["rule"] === undefined ? "" : ` by ${visibleLine(asText(fields["rule"]))}`;
  const decision = `${action.replaceAll("_", " ")}${rule}`;
  return [
    action === "" || action === "allow" ? decision : colors.yellow(decision),
    ...TOLD.flatMap((name) => told(name, fields[name])),
  ];
}

/** Members worth a place in the line, in this order. */
const TOLD = [
  "request",
  "approval",
  "statement",
  "rows",
  "duration_ms",
  "sqlstate",
  "outcome",
  "reason",
  "operation",
  "target",
  "authentication",
  "client",
  "after",
  "file",
  "cause",
  "lost",
] as const;

function told(name: (typeof TOLD)[number], value: Json | undefined): string[] {
  if (value === undefined) return [];
  switch (name) {
    case "request":
    case "outcome":
    case "operation":
    case "target":
    case "reason":
      return [visibleLine(asText(value))];
    case "statement":
      return [`of #${JSON.stringify(value)}`];
    case "rows":
      return [`${JSON.stringify(value)} ${value === 1 ? "row" : "rows"}`];
    case "duration_ms":
      return [`${JSON.stringify(value)} ms`];
    case "sqlstate":
      return value === "00000" ? [] : [`SQLSTATE ${visibleLine(asText(value))}`];
    case "client":
      return [`from ${visibleLine(asText((value as { address?: Json }).address))}`];
    default:
      return [`${name} ${visibleLine(typeof value === "string" ? value : JSON.stringify(value))}`];
  }
}

function statement(fields: LoggedRecord["fields"]): string[] {
  if (fields["sql_spilled"] === true) {
    const bytes = JSON.stringify(fields["sql_bytes"]);
    return [`(${bytes} bytes, in spilled/${visibleLine(asText(fields["sql_sha256"]))}.sql)`];
  }
  if (fields["sql"] === undefined) return [];
  const lines = visibleText(asText(fields["sql"])).trimEnd().split("\n");
  if (lines.length <= SQL_LINES) return lines;
  return [...lines.slice(0, SQL_LINES), `(${lines.length - SQL_LINES} more lines; --json has all)`];
}
