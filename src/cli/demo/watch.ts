import { asText, parseRecord, type LoggedRecord } from "../../audit/record.ts";
import { followLines, lastLines } from "../../store/audit-file-follow.ts";
import { visibleLine } from "../visible-line.ts";

/** What happens at the proxy from now on, a line each, told from the audit log as it grows. */
export async function* watch(
  auditDirectory: string,
  { approve, signal }: { approve: (request: string) => string; signal: AbortSignal },
): AsyncGenerator<string> {
  const { place } = lastLines(auditDirectory, 0);
  if (place === undefined) return;
  for await (const line of followLines(auditDirectory, place, signal)) {
    const record = parseRecord(line);
    const news = tell(record, approve);
    if (news !== undefined) yield `${record.time.slice(11, 19)}  ${news}`;
  }
}

function tell(
  { event, fields }: LoggedRecord,
  approve: (request: string) => string,
): string | undefined {
  const field = (name: string): string => visibleLine(asText(fields[name]));
  switch (event) {
    case "auth.failure":
      return `${field("person")} could not log in: ${field("reason")}`;
    case "request.created":
      return `${field("person")} wants to run ${field("sql")}; bob may sign for it with:\n          ${approve(field("request"))}`;
    case "approval.signed":
      return `${field("request")} is signed by ${field("person")}`;
    case "approval.used":
      return `${field("request")} is used: ${field("person")}'s statement runs`;
    case "statement.decided":
      return fields["action"] === "block"
        ? `${field("person")}'s ${field("sql")} is refused by ${field("rule")}`
        : undefined;
    default:
      return undefined;
  }
}
