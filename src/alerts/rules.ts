import type { AlertRule } from "../config/alerts.ts";
import type { AlertEvent } from "./event.ts";

const MINUTE_MS = 60_000;

/**
 * What statements put together of somebody's guesses fail with (PostgreSQL docs, "PostgreSQL Error Codes"): no SQL, no
 * such column, table or function, a wrong type, text that is no number, more rows or columns than the other side has.
 */
const PROBING = ["42601", "42703", "42P01", "42883", "42804", "22P02", "21000"];

const ONCE = { times: 1, withinMs: MINUTE_MS, countedBy: "person" } as const;

/** What is alerted about where the configuration says nothing else. */
export const DEFAULT_RULES: readonly AlertRule[] = [
  {
    ...ONCE,
    name: "destruction-attempted",
    on: ["statement.refused", "statement.held"],
    isDestructive: true,
    severity: "critical",
  },
  {
    ...ONCE,
    name: "statement-refused",
    on: ["statement.refused"],
    isDestructive: false,
    severity: "warning",
  },
  { ...ONCE, name: "statement-observed", on: ["statement.observed"], severity: "info" },
  {
    ...ONCE,
    name: "second-person-needed",
    on: ["statement.held"],
    isDestructive: false,
    severity: "warning",
  },
  { ...ONCE, name: "request-created", on: ["request.created"], severity: "info" },
  {
    ...ONCE,
    name: "request-answered",
    on: ["request.signed", "request.rejected", "request.reviewed"],
    severity: "info",
  },
  { ...ONCE, name: "approval-used", on: ["statement.approved"], severity: "warning" },
  {
    ...ONCE,
    name: "break-glass",
    on: ["statement.break_glass", "request.break_glass"],
    severity: "critical",
  },
  { ...ONCE, name: "review-due", on: ["request.unreviewed"], severity: "critical" },
  {
    name: "many-refusals",
    on: ["statement.refused"],
    times: 10,
    withinMs: MINUTE_MS,
    countedBy: "person",
    severity: "critical",
  },
  {
    name: "many-errors",
    on: ["statement.failed"],
    times: 20,
    withinMs: MINUTE_MS,
    countedBy: "person",
    severity: "warning",
  },
  {
    name: "injection-probing",
    on: ["statement.failed"],
    sqlstates: PROBING,
    times: 8,
    withinMs: MINUTE_MS,
    countedBy: "session",
    severity: "critical",
  },
  {
    name: "failed-logins-from-an-address",
    on: ["login.failed"],
    times: 5,
    withinMs: 5 * MINUTE_MS,
    countedBy: "address",
    severity: "warning",
  },
  {
    name: "failed-logins-of-a-person",
    on: ["login.failed"],
    times: 10,
    withinMs: 10 * MINUTE_MS,
    countedBy: "person",
    severity: "warning",
  },
  { ...ONCE, name: "new-address", on: ["login.new_address"], severity: "warning" },
  { ...ONCE, name: "new-program", on: ["login.new_program"], severity: "warning" },
  {
    ...ONCE,
    name: "unusual",
    on: ["unusual.statement", "unusual.rows", "unusual.budget", "unusual.hours"],
    severity: "warning",
  },
  { ...ONCE, name: "honeypot", on: ["unusual.honeypot"], severity: "critical" },
  {
    ...ONCE,
    name: "audit-log",
    on: ["audit.unavailable", "audit.available"],
    severity: "critical",
  },
  { ...ONCE, name: "audit-tampered", on: ["audit.tampered"], severity: "critical" },
  { ...ONCE, name: "backup-failed", on: ["backup.failed"], severity: "critical" },
  {
    ...ONCE,
    name: "backup-stale",
    on: ["backup.stale", "backup.fresh"],
    severity: "critical",
  },
  { ...ONCE, name: "upstream", on: ["upstream.down", "upstream.up"], severity: "critical" },
  { ...ONCE, name: "config-changed", on: ["config.changed"], severity: "info" },
];

/** Whether the rule is about this event; how often it has to happen is another matter. */
export function matches(rule: AlertRule, event: AlertEvent): boolean {
  const { on, environments, principals, isDestructive, rules, sqlstates } = rule;
  if (!on.includes(event.kind)) return false;
  if (environments !== undefined) {
    if (!("environment" in event) || !environments.includes(event.environment)) return false;
  }
  if (principals !== undefined) {
    if (!("person" in event) || !principals.includes(event.person)) return false;
  }
  if (rules !== undefined && !("rule" in event && rules.includes(event.rule))) return false;
  if (sqlstates !== undefined) {
    if (!("sqlstate" in event)) return false;
    const { sqlstate } = event;
    if (!sqlstates.some((wanted) => sqlstate.startsWith(wanted))) return false;
  }
  if (isDestructive === undefined) return true;
  return "isDestructive" in event && event.isDestructive === isDestructive;
}

export function isSilenced({ silence }: AlertRule, now: Date): boolean {
  return silence !== undefined && now < silence.until;
}

/** Whose times are added up. */
export function countedAs({ countedBy }: AlertRule, event: AlertEvent): string {
  switch (countedBy) {
    case "session":
      if ("session" in event) return event.session;
      return personOf(event);
    case "person":
      return personOf(event);
    case "address":
      return "address" in event ? event.address : "";
    case "nothing":
      return "";
  }
}

function personOf(event: AlertEvent): string {
  return "person" in event ? event.person : "claimed" in event ? event.claimed : "";
}
