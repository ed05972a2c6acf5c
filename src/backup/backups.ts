import { BackupFailed, BackupUnderWay } from "./backup-failed.ts";
import type { BackupId } from "./backup-id.ts";
import type { KnownBackup } from "./catalogue.ts";
import type { Manifest, Verified } from "./manifest.ts";
import { runInThread } from "./run-in-thread.ts";
import { lastDue, lastVerifyDue, lateAfterMs } from "./schedule.ts";
import { listAt, newBackupId, type Site } from "./site.ts";
import type { Progress, TableName } from "./take-backup.ts";

export type Reason = "schedule" | "statement" | "operator";

/** What becomes of backups, for the log, the metrics and whoever has to know. None of these may throw. */
interface BackupEvents {
  /** @throws AuditUnavailable: what can't be recorded is not begun */
  readonly started: (what: Started) => void;
  readonly finished: (what: Finished) => void;
  readonly stale: (
    database: string,
    age: { readonly ageMs: number | undefined; readonly maxAgeMs: number },
  ) => void;
  readonly fresh: (database: string) => void;
  /** The newest whole backup that a store holds. */
  readonly found: (database: string, snapshotAt: Date) => void;
  readonly trouble: (database: string, error: unknown) => void;
}

interface Started {
  readonly id: BackupId;
  readonly site: Site;
  readonly reason: Reason;
  readonly person: string | undefined;
}

export interface Finished extends Omit<Started, "person" | "reason"> {
  readonly outcome:
    | { readonly kind: "taken"; readonly manifest: Manifest }
    | { readonly kind: "verified"; readonly verified: Verified }
    | { readonly kind: "failed"; readonly error: unknown };
  readonly durationMs: number;
}

export interface BackupsOptions {
  readonly sites: ReadonlyMap<string, Site>;
  readonly events: BackupEvents;
  readonly now: () => Date;
  /** From 0 up to 1. */
  readonly random: () => number;
}

/** A failed run is tried again after so long, not at every look. */
const RETRY_MS = 10 * 60_000;

interface State {
  isBusy: boolean;
  isStale: boolean;
  /** A run is not begun before. */
  notBefore: number;
  /** Already drawn for this due time. */
  jitter: { readonly due: number; readonly ms: number } | undefined;
  verifyNotBefore: number;
}

