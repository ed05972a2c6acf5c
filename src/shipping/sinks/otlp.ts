import { gzipSync } from "node:zlib";
import { asText, parseRecord, type LoggedRecord } from "../../audit/record.ts";
import type { Send, Shipment } from "../shipment.ts";
import { post, type PostOptions } from "./post.ts";

/** OpenTelemetry logs, "Severity Fields". */
const INFO = { severityNumber: 9, severityText: "INFO" };
const WARN = { severityNumber: 13, severityText: "WARN" };

/** Members that can be asked for by an attribute of their own; all are in the body. */
const ATTRIBUTES = {
  person: "enduser.id",
  session: "session.id",
  environment: "deployment.environment.name",
  database: "db.namespace",
  action: "twokey.action",
  rule: "twokey.rule",
  request: "twokey.request",
  sqlstate: "db.response.status_code",
} as const;

/**
 * OTLP over HTTP with JSON (OpenTelemetry Protocol Specification, "OTLP/HTTP"), which every collector takes. A record's
 * body is its line, byte for byte, so that its hash can still be checked.
 *
 * @param options - `url` is the collector's base, such as `https://collector:4318`
 */
export function otlpSink({ url, secretHeaders }: Omit<PostOptions, "headers">): Send {
  const target = {
    url: `${url.replace(/\/+$/, "")}/v1/logs`,
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    secretHeaders,
  };
  return async (shipment, signal) => {
    const body = gzipSync(JSON.stringify(exportRequest(shipment)));
    const answer = await post(target, body, signal);
    const rejected = rejectedIn(answer);
    if (rejected !== undefined) throw new Error(rejected);
  };
}

/** ExportLogsServiceRequest, in the JSON mapping of protobuf: 64-bit numbers are strings. */
function exportRequest({ chain, lines }: Shipment): object {
  return {
    resourceLogs: [
      {
        resource: {
          attributes: [
            attribute("service.name", "twokey"),
            attribute("service.instance.id", chain),
          ],
        },
        scopeLogs: [
          { scope: { name: "twokey.audit" }, logRecords: lines.map(({ line }) => logRecord(line)) },
        ],
      },
    ],
  };
}

function logRecord(line: Buffer): object {
  const text = line.toString("utf8", 0, line.length - 1);
  const record = parseRecord(line.subarray(0, -1));
  const { event, seq, hash, fields } = record;
  const timeUnixNano = nanoseconds(record.time);
  const attributes = Object.entries(ATTRIBUTES).flatMap(([member, name]) => {
    const value = asText(fields[member]);
    return value === "" ? [] : [attribute(name, value)];
  });
  return {
    timeUnixNano,
    observedTimeUnixNano: timeUnixNano,
    ...(isRefusal(record) ? WARN : INFO),
    eventName: event,
    body: { stringValue: text },
    attributes: [
      attribute("event.name", event),
      { key: "twokey.seq", value: { intValue: String(seq) } },
      attribute("twokey.hash", hash),
      ...attributes,
    ],
  };
}

function attribute(key: string, stringValue: string): object {
  return { key, value: { stringValue } };
}

/** Of RFC 3339 with six decimals. */
function nanoseconds(time: string): string {
  const micros = /\.(\d{6})Z$/.exec(time)?.[1] ?? "000000";
  return `${Math.floor(Date.parse(time) / 1000)}${micros}000`;
}

export function isRefusal({ event, fields }: LoggedRecord): boolean {
  if (event === "auth.failure" || event === "approval.rejected") return true;
  return event === "statement.decided" && fields["action"] !== "allow";
}

/** A collector may take a part and say so with status 200 ("Partial Success"): the rest would be missing without a word. */
function rejectedIn(answer: string): string | undefined {
  if (answer === "") return undefined;
  const { partialSuccess } = JSON.parse(answer) as {
    partialSuccess?: { rejectedLogRecords?: string | number; errorMessage?: string };
  };
  const rejected = Number(partialSuccess?.rejectedLogRecords ?? 0);
  if (rejected === 0) return undefined;
  return `${rejected} records were rejected: ${partialSuccess?.errorMessage ?? "no reason given"}`;
}
