import type { AlertRule } from "../config/alerts.ts";
import type { AlertEvent } from "./event.ts";

const MINUTE_MS = 60_000;

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
    on: ["request.signed", "request.rejected"],
    severity: "info",
  },
  { ...ONCE, name: "approval-used", on: ["statement.approved"], severity: "warning" },
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
  {
    ...ONCE,
    name: "audit-log",
    on: ["audit.unavailable", "audit.available"],
    severity: "critical",
  },
  { ...ONCE, name: "upstream", on: ["upstream.down", "upstream.up"], severity: "critical" },
  { ...ONCE, name: "config-changed", on: ["config.changed"], severity: "info" },
];

/** Whether the rule is about this event; how often it has to happen is another matter. */
export function matches(rule: AlertRule, event: AlertEvent): boolean {
  const { on, environments, principals, isDestructive } = rule;
  if (!on.includes(event.kind)) return false;
  if (environments !== undefined) {
    if (!("environment" in event) || !environments.includes(event.environment)) return false;
  }
  if (principals !== undefined) {
    if (!("person" in event) || !principals.includes(event.person)) return false;
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
    case "person":
      return "person" in event ? event.person : "claimed" in event ? event.claimed : "";
    case "address":
      return "address" in event ? event.address : "";
    case "nothing":
      return "";
  }
}