/** The backups of a running Twokey: taken and tested when they are due, or when a statement waits for one. */
export class Backups {
  readonly #options: BackupsOptions;
  readonly #states = new Map<string, State>();
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: BackupsOptions) {
    this.#options = options;
  }

  /**
   * Looks at one database after the other: what is due is begun, which after downtime is whatever was missed, once. Called
   * every now and then; what it began goes on behind it.
   */
  async look(): Promise<void> {
    for (const site of this.#options.sites.values()) {
      try {
        await this.#lookAt(site);
      } catch (error) {
        this.#options.events.trouble(site.database, error);
      }
    }
  }

  /** The newest whole backup, or the newest that was tested. @throws BackupFailed */
  async newest(
    database: string,
    { isVerified }: { readonly isVerified: boolean },
  ): Promise<KnownBackup | undefined> {
    const { good } = await listAt(this.#siteOf(database));
    return good.find(
      ({ manifest, verified }) =>
        manifest.scope === "database" && (!isVerified || verified !== undefined),
    );
  }

  /** For an approver: what a restore would bring back for certain. @throws BackupFailed */
  newestVerified(database: string): Promise<KnownBackup | undefined> {
    return this.newest(database, { isVerified: true });
  }

  timeoutMs(database: string): number {
    return this.#options.sites.get(database)?.backup.timeoutMs ?? 0;
  }

  /** Takes one now, for somebody who waits. @throws BackupFailed, AuditUnavailable */
  async take(
    database: string,
    {
      scope,
      person,
      signal,
      onProgress,
    }: {
      readonly scope: "database" | readonly TableName[];
      readonly person: string;
      readonly signal: AbortSignal;
      readonly onProgress: (progress: Progress) => void;
    },
  ): Promise<Manifest> {
    const site = this.#siteOf(database);
    const manifest = await this.#take(site, {
      reason: "statement",
      person,
      scope,
      unlessNewerThan: undefined,
      signal: AbortSignal.any([signal, this.#stopping.signal]),
      onProgress,
    });
    if (manifest === undefined) throw new BackupFailed("no backup was taken");
    return manifest;
  }

  /** Stops what runs, and waits for that. */
  async close(): Promise<void> {
    this.#stopping.abort(new Error("twokey is stopping"));
    await Promise.allSettled(this.#running);
  }

  async #lookAt(site: Site): Promise<void> {
    const { events, now } = this.#options;
    const state = this.#stateOf(site);
    if (state.isBusy) return;
    const at = now();
    const newest = await this.newest(site.database, { isVerified: false });
    const snapshotAt = newest && new Date(newest.manifest.snapshot_at);
    if (snapshotAt !== undefined) events.found(site.database, snapshotAt);
    this.#tellAge(site, state, { at, snapshotAt });

    const due = lastDue(site.backup, at);
    const isDue = due !== undefined && (snapshotAt === undefined || snapshotAt < due);
    if (isDue && at.getTime() >= Math.max(state.notBefore, this.#jittered(site, state, due))) {
      this.#begin(site, state, () => this.#scheduled(site, state, due));
      return;
    }
    const verifyDue = lastVerifyDue(site.backup, at);
    const isUntested = newest !== undefined && newest.verified === undefined;
    const isVerifyDue =
      isUntested && verifyDue !== undefined && snapshotAt !== undefined && snapshotAt <= verifyDue;
    if (isVerifyDue && at.getTime() >= state.verifyNotBefore) {
      this.#begin(site, state, () => this.#verify(site, state, newest.manifest.backup));
    }
  }

  /** Each look that finds it due would draw anew, and the smallest would win. */
  #jittered({ backup }: Site, state: State, due: Date): number {
    if (state.jitter?.due !== due.getTime()) {
      state.jitter = { due: due.getTime(), ms: this.#options.random() * backup.jitterMs };
    }
    return due.getTime() + state.jitter.ms;
  }

  #tellAge(
    site: Site,
    state: State,
    { at, snapshotAt }: { readonly at: Date; readonly snapshotAt: Date | undefined },
  ): void {
    const { events } = this.#options;
    const maxAgeMs = lateAfterMs(site.backup, at);
    if (maxAgeMs === undefined) return;
    const ageMs = snapshotAt && at.getTime() - snapshotAt.getTime();
    const isStale = ageMs === undefined || ageMs > maxAgeMs;
    if (isStale && !state.isStale) events.stale(site.database, { ageMs, maxAgeMs });
    if (!isStale && state.isStale) events.fresh(site.database);
    state.isStale = isStale;
  }

  #begin(site: Site, state: State, work: () => Promise<void>): void {
    state.isBusy = true;
    const running = work()
      .catch((error: unknown) => {
        this.#options.events.trouble(site.database, error);
      })
      .finally(() => {
        state.isBusy = false;
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async #scheduled(site: Site, state: State, due: Date): Promise<void> {
    const { signal } = this.#stopping;
    state.notBefore = this.#options.now().getTime() + RETRY_MS;
    const manifest = await this.#take(site, {
      reason: "schedule",
      person: undefined,
      scope: "database",
      unlessNewerThan: due,
      signal,
      onProgress: () => undefined,
    }).catch((error: unknown) => {
      // Another replica is at it; that is no failure.
      if (error instanceof BackupUnderWay) return undefined;
      throw error;
    });
    if (manifest === undefined) return;
    await runInThread({ kind: "prune", site }, { signal });
    if (site.backup.verifiesEach) await this.#verify(site, state, manifest.backup);
  }

  async #take(
    site: Site,
    {
      reason,
      person,
      scope,
      unlessNewerThan,
      signal,
      onProgress,
    }: {
      readonly reason: Reason;
      readonly person: string | undefined;
      readonly scope: "database" | readonly TableName[];
      readonly unlessNewerThan: Date | undefined;
      readonly signal: AbortSignal;
      readonly onProgress: (progress: Progress) => void;
    },
  ): Promise<Manifest | undefined> {
    const { events } = this.#options;
    const id = newBackupId();
    const startedAtMs = performance.now();
    events.started({ id, site, reason, person });
    const finished = (outcome: Finished["outcome"]): void => {
      events.finished({ id, site, outcome, durationMs: performance.now() - startedAtMs });
    };
    try {
      const manifest = await runInThread(
        { kind: "take", site, id, scope, unlessNewerThan },
        { signal, onProgress },
      );
      if (manifest !== undefined) finished({ kind: "taken", manifest });
      return manifest;
    } catch (error) {
      finished({ kind: "failed", error });
      throw error;
    }
  }

  async #verify(site: Site, state: State, id: BackupId): Promise<void> {
    state.verifyNotBefore = this.#options.now().getTime() + RETRY_MS;
    const startedAtMs = performance.now();
    const finished = (outcome: Finished["outcome"]): void => {
      const durationMs = performance.now() - startedAtMs;
      this.#options.events.finished({ id, site, outcome, durationMs });
    };
    try {
      const { signal } = this.#stopping;
      finished({
        kind: "verified",
        verified: await runInThread({ kind: "verify", site, id }, { signal }),
      });
    } catch (error) {
      finished({ kind: "failed", error });
    }
  }

  #siteOf(database: string): Site {
    const site = this.#options.sites.get(database);
    if (site !== undefined) return site;
    throw new BackupFailed(`database "${database}" is not backed up`, {
      hint: `Say how under backups.databases.${database}.`,
    });
  }

  #stateOf({ database }: Site): State {
    const known = this.#states.get(database);
    if (known !== undefined) return known;
    const state: State = {
      isBusy: false,
      isStale: false,
      notBefore: 0,
      jitter: undefined,
      verifyNotBefore: 0,
    };
    this.#states.set(database, state);
    return state;
  }
}
