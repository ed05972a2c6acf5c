import { Counter, Gauge, Registry, collectDefaultMetrics } from "prom-client";
import type { Decision } from "../policy/decision.ts";
import { EFFECTS, type Effect } from "../sql/classification.ts";
import { FastHistogram } from "./fast-histogram.ts";

/** `observe`: let pass, though the rules say otherwise. */
type Action = Decision["action"] | "observe";
export type RequestOutcome =
  "created" | "joined" | "approved" | "used" | "rejected" | "cancelled" | "expired";
export type ApprovalOutcome = "accepted" | "refused" | "used";

const ACTIONS = [
  "allow",
  "block",
  "require_approval",
  "observe",
] as const satisfies readonly Action[];
const ACTION_INDEX = { allow: 0, block: 1, require_approval: 2, observe: 3 } satisfies Record<
  Action,
  number
>;
const EFFECT_INDEX = Object.fromEntries(EFFECTS.map((effect, index) => [effect, index])) as Record<
  Effect,
  number
>;

/** Resolves 50 µs to 10 s; the three below that are for decisions which come from the cache. */
const SECONDS = [
  0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** No label takes more values than this, whatever a configuration or a client brings; the rest are `other`. */
const MAX_LABEL_VALUES = 100;

/** How the audit log is doing. */
interface AuditStats {
  readonly records: number;
  readonly writeFailures: number;
  readonly unsynced: number;
}

/** How often a statement's text had been classified before, or had not. */
type CacheLookups = Readonly<Record<"hit" | "miss", number>>;

const NO_LOOKUPS: CacheLookups = { hit: 0, miss: 0 };
const NO_AUDIT: AuditStats = { records: 0, writeFailures: 0, unsynced: 0 };

interface ShippingLag {
  readonly receiver: string;
  /** Records. */
  readonly lag: number;
}

/**
 * Every metric of Twokey, fed by one method each. What a statement touches adds to plain numbers, and becomes
 * Prometheus samples only when somebody scrapes; the others may be labelled counters, as they are rare.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #now: () => number;
  readonly #labelValues = new Map<string, Set<string>>();

  /** Statements by environment, then by effect and action. */
  readonly #statements = new Map<string, Float64Array>();
  readonly #bytes = { to_upstream: 0, to_frontend: 0 };
  #cache: () => CacheLookups = () => NO_LOOKUPS;
  #audit: () => AuditStats = () => NO_AUDIT;
  #shipping: () => readonly ShippingLag[] = () => [];
  readonly #backupSnapshotAt = new Map<string, number>();

  readonly #decisionSeconds: FastHistogram;
  readonly #statementSeconds: FastHistogram;
  readonly #sessions: Gauge<"environment">;
  readonly #upstreamUp: Gauge<"upstream">;
  readonly #authFailures: Counter<"reason">;
  readonly #requests: Counter<"outcome">;
  readonly #approvals: Counter<"outcome">;
  readonly #shipments: Counter<"receiver" | "outcome">;
  readonly #alerts: Counter<"sink" | "outcome">;
  readonly #backupRuns: Counter<"database" | "outcome">;
  readonly #configReloads: Counter<"outcome">;

  /** @param options.now - milliseconds since 1970, for ages */
  constructor(options: { readonly version: string; readonly now: () => number }) {
    this.#now = options.now;
    collectDefaultMetrics({ register: this.#registry });
    this.#gauge("build_info", "1, labelled with the running version", ["version", "node"]).set(
      { version: options.version, node: process.version },
      1,
    );

    this.#registerStatements();
    this.#decisionSeconds = this.#histogram(
      "decision_duration_seconds",
      "Time from a statement's text to the decision about it",
    );
    this.#statementSeconds = this.#histogram(
      "statement_duration_seconds",
      "Time from a statement's arrival to its completion by the upstream",
    );
    this.#collected("bytes_total", "Bytes relayed", "direction", () => this.#bytes);
    this.#collected(
      "classification_cache_lookups_total",
      "Statement texts looked up among those classified before",
      "result",
      () => this.#cache(),
    );
    this.#registerAudit();
    this.#registerBackupAge();

    this.#sessions = this.#gauge("sessions", "Sessions open now", ["environment"]);
    this.#upstreamUp = this.#gauge("upstream_up", "1 if the upstream could be reached", [
      "upstream",
    ]);
    this.#authFailures = this.#counter("auth_failures_total", "Authentications that failed", [
      "reason",
    ]);
    this.#requests = this.#counter("requests_total", "Requests, by what became of them", [
      "outcome",
    ]);
    this.#approvals = this.#counter("approvals_total", "Signed approvals handed in or used", [
      "outcome",
    ]);
    this.#shipments = this.#counter(
      "audit_shipments_total",
      "Parts of the audit log sent to a receiver",
      ["receiver", "outcome"],
    );
    this.#alerts = this.#counter("alerts_total", "Alerts, by sink", ["sink", "outcome"]);
    this.#backupRuns = this.#counter("backup_runs_total", "Backup runs", ["database", "outcome"]);
    this.#configReloads = this.#counter("config_reloads_total", "Configuration reloads", [
      "outcome",
    ]);
  }

  /** Counts one statement; of several effects, the gravest. */
  statement(environment: string, effect: Effect, action: Action): void {
    const counts = this.#statements.get(environment) ?? this.#countsOf(environment);
    const index = EFFECT_INDEX[effect] * ACTIONS.length + ACTION_INDEX[action];
    counts[index] = (counts[index] ?? 0) + 1;
  }

  decisionTook(seconds: number): void {
    this.#decisionSeconds.record(seconds);
  }

  statementTook(seconds: number): void {
    this.#statementSeconds.record(seconds);
  }

  bytes(direction: "to_upstream" | "to_frontend", count: number): void {
    this.#bytes[direction] += count;
  }

  /** Asked at every scrape. */
  readCache(lookups: () => CacheLookups): void {
    this.#cache = lookups;
  }

  /** Asked at every scrape. */
  readAudit(stats: () => AuditStats): void {
    this.#audit = stats;
  }

  sessionOpened(environment: string): void {
    this.#sessions.inc({ environment: this.#bounded("environment", environment) });
  }

  sessionClosed(environment: string): void {
    this.#sessions.dec({ environment: this.#bounded("environment", environment) });
  }

  upstreamUp(upstream: string, isUp: boolean): void {
    this.#upstreamUp.set({ upstream: this.#bounded("upstream", upstream) }, isUp ? 1 : 0);
  }

  authFailed(reason: string): void {
    this.#authFailures.inc({ reason: this.#bounded("reason", reason) });
  }

  request(outcome: RequestOutcome): void {
    this.#requests.inc({ outcome });
  }

  approval(outcome: ApprovalOutcome): void {
    this.#approvals.inc({ outcome });
  }

  shipped(receiver: string, outcome: "sent" | "failed"): void {
    this.#shipments.inc({ receiver: this.#bounded("receiver", receiver), outcome });
  }

  /** Asked at every scrape. */
  readShipping(lags: () => readonly ShippingLag[]): void {
    this.#shipping = lags;
  }

  alert(sink: string, outcome: "sent" | "failed" | "dropped"): void {
    this.#alerts.inc({ sink: this.#bounded("sink", sink), outcome });
  }

  backupFinished(database: string, outcome: "succeeded" | "failed"): void {
    this.#backupRuns.inc({ database: this.#bounded("database", database), outcome });
  }

  /** The newest good backup of all of a database is of a snapshot at `atMs`. */
  backupFound(database: string, atMs: number): void {
    this.#backupSnapshotAt.set(this.#bounded("database", database), atMs);
  }

  configReloaded(outcome: "applied" | "refused"): void {
    this.#configReloads.inc({ outcome });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All samples in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #bounded(label: string, value: string): string {
    let values = this.#labelValues.get(label);
    if (!values) this.#labelValues.set(label, (values = new Set()));
    if (values.has(value)) return value;
    if (values.size >= MAX_LABEL_VALUES) return "other";
    values.add(value);
    return value;
  }

  #countsOf(environment: string): Float64Array {
    const label = this.#bounded("environment", environment);
    let counts = this.#statements.get(label);
    if (!counts) {
      counts = new Float64Array(EFFECTS.length * ACTIONS.length);
      this.#statements.set(label, counts);
    }
    return counts;
  }

  #registerStatements(): void {
    const statements = this.#statements;
    this.#counter(
      "statements_total",
      "Statements decided about, by the gravest of their effects",
      ["environment", "effect", "action"],
      (counter) => {
        for (const [environment, counts] of statements) {
          let index = 0;
          for (const effect of EFFECTS) {
            for (const action of ACTIONS) {
              const count = counts[index++] ?? 0;
              if (count > 0) counter.inc({ environment, effect, action }, count);
            }
          }
        }
      },
    );
  }

  #registerAudit(): void {
    this.#counter("audit_records_total", "Audit records appended", [], (counter) => {
      counter.inc(this.#audit().records);
    });
    this.#counter("audit_write_failures_total", "Audit writes that failed", [], (counter) => {
      counter.inc(this.#audit().writeFailures);
    });
    this.#gauge(
      "audit_unsynced_records",
      "Audit records not yet known to be on disk",
      [],
      (gauge) => {
        gauge.set(this.#audit().unsynced);
      },
    );
    this.#gauge(
      "audit_ship_lag_records",
      "Audit records on disk that a receiver has yet to get",
      ["receiver"],
      (gauge) => {
        for (const { receiver, lag } of this.#shipping()) gauge.set({ receiver }, lag);
      },
    );
  }

  #registerBackupAge(): void {
    const snapshotAt = this.#backupSnapshotAt;
    const now = this.#now;
    this.#gauge("backup_age_seconds", "Age of the newest good backup", ["database"], (gauge) => {
      for (const [database, at] of snapshotAt) gauge.set({ database }, (now() - at) / 1000);
    });
  }

  /** A counter whose samples are the numbers that `counts` gives at the moment of the scrape. */
  #collected(
    name: string,
    help: string,
    label: string,
    counts: () => Readonly<Record<string, number>>,
  ): void {
    this.#counter(name, help, [label], (counter) => {
      for (const [value, count] of Object.entries(counts())) counter.inc({ [label]: value }, count);
    });
  }

  #counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    collect?: (counter: Counter<Label>) => void,
  ): Counter<Label> {
    const counter: Counter<Label> = new Counter<Label>({
      ...this.#named(name, help, labelNames),
      ...afresh(() => counter, collect),
    });
    return counter;
  }

  #gauge<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    collect?: (gauge: Gauge<Label>) => void,
  ): Gauge<Label> {
    const gauge: Gauge<Label> = new Gauge<Label>({
      ...this.#named(name, help, labelNames),
      ...afresh(() => gauge, collect),
    });
    return gauge;
  }

  #named<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): { name: string; help: string; labelNames: readonly Label[]; registers: Registry[] } {
    return { name: `twokey_${name}`, help, labelNames, registers: [this.#registry] };
  }

  #histogram(name: string, help: string): FastHistogram {
    const histogram = new FastHistogram({ name: `twokey_${name}`, help, bounds: SECONDS });
    this.#registry.registerMetric(histogram);
    return histogram;
  }
}

/** What makes a metric's samples at each scrape, where it is not fed meanwhile. */
function afresh<M extends { reset: () => void }>(
  metric: () => M,
  collect: ((metric: M) => void) | undefined,
): { readonly collect: () => void } | undefined {
  return (
    collect && {
      collect: () => {
        metric().reset();
        collect(metric());
      },
    }
  );
}
