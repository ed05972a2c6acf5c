import type { Effect, QualifiedName, Reach } from "./classification.ts";
import builtins from "./data/builtins.json" with { type: "json" };
import catalogue from "./data/catalogue.json" with { type: "json" };

/** What a call of a function does besides returning a value. */
export interface FunctionEffects {
  readonly effects: readonly Effect[];
  /** What it does, as the rest of a sentence that begins with its name. */
  readonly why: string;
  readonly destructive: boolean;
  readonly reach: Reach;
  /** Its text arguments may be SQL that it runs. */
  readonly runsSql: boolean;
  /** False for what an extension brings: only its name is known, and any schema may hold it. */
  readonly builtIn: boolean;
}

/** What an operator of Twokey knows about a database beyond PostgreSQL itself. Names as written: `name` or `schema.name`. */
export interface CatalogueExtension {
  /** By name; `harmless` for a function that only computes. */
  readonly functions?: ReadonlyMap<string, "harmless" | readonly Effect[]>;
  readonly operators?: ReadonlySet<string>;
  readonly types?: ReadonlySet<string>;
  /** The upstream's major release: on an old one, a new built-in's name is somebody's own function. */
  readonly serverMajor?: number;
}

export type FunctionKnowledge =
  | { readonly kind: "harmless" }
  | { readonly kind: "acts"; readonly effects: FunctionEffects }
  | { readonly kind: "unknown" };

const HARMLESS: FunctionKnowledge = { kind: "harmless" };
const UNKNOWN: FunctionKnowledge = { kind: "unknown" };

const functionOids = new Map<string, readonly number[]>(
  Object.entries(builtins.functions).map(([name, oids]) => [name, oids]),
);
const operators = new Set(builtins.operators);
const types = new Set(builtins.types);
const volatile = new Set(builtins.volatile);
const newerFunctions = new Set(builtins.newerThan15);
const OLDEST_MAJOR = 15;
const aggregates = new Set(builtins.aggregates);
const acting = new Map<string, FunctionKnowledge & { kind: "acts" }>(
  catalogue.groups.flatMap((group) => {
    const effects: FunctionEffects = {
      effects: group.effects as Effect[],
      why: group.why,
      destructive: group.destructive === true,
      reach: group.reach === "cluster" ? "cluster" : "database",
      runsSql: group.runsSql === true,
      builtIn: group.extension === undefined,
    };
    return group.names.map((name) => [name, { kind: "acts", effects }] as const);
  }),
);
const nameByOid = new Map(
  [...functionOids].flatMap(([name, oids]) => oids.map((oid) => [oid, name] as const)),
);

/** What is known of a function by its name. Types count as functions: `float8(x)` is a cast. */
export function functionKnowledge(
  { schema, name }: QualifiedName,
  extension: CatalogueExtension,
): FunctionKnowledge {
  const own = schema === undefined || schema === "pg_catalog";
  const listed = acting.get(name);
  if (listed !== undefined && (own || !listed.effects.builtIn)) return listed;
  const extended = extension.functions?.get(written({ schema, name }));
  if (extended === "harmless") return HARMLESS;
  if (extended !== undefined) return { kind: "acts", effects: extendedEffects(extended) };
  if (own && isThere(name, extension) && (functionOids.has(name) || types.has(name))) {
    return HARMLESS;
  }
  if (schema === "information_schema" && name.startsWith("_pg_")) return HARMLESS;
  return UNKNOWN;
}

function isThere(name: string, { serverMajor }: CatalogueExtension): boolean {
  const isOld = serverMajor !== undefined && serverMajor <= OLDEST_MAJOR;
  return !isOld || !newerFunctions.has(name);
}

/** The name of a built-in by the OID that a FunctionCall message gives; `undefined` for what is not PostgreSQL's own. */
export function builtInName(oid: number): string | undefined {
  return nameByOid.get(oid);
}

/** The effects that a reference like `(x).name` has when PostgreSQL takes it for a call. Plain columns have none. */
export function attributeEffects(
  name: string,
  extension: CatalogueExtension,
): FunctionEffects | undefined {
  const knowledge = functionKnowledge({ schema: undefined, name }, extension);
  return knowledge.kind === "acts" && knowledge.effects.builtIn ? knowledge.effects : undefined;
}

export function isKnownOperator(
  { schema, name }: QualifiedName,
  extension: CatalogueExtension,
): boolean {
  const own = schema === undefined || schema === "pg_catalog";
  if (own && operators.has(name)) return true;
  return extension.operators?.has(written({ schema, name })) === true;
}

export function isKnownType(
  { schema, name }: QualifiedName,
  extension: CatalogueExtension,
): boolean {
  const own = schema === undefined || schema === "pg_catalog" || schema === "information_schema";
  if (own && (types.has(name) || schema === "information_schema")) return true;
  return extension.types?.has(written({ schema, name })) === true;
}

/** True for a function that may give another value for each row, and for every one that is not PostgreSQL's own. */
export function isVolatile({ schema, name }: QualifiedName): boolean {
  const own = schema === undefined || schema === "pg_catalog";
  return !own || volatile.has(name) || !(functionOids.has(name) || types.has(name));
}

export function isAggregate(name: string): boolean {
  return aggregates.has(name);
}

function written({ schema, name }: QualifiedName): string {
  return schema === undefined ? name : `${schema}.${name}`;
}

function extendedEffects(effects: readonly Effect[]): FunctionEffects {
  return {
    effects,
    why: "has these effects by configuration",
    destructive: false,
    reach: "database",
    runsSql: false,
    builtIn: false,
  };
}
