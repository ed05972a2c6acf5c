import { SQLSTATE, TwokeyError } from "../base/errors.ts";
import type { BackupTerms } from "../policy/decision.ts";
import { placesBeside, type Place } from "../policy/place.ts";
import type { StatementClassification } from "../sql/classification.ts";
import { summaryOf } from "../sql/summary-of.ts";
import { encodeNoticeResponse } from "../wire/encode-backend.ts";
import type { Holds } from "./holds.ts";
import type { Subject } from "./judged.ts";
import { canceledRefusal, type Refusal } from "./refusal.ts";
import type { Situation } from "./situation.ts";

/** A whole backup of one database. */
interface FoundBackup {
  readonly id: string;
  /** Everything that was committed before is in it. */
  readonly snapshotAt: Date;
}

/** Rows of these, or of the whole database. */
type BackupScope =
  "database" | readonly { readonly schema: string | undefined; readonly name: string }[];

/** Where a session asks what there is of backups, and has one taken. Implemented where backups are. */
export interface BackupDesk {
  /** @throws TwokeyError when it can't be told */
  readonly newest: (
    database: string,
    wanted: { readonly isVerified: boolean },
  ) => Promise<FoundBackup | undefined>;
  /**
   * Takes one now, of a snapshot that begins after the call.
   *
   * @returns its id
   * @throws TwokeyError when there is none then
   */
  readonly take: (
    database: string,
    options: {
      readonly scope: BackupScope;
      readonly person: string;
      readonly signal: AbortSignal;
      readonly onProgress: (text: string) => void;
    },
  ) => Promise<string>;
  /** How long one may take. */
  readonly timeoutSeconds: (database: string) => number;
}

export interface BackupDutyOptions {
  readonly situation: Situation;
  readonly desk: BackupDesk;
  readonly holds: Holds;
  readonly now: () => Date;
}

export type Met =
  | { readonly kind: "met"; readonly backups: readonly string[] }
  | { readonly kind: "unmet"; readonly refusal: Refusal };

const PROGRESS_EVERY_MS = 5000;

/** Where a rule asks for a backup: is it there, or can it be taken before the statement runs? */
export class BackupDuty {
  readonly #options: BackupDutyOptions;

  constructor(options: BackupDutyOptions) {
    this.#options = options;
  }

