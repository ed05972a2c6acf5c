import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAdminServer, type AdminOptions } from "../../src/admin/admin-server.ts";
import type { SessionView } from "../../src/admin/session-routes.ts";
import type { Registry } from "../../src/approvals/admit.ts";
import { addSeconds, formatInstant } from "../../src/approvals/instant.ts";
import { approvedStatement } from "../../src/approvals/document.ts";
import type { RequestStore } from "../../src/approvals/request-store.ts";
import type { Asked } from "../../src/approvals/request.ts";
import { openSqliteRequestStore } from "../../src/store/requests-sqlite.ts";
import { parseAllowedSigners } from "../../src/approvals/allowed-signers.ts";
import { ed25519KeyPair, type Ed25519KeyPair } from "../../src/approvals/ssh-private-key.ts";
import { formatPublicKey } from "../../src/approvals/ssh-key.ts";
import { signSshsig } from "../../src/approvals/sshsig.ts";
import { NO_REVOKED_KEYS } from "../../src/approvals/revoked-keys.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";

/** Three people with keys of their own: alice asks, bob leads, olga operates. */
const ROLES = { alice: ["senior"], bob: ["lead"], olga: ["operator"] };

export function keyOf(person: string): Ed25519KeyPair {
  return ed25519KeyPair(Buffer.alloc(32, person));
}

export function newRegistry(): Registry {
  const lines = Object.keys(ROLES).map(
    (name) => `${name} ${formatPublicKey(keyOf(name).publicKey)}\n`,
  );
  return {
    signers: parseAllowedSigners(lines.join("")),
    revoked: NO_REVOKED_KEYS,
    groups: new Map(Object.entries(ROLES)),
  };
}

/** What alice's refused DROP DATABASE asks for. */
export function asked(changes: Partial<Asked> = {}): Asked {
  return {
    requester: "alice",
    roles: ["senior"],
    client: "10.0.0.7 (psql)",
    database: "shop",
    environment: "production",
    upstream: "main",
    rule: "drops-need-a-lead",
    terms: {
      approvers: ["lead"],
      signatures: 1,
      maxValiditySeconds: 900,
      maxUses: 1,
      isReasonRequired: false,
      parameters: "exact",
      waits: "refuse",
      holdSeconds: 0,
      breakGlass: [],
      freezes: [],
      recycleSeconds: 0,
    },
    statements: [approvedStatement("DROP DATABASE shop", "none")],
    summary: 'DROP DATABASE "shop"',
    effects: ["destructive_ddl"],
    reason: "",
    ...changes,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export interface TestAdmin {
  readonly url: string;
  readonly audit: AuditRecord[];
  readonly log: string[];
  readonly requests: RequestStore;
  readonly open: (asked: Asked) => Promise<string>;
  readonly sessions: SessionView[];
  /** What the server takes for the registry; a test may put another in its place. */
  readonly registry: { current: Registry };
  readonly clock: { now: number };
  readonly call: (
    method: string,
    path: string,
    options?: { token?: string | undefined; body?: unknown },
  ) => Promise<Answer>;
  readonly signIn: (person: string) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** A real server on a free port, with what the proxy would hand in replaced by lists that a test can look at. */
export async function openTestAdmin(overrides: Partial<AdminOptions> = {}): Promise<TestAdmin> {
  const directory = mkdtempSync(join(tmpdir(), "twokey-admin-"));
  const requests = await openSqliteRequestStore({
    file: join(directory, "twokey.db"),
    maxOpenPerRequester: 100,
  });
  const audit: AuditRecord[] = [];
  const log: string[] = [];
  const sessions: SessionView[] = [];
  const registry = { current: newRegistry() };
  const clock = { now: Date.parse("2026-11-23T12:00:00Z") };
  const server = await openAdminServer({
    host: "127.0.0.1",
    port: 0,
    publicUrl: undefined,
    version: "1.2.3",
    log: openLog({ level: "warn" }, { write: (line) => void log.push(line) }),
    metrics: new Metrics({ version: "1.2.3", now: () => clock.now }),
    metricsToken: () => undefined,
    tls: undefined,
    checks: new Map([["listening", () => Promise.resolve()]]),
    findPrincipal: (name) => {
      const roles = registry.current.groups.get(name);
      return roles && { kind: "person", name, roles };
    },
    registry: () => registry.current,
    operatorRoles: ["operator"],
    silences: { rules: [], list: () => [], add: () => undefined, remove: () => false },
    habits: { list: () => [], promote: () => false, learn: () => false, reset: () => false },
    requests,
    impact: () => Promise.resolve({ measured_at: "2026-11-23T12:00:00Z" }),
    submit: () => Promise.reject(new Error("not asked for in this test")),
    requestAccess: () => Promise.reject(new Error("not asked for in this test")),
    passwords: {
      maxSeconds: 3600,
      refusal: () => undefined,
      issue: () => Promise.reject(new Error("not asked for in this test")),
      revoke: () => 0,
    },
    sessions: {
      list: () => sessions,
      terminate: (id) => {
        const index = sessions.findIndex((session) => session.id === id);
        if (index >= 0) sessions.splice(index, 1);
        return index >= 0;
      },
    },
    audit: (record) => {
      audit.push(record);
      return Promise.resolve();
    },
    now: () => clock.now,
    ...overrides,
  });

  const call: TestAdmin["call"] = async (method, path, { token, body } = {}) => {
    const response = await fetch(server.url + path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? (JSON.parse(text) as unknown) : text,
    };
  };

  const signIn = async (person: string): Promise<string> => {
    const asked = await call("POST", "/api/v1/login/challenge", { body: { person } });
    const { challenge, namespace } = asked.body as { challenge: string; namespace: string };
    const signature = signSshsig(keyOf(person), { message: challenge, namespace });
    const answer = await call("POST", "/api/v1/login", { body: { challenge, signature } });
    return (answer.body as { token: string }).token;
  };

  return {
    url: server.url,
    audit,
    log,
    requests,
    open: async (wanted) => {
      const now = formatInstant(new Date(clock.now));
      const opening = await requests.openOrJoin(wanted, { now, expiresAt: addSeconds(now, 3600) });
      if (opening.kind === "too_many_open") throw new Error("too many open");
      return opening.request.id;
    },
    sessions,
    registry,
    clock,
    call,
    signIn,
    close: async () => {
      await server.close();
      await requests.close();
      rmSync(directory, { recursive: true });
    },
  };
}
