import type { Json } from "../base/canonical-json.ts";
import { impactSchema, type Impact, type ObjectImpact } from "../impact/impact.ts";
import type { Terminal } from "./terminal.ts";
import { visibleLine } from "./visible-line.ts";

type Colors = Terminal["colors"];

/** What was measured on the server, a line a fact; as it stands where another version of Twokey measured it. */
export function describeImpact(impact: Readonly<Record<string, Json>>, colors: Colors): string[] {
  const parsed = impactSchema.safeParse(impact);
  if (!parsed.success) return [`  impact       ${visibleLine(JSON.stringify(impact))}`];
  const shown = visible(parsed.data);
  const lines = [
    ...shown.statements.flatMap((statement) => statementLines(statement, colors)),
    ...serverLines(shown),
    ...shown.unknown.map(
      ({ what, because }) => `${colors.yellow("not known")}: ${what} (${because})`,
    ),
  ];
  return lines.map((line, index) =>
    `  ${(index === 0 ? "impact" : "").padEnd(12)} ${line}`.trimEnd(),
  );
}

function statementLines(
  { statement, objects, estimated_rows: rows, locks, warnings }: Impact["statements"][number],
  colors: Colors,
): string[] {
  const lines = [
    ...objects.flatMap((object) => objectLines(object, colors)),
    ...(rows === null ? [] : [`reaches about ${count(rows)} rows, as the planner expects`]),
    ...locks.flatMap(({ relation, mode, held_by: holders }) => [
      `takes ${mode} on ${relation}`,
      ...holders.map(
        ({ pid, user, application_name: program, mode: theirs, transaction_seconds: seconds }) =>
          `  ${colors.yellow("in its way")}: ${theirs} of ${user} (${program === "" ? `pid ${pid}` : program}), for ${span(seconds)}`,
      ),
    ]),
    ...warnings.map(({ name, why }) => `${colors.yellow(name)}: ${why}`),
  ];
  return statement === 0 ? lines : lines.map((line) => `statement ${statement + 1}: ${line}`);
}

function objectLines(
  { kind, name, exists, bytes, rows, dependents }: ObjectImpact,
  colors: Colors,
): string[] {
  if (!exists) return [`${kind} ${name} ${colors.yellow("is not there")}`];
  const size = [
    ...(bytes === null ? [] : [inBytes(bytes)]),
    ...(rows === null ? [] : [`about ${count(rows)} rows`]),
  ].join(", ");
  const more = dependents.count - dependents.first.length;
  return [
    `${kind} ${name}${size === "" ? "" : `: ${size}`}`,
    ...dependents.first.map((dependent) => `  depends on it: ${dependent}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function serverLines({ server, clients, replicas, backup, measured_at: at }: Impact): string[] {
  return [
    ...clients.map(
      ({ database, connections, active }) =>
        `${connections} connected to ${database}, ${active} of them busy`,
    ),
    ...replicas.map(
      ({ name, state, lag_bytes: lag }) =>
        `replica ${name} follows (${state}${lag === null ? "" : `, ${inBytes(lag)} behind`})`,
    ),
    backupLine(backup),
    `measured at ${at}${server === null ? "" : ` on PostgreSQL ${server.version}`}`,
  ];
}

function backupLine(backup: Impact["backup"]): string {
  switch (backup.state) {
    case "verified":
      return `newest verified backup: ${span(backup.age_seconds)} old, ${backup.place}`;
    case "none":
      return `no verified backup: ${backup.because}`;
    case "unknown":
      return `newest verified backup: unknown (${backup.because})`;
  }
}

/** Names are a stranger's: made visible before anything of ours is put around them. */
function visible<T>(value: T): T {
  if (typeof value === "string") return visibleLine(value) as T;
  if (Array.isArray(value)) return value.map(visible) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, its]) => [key, visible(its)])) as T;
}

function count(rows: number): string {
  return rows.toLocaleString("en-US");
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"] as const;

/** As pg_size_pretty writes it. */
function inBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 10 * 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Math.round(value)} ${UNITS[unit] ?? ""}`;
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}
