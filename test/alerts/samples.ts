import type { Alert } from "../../src/alerts/alert.ts";
import type { AlertEvent } from "../../src/alerts/event.ts";

export const ALERT: Alert = {
  id: "A-1",
  time: "2027-03-14T09:26:53.000Z",
  alert: "destruction-attempted",
  event: "statement.held",
  severity: "critical",
  status: "firing",
  group: "0123456789abcdef0123456789abcdef",
  times: 1,
  title: 'alice: DROP DATABASE "shop" needs a second person in production',
  who: { person: "alice", roles: ["senior"], address: "10.0.0.7", application_name: "psql" },
  where: { environment: "production", database: "shop" },
  what: { statement: 'DROP DATABASE "shop"', sql_sha256: "ab".repeat(32), destructive: true },
  rule: "two-people-for-what-is-lost-for-good",
  request: "R-7F3K2M",
  next: "lead: `twokey approve R-7F3K2M`, or `twokey reject R-7F3K2M`",
};

const WHO = {
  person: "alice",
  roles: ["senior"],
  address: "10.0.0.7",
  applicationName: "psql",
  environment: "production",
  database: "shop",
};

export const REFUSED: Extract<AlertEvent, { kind: "statement.refused" }> = {
  ...WHO,
  kind: "statement.refused",
  summary: 'DROP TABLE "orders"',
  sql: "DROP TABLE orders",
  isDestructive: true,
  rule: "audit-tables-stay",
};

export const HELD: Extract<AlertEvent, { kind: "statement.held" }> = {
  ...REFUSED,
  kind: "statement.held",
  request: "R-7F3K2M",
  approvers: ["lead", "dba"],
};

export const LOGIN = { ...WHO, kind: "login.succeeded", isPerson: true } as const;

export function failedLogin(
  claimed: string,
  address = "192.0.2.1",
): Extract<AlertEvent, { kind: "login.failed" }> {
  return { kind: "login.failed", claimed, address, reason: "wrong_password" };
}
