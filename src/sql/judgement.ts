import type { CatalogueExtension } from "./catalogue.ts";
import type { Effect, QualifiedName, Reach, Reason, SqlObject } from "./classification.ts";
import type { SessionChange, SqlSession } from "./session.ts";

/** What is known when a statement is judged, besides its tree. */
export interface Surroundings {
  readonly session: SqlSession;
  readonly extension: CatalogueExtension;
  /** Judges SQL text found inside the statement, as if it ran in that session. */
  readonly judgeText: (sql: string, session: SqlSession) => Consequences;
}

/** What running a piece of SQL text would lead to, beyond being opaque. */
export interface Consequences {
  /** What it destroys, as a finding says it. */
  readonly destroys: string | undefined;
  readonly mustRefuse: boolean;
  readonly unlinksMany: boolean;
  readonly readsAllLargeObjects: boolean;
  readonly objects: readonly SqlObject[];
  readonly changes: readonly SessionChange[];
}

/** A statement's classification while it is being found; the walk over the tree adds to it and takes nothing back. */
export interface Judgement {
  readonly surroundings: Surroundings;
  readonly effects: Set<Effect>;
  destructive: boolean;
  mustRefuse: boolean;
  mayChangeLexing: boolean;
  hasParameters: boolean;
  /** Calls something that is not PostgreSQL's own. */
  runsUserCode: boolean;
  /** Runs code or SQL that is not in its tree: DO, EXECUTE, a function that takes a query. */
  runsText: boolean;
  /** The judgement asked for the session's state, so it may be another one in another session. */
  dependsOnSession: boolean;
  reach: Reach;
  /** By all their parts, so that each is named once. */
  readonly objects: Map<string, SqlObject>;
  readonly findings: Finding[];
  readonly changes: SessionChange[];
  /** Functions of which nothing is known. */
  readonly unknownFunctions: QualifiedName[];
  /** Not by such functions only. */
  isOpaqueAnyway: boolean;
  /** Names that WITH gives: no tables, wherever they stand in a FROM. */
  readonly cteNames: Set<string>;
  /** Large objects named by more than a constant are removed; all of them are in reach of a query. */
  unlinksMany: boolean;
  readsAllLargeObjects: boolean;
}

/** A reason before its place in the text is known: `at` is the byte offset at which its node starts. */
export interface Finding {
  readonly of: Reason["of"];
  readonly because: string;
  readonly at: number | undefined;
}

export function newJudgement(surroundings: Surroundings): Judgement {
  return {
    surroundings,
    effects: new Set(),
    destructive: false,
    mustRefuse: false,
    mayChangeLexing: false,
    hasParameters: false,
    runsUserCode: false,
    runsText: false,
    dependsOnSession: false,
    reach: "database",
    objects: new Map(),
    findings: [],
    changes: [],
    unknownFunctions: [],
    isOpaqueAnyway: false,
    cteNames: new Set(),
    unlinksMany: false,
    readsAllLargeObjects: false,
  };
}

export function addEffect(j: Judgement, effect: Effect, because: string, at?: number): void {
  if (effect === "opaque") j.isOpaqueAnyway = true;
  give(j, effect, because, at);
}

/** `opaque`, but for as long only as nothing is known of the function. */
export function addUnknownFunction(
  j: Judgement,
  called: QualifiedName,
  { because, at }: { readonly because: string; readonly at: number | undefined },
): void {
  j.unknownFunctions.push(called);
  give(j, "opaque", because, at);
}

function give(j: Judgement, effect: Effect, because: string, at: number | undefined): void {
  if (j.effects.has(effect)) return;
  j.effects.add(effect);
  j.findings.push({ of: effect, because, at });
  if (effect === "opaque") j.mayChangeLexing = true;
  if (effect === "file_access" || effect === "program_execution") j.reach = "cluster";
}

export function addDestruction(j: Judgement, because: string, at?: number): void {
  if (j.destructive) return;
  j.destructive = true;
  j.findings.push({ of: "destructive", because, at });
}

export function addRefusal(j: Judgement, because: string, at?: number): void {
  if (j.mustRefuse) return;
  j.mustRefuse = true;
  j.mayChangeLexing = true;
  j.findings.push({ of: "must_refuse", because, at });
}

export function addObject(j: Judgement, object: SqlObject): void {
  const key = JSON.stringify([object.kind, object.schema ?? null, object.name]);
  if (!j.objects.has(key)) j.objects.set(key, object);
}

/** What a text inside the statement would do when it runs counts for `destructive` and `must_refuse`, not as effects. */
export function addConsequences(
  j: Judgement,
  sql: string,
  {
    from,
    at,
    session = j.surroundings.session,
  }: {
    readonly from: string;
    readonly at?: number | undefined;
    readonly session?: SqlSession;
  },
): Consequences {
  const consequences = j.surroundings.judgeText(sql, session);
  const { destroys, mustRefuse, objects, unlinksMany, readsAllLargeObjects } = consequences;
  if (destroys !== undefined) addDestruction(j, `${from} destroys: ${destroys}`, at);
  if (mustRefuse) addRefusal(j, `${from} changes how the server reads text`, at);
  j.unlinksMany ||= unlinksMany;
  j.readsAllLargeObjects ||= readsAllLargeObjects;
  for (const object of objects) addObject(j, object);
  return consequences;
}
