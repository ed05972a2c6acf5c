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

const UNUSUAL = {
  ...WHO,
  rule: "shop-app",
  session: "5a17e0c4b2d94f11",
  summary: 'DELETE FROM "orders"',
  sql: "DELETE FROM orders WHERE id = 1",
};
const REQUEST = {
  person: "alice",
  request: "R-7F3K2M",
  summary: 'DROP TABLE "orders"',
  rule: "two-people",
  environment: "production",
  database: "shop",
};

/** One of each kind. */
export const SAMPLES: { readonly [K in AlertEvent["kind"]]: Extract<AlertEvent, { kind: K }> } = {
  "statement.refused": REFUSED,
  "statement.observed": { ...REFUSED, kind: "statement.observed", would: "block" },
  "statement.held": HELD,
  "statement.approved": {
    ...REFUSED,
    kind: "statement.approved",
    request: "R-7F3K2M",
    signers: ["bob"],
    session: "5a17e0c4b2d94f11",
  },
  "statement.break_glass": {
    ...REFUSED,
    kind: "statement.break_glass",
    request: "R-7F3K2M",
    reason: "the shop is down, nobody else is awake",
    session: "5a17e0c4b2d94f11",
  },
  "statement.failed": {
    ...WHO,
    kind: "statement.failed",
    session: "5a17e0c4b2d94f11",
    sqlstate: "42703",
    summary: "SELECT",
    sql: "SELECT x",
  },
  "request.created": { ...REQUEST, kind: "request.created", approvers: ["lead"] },
  "request.signed": { ...REQUEST, kind: "request.signed", signer: "bob", isComplete: true },
  "request.rejected": { ...REQUEST, kind: "request.rejected", by: "bob", reason: "not today" },
  "request.break_glass": {
    ...REQUEST,
    kind: "request.break_glass",
    reason: "the shop is down",
    approvers: ["lead"],
  },
  "request.unreviewed": { ...REQUEST, kind: "request.unreviewed", approvers: ["lead"], times: 2 },
  "request.reviewed": { ...REQUEST, kind: "request.reviewed", by: "bob", reason: "it was right" },
  "login.failed": failedLogin("alice"),
  "login.new_address": { ...WHO, kind: "login.new_address" },
  "login.new_program": { ...WHO, kind: "login.new_program" },
  "unusual.statement": { ...UNUSUAL, kind: "unusual.statement", shape: "1dcf1bb1f013d569" },
  "unusual.rows": {
    ...UNUSUAL,
    kind: "unusual.rows",
    of: "delete",
    rows: 50_000,
    limit: 1000,
    by: "threshold",
  },
  "unusual.budget": {
    ...UNUSUAL,
    kind: "unusual.budget",
    of: "delete",
    rows: 1200,
    limit: 1000,
    windowMs: 3_600_000,
  },
  "unusual.hours": { ...UNUSUAL, kind: "unusual.hours" },
  "unusual.honeypot": { ...UNUSUAL, kind: "unusual.honeypot", table: "salaries_2019" },
  "audit.unavailable": {
    kind: "audit.unavailable",
    directory: "/var/lib/twokey/audit",
    cause: "ENOSPC: no space left on device, write",
  },
  "audit.available": { kind: "audit.available", directory: "/var/lib/twokey/audit" },
  "audit.tampered": {
    kind: "audit.tampered",
    directory: "/var/lib/twokey/audit",
    finding: "record 4711 of chain 00112233aabbccdd was changed",
  },
  "backup.failed": { kind: "backup.failed", database: "shop", cause: "pg_dump left with 1" },
  "backup.stale": {
    kind: "backup.stale",
    database: "shop",
    ageSeconds: 93_600,
    maxAgeSeconds: 86_400,
  },
  "backup.fresh": { kind: "backup.fresh", database: "shop" },
  "upstream.down": { kind: "upstream.down", upstream: "main", cause: "connection refused" },
  "upstream.up": { kind: "upstream.up", upstream: "main" },
  "config.changed": {
    kind: "config.changed",
    file: "/etc/twokey/twokey.yaml",
    sha256: "ab".repeat(32),
  },
};
