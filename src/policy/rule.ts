import type { Effect, SqlObject, Warning } from "../sql/classification.ts";
import type { AuthMethod, Client } from "./client.ts";
import type { ApprovalTerms, BackupTerms } from "./decision.ts";
import { matchesGlob } from "./glob.ts";
import { isInNetwork, type Network } from "./network.ts";
import type { Place } from "./place.ts";
import type { Principal } from "./principal.ts";
import { isWithin, type Schedule } from "./schedule.ts";

/** One line of the policy: which statements of whom, where and when; and what follows. */
export interface Rule {
  readonly name: string;
  readonly when: Conditions;
  /** The exception: where these hold, the rule does not match. */
  readonly unless: Conditions | undefined;
  readonly outcome: Outcome;
}

export type Outcome =
  | { readonly action: "allow"; readonly backup?: BackupTerms | undefined }
  | {
      readonly action: "block";
      readonly message: string | undefined;
      readonly hint: string | undefined;
    }
  | {
      readonly action: "require_approval";
      readonly message: string | undefined;
      readonly hint: string | undefined;
      readonly terms: ApprovalTerms;
      readonly backup?: BackupTerms | undefined;
    };

/** What a rule asks. Each that is given must hold; within a list, one is enough. */
export interface Conditions {
  readonly environments?: readonly string[] | undefined;
  readonly databases?: readonly string[] | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly people?: readonly string[] | undefined;
  readonly workloads?: readonly string[] | undefined;
  readonly effects?: EffectCondition | undefined;
  readonly destructive?: boolean | undefined;
  readonly objects?: ObjectCondition | undefined;
  /** Globs over the names of migration warnings. */
  readonly warnings?: readonly string[] | undefined;
  readonly clients?: readonly Network[] | undefined;
  /** Globs. */
  readonly applicationNames?: readonly string[] | undefined;
  readonly tls?: boolean | undefined;
  readonly methods?: readonly AuthMethod[] | undefined;
  readonly during?: Schedule | undefined;
}

interface EffectCondition {
  /** It has at least one of these. */
  readonly any?: readonly Effect[] | undefined;
  /** It has each of these. */
  readonly all?: readonly Effect[] | undefined;
  /** It has none but these. */
  readonly only?: readonly Effect[] | undefined;
}

interface ObjectCondition {
  /** It names at least one that is, or by an unqualified name may be, one of these. */
  readonly any?: readonly ObjectPattern[] | undefined;
  /** It names at least one object, and each is for certain one of these. */
  readonly only?: readonly ObjectPattern[] | undefined;
}

/** Globs; what is absent is not asked. */
interface ObjectPattern {
  readonly kind?: string | undefined;
  readonly schema?: string | undefined;
  readonly name?: string | undefined;
}

/** What the rules look at. */
export interface Situation {
  readonly statement: {
    /** The grammar's node type; none for a text that does not parse. */
    readonly node: string | undefined;
    readonly effects: readonly Effect[];
    readonly destructive: boolean;
    readonly objects: readonly SqlObject[];
    readonly warnings: readonly Warning[];
  };
  readonly place: Place;
  readonly principal: Principal;
  readonly client: Client;
  /** Asked only by a rule that matches but for its times: where nobody asks, the decision holds at any time. */
  readonly now: () => Date;
}

export function matches(rule: Rule, situation: Situation): boolean {
  if (!allHold(rule.when, situation)) return false;
  return rule.unless === undefined || !allHold(rule.unless, situation);
}

function allHold(
  asked: Conditions,
  { statement, place, principal, client, now }: Situation,
): boolean {
  return (
    (asked.environments?.includes(place.environment) ?? true) &&
    (asked.databases?.includes(place.database) ?? true) &&
    (asked.roles?.some((role) => principal.roles.includes(role)) ?? true) &&
    (asked.people === undefined ||
      (principal.kind === "person" && asked.people.includes(principal.name))) &&
    (asked.workloads === undefined ||
      (principal.kind === "workload" && asked.workloads.includes(principal.name))) &&
    (asked.effects === undefined || effectsHold(asked.effects, statement.effects)) &&
    (asked.destructive === undefined || asked.destructive === statement.destructive) &&
    (asked.objects === undefined || objectsHold(asked.objects, statement.objects)) &&
    (asked.warnings?.some((glob) =>
      statement.warnings.some(({ name }) => matchesGlob(glob, name)),
    ) ??
      true) &&
    (asked.clients?.some((network) => isInNetwork(network, client.address)) ?? true) &&
    (asked.applicationNames?.some((glob) => matchesGlob(glob, client.applicationName)) ?? true) &&
    (asked.tls === undefined || asked.tls === client.hasTls) &&
    (asked.methods?.includes(client.method) ?? true) &&
    (asked.during === undefined || isWithin(asked.during, now()))
  );
}

function effectsHold({ any, all, only }: EffectCondition, effects: readonly Effect[]): boolean {
  return (
    (any?.some((effect) => effects.includes(effect)) ?? true) &&
    (all?.every((effect) => effects.includes(effect)) ?? true) &&
    (only === undefined || effects.every((effect) => only.includes(effect)))
  );
}

function objectsHold({ any, only }: ObjectCondition, objects: readonly SqlObject[]): boolean {
  const isOneOf = (
    patterns: readonly ObjectPattern[],
    object: SqlObject,
    unqualified: Unqualified,
  ): boolean => patterns.some((pattern) => fits(pattern, object, unqualified));
  return (
    (any === undefined || objects.some((object) => isOneOf(any, object, "may be in any schema"))) &&
    (only === undefined ||
      (objects.length > 0 &&
        objects.every((object) => isOneOf(only, object, "is in no known schema"))))
  );
}

/** What search_path makes of an unqualified name is not known here: each use takes the careful side. */
type Unqualified = "may be in any schema" | "is in no known schema";

function fits(pattern: ObjectPattern, object: SqlObject, unqualified: Unqualified): boolean {
  return (
    (pattern.kind === undefined || matchesGlob(pattern.kind, object.kind)) &&
    (pattern.name === undefined || matchesGlob(pattern.name, object.name)) &&
    (pattern.schema === undefined || isInSchema(pattern.schema, object, unqualified))
  );
}

/** A schema counts as in itself, so that a rule about what it holds is one about dropping it, too. */
function isInSchema(
  glob: string,
  { kind, schema, name }: SqlObject,
  unqualified: Unqualified,
): boolean {
  if (kind === "schema") return matchesGlob(glob, name);
  if (OUTSIDE_SCHEMAS.has(kind)) return false;
  if (schema !== undefined) return matchesGlob(glob, schema);
  return glob === "*" || unqualified === "may be in any schema";
}

/** Kinds of which no object is in a schema. */
const OUTSIDE_SCHEMAS = new Set([
  "access method",
  "cast",
  "database",
  "event trigger",
  "extension",
  "foreign data wrapper",
  "language",
  "large object",
  "parameter",
  "publication",
  "role",
  "server",
  "subscription",
  "tablespace",
  "transform",
  "user mapping",
]);