  /** Of every database that the statement reaches. What can't be told is unmet. */
  async meet(subject: Subject, terms: BackupTerms): Promise<Met> {
    const databases = this.#reached(subject);
    if ("unknown" in databases) return this.#unmet(subject, unknownDatabase(databases.unknown));
    try {
      const found: string[] = [];
      if (terms.maxAgeSeconds !== undefined) {
        for (const { database } of databases.places) {
          const recent = await this.#recent(database, terms);
          if ("problem" in recent) return this.#unmet(subject, recent.problem);
          found.push(recent.id);
        }
      }
      if (terms.before === "nothing") return { kind: "met", backups: found };
      const taken = await this.#takeAll(subject, databases.places, terms.before);
      return taken.kind === "met" ? { kind: "met", backups: [...found, ...taken.backups] } : taken;
    } catch (error) {
      if (!(error instanceof TwokeyError)) throw error;
      return this.#unmet(subject, {
        detail: `Its backup failed: ${error.message}.`,
        hint: error.hint ?? "Mend that, and run the statement again; nothing of it was run.",
      });
    }
  }

  async #recent(
    database: string,
    { maxAgeSeconds = 0, isVerified }: BackupTerms,
  ): Promise<{ readonly id: string } | { readonly problem: Problem }> {
    const { desk, now } = this.#options;
    const newest = await desk.newest(database, { isVerified });
    const kind = isVerified ? "verified backup" : "backup";
    const hint = isVerified
      ? `Have one taken and tested: twokey backup run ${database} --verify`
      : `Have one taken: twokey backup run ${database}`;
    if (newest === undefined) {
      return { problem: { detail: `There is no ${kind} of "${database}".`, hint } };
    }
    const ageSeconds = (now().getTime() - newest.snapshotAt.getTime()) / 1000;
    // One from the future is of a clock that is wrong, here or there: nobody knows how old it is.
    if (ageSeconds > maxAgeSeconds || ageSeconds < -60) {
      const age = `${Math.round(ageSeconds / 60)} min`;
      const detail = `The newest ${kind} of "${database}" (${newest.id}) is ${age} old, and at most ${Math.round(maxAgeSeconds / 60)} min are allowed.`;
      return { problem: { detail, hint } };
    }
    return { id: newest.id };
  }

  async #takeAll(
    subject: Subject,
    places: readonly Place[],
    before: "tables" | "database",
  ): Promise<Met> {
    const { holds, desk, situation } = this.#options;
    if (!holds.isPossible) {
      return this.#unmet(subject, {
        detail: "A backup has to be taken first, and this session can't wait for one now.",
        hint: "Run it by itself, outside a transaction, as a simple query: psql, or a driver without parameters.",
      });
    }
    const seconds = places.reduce((sum, one) => sum + desk.timeoutSeconds(one.database), 0);
    const scope = before === "tables" ? tablesOf(subject) : "database";
    const names = places.map(({ database }) => `"${database}"`).join(", ");
    const { value, end } = await holds.hold(
      { notice: this.#notice(`waits for a backup of ${names}`), seconds },
      async (signal) => {
        const taken: string[] = [];
        for (const { database } of places) {
          let toldAt = performance.now();
          const taking = desk.take(database, {
            scope,
            person: situation.principal.name,
            signal,
            onProgress: (text) => {
              if (performance.now() - toldAt < PROGRESS_EVERY_MS) return;
              toldAt = performance.now();
              holds.tell(this.#notice(`backup of "${database}": ${text}`));
            },
          });
          const id = await taking.catch((error: unknown) => {
            if (signal.aborted) return undefined; // whoever waited has said so, or is gone
            throw error;
          });
          if (id === undefined) break;
          taken.push(id);
          holds.tell(this.#notice(`backup ${id} of "${database}" is taken`));
        }
        return taken;
      },
    );
    if (end === undefined) return { kind: "met", backups: value };
    return { kind: "unmet", refusal: canceledRefusal() };
  }

  /** The databases whose loss it could be; or one that is named, and that nobody knows. */
  #reached({ judged }: Subject): { readonly places: readonly Place[] } | { unknown: string } {
    const { place: home, neighbours } = this.#options.situation;
    const known = [home, ...neighbours];
    const { classification } = judged;
    if (classification.kind === "unparsed") return { places: known };
    const places = new Set<Place>();
    for (const statement of gravest(classification.statements)) {
      const named = statement.objects.filter(({ kind }) => kind === "database");
      const stranger = named.find(
        ({ name }) => !known.some(({ serverDatabase }) => serverDatabase === name),
      );
      if (stranger !== undefined) return { unknown: stranger.name };
      const isOnlyNamed = named.length > 0 && named.length === statement.objects.length;
      const reached = isOnlyNamed
        ? known.filter((one) => named.some(({ name }) => name === one.serverDatabase))
        : [home, ...placesBeside(statement, neighbours, home)];
      for (const place of reached) places.add(place);
    }
    return { places: [...places] };
  }

  #unmet({ judged }: Subject, { detail, hint }: Problem): Met {
    const { classification, decision } = judged;
    const statement = decision.action === "allow" ? undefined : decision.statement;
    return {
      kind: "unmet",
      refusal: {
        sqlstate: SQLSTATE.insufficientPrivilege,
        message: `twokey: ${summaryOf(classification, statement)} needs a backup first in ${decision.environment}`,
        detail: `Rule "${decision.rule}". ${detail}`,
        hint,
      },
    };
  }

  #notice(message: string): Buffer {
    return encodeNoticeResponse({
      severity: "NOTICE",
      sqlstate: SQLSTATE.successfulCompletion,
      message: `twokey: ${message}`,
    });
  }
}

interface Problem {
  readonly detail: string;
  readonly hint: string;
}

function unknownDatabase(name: string): Problem {
  return {
    detail: `It reaches database "${name}", of which Twokey has no backup.`,
    hint: "Name it under databases and backups.databases.",
  };
}

/** Of a batch, what loses something; where nothing does, all of it. */
function gravest(
  statements: readonly StatementClassification[],
): readonly StatementClassification[] {
  const destructive = statements.filter((statement) => statement.destructive);
  return destructive.length > 0 ? destructive : statements;
}

/**
 * The tables that it takes, where it takes nothing else. CASCADE may take rows of others, and so may a DELETE by its
 * triggers and foreign keys.
 */
function tablesOf({ judged }: Subject): BackupScope {
  const { classification, text } = judged;
  if (classification.kind === "unparsed" || /\bcascade\b/i.test(text)) return "database";
  const statements = gravest(classification.statements);
  const objects = statements.flatMap((statement) => statement.objects);
  const isEnough =
    statements.every(({ node }) => node === "DropStmt" || node === "TruncateStmt") &&
    objects.length > 0 &&
    objects.every(({ kind }) => kind === "table");
  return isEnough ? objects.map(({ schema, name }) => ({ schema, name })) : "database";
}
