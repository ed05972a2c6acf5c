import { z } from "zod";
import type { ServerSession } from "../provision/server-session.ts";
import type { Compared, Manifest } from "./manifest.ts";
import {
  DATABASE,
  largeObjects,
  ROLES,
  SCHEMA_OBJECTS,
  SEQUENCES,
  tableContents,
  TABLES,
} from "./note-sql.ts";

const pair = z.tuple([z.string(), z.string().nullable()]);

const databaseSchema = z.strictObject({
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** `c`, `i` (ICU) or `b`, with its own locale. */
  provider: z.string(),
  locale: z.string().nullable(),
  owner: z.string(),
  /** `name=value`. */
  settings: z.array(z.string()),
  /** Grantee (empty for PUBLIC), privilege, whether it may be granted on. */
  privileges: z.array(z.tuple([z.string(), z.string(), z.boolean()])),
});

const noteSchema = z.strictObject({
  format: z.literal(1),
  server_major: z.int(),
  database: databaseSchema,
  /** Identity and MD5 of the definition. */
  objects: z.array(pair),
  /** Name, rows, checksum. */
  tables: z.array(z.tuple([z.string(), z.int(), z.string().nullable()])),
  /** Name, last value (empty before the first), whether it counts upwards. */
  sequences: z.array(z.tuple([z.string(), z.string(), z.boolean()])),
  large_objects: z.tuple([z.int(), z.string().nullable()]),
  /** That own something, or may do something; a restore needs them. */
  roles: z.array(z.strictObject({ name: z.string(), super: z.boolean() })),
});

/** What is in a database, as one snapshot shows it: enough to tell whether a restore is the same. */
export type Note = Readonly<z.output<typeof noteSchema>>;

export interface NoteOptions {
  readonly contents: Manifest["contents"];
  readonly serverMajor: number;
  /** Only these tables, without the schema: of a backup of some tables. */
  readonly only?: readonly string[] | undefined;
  readonly onTable?: ((done: number, all: number) => void) | undefined;
}

/** In the session's transaction, whatever snapshot that has. @throws UpstreamRefused, UpstreamUnavailable */
export async function takeNote(
  session: ServerSession,
  { contents, serverMajor, only, onTable }: NoteOptions,
): Promise<Note> {
  const named = z.object({ name: z.string() });
  const counted = z.object({ rows: z.int(), checksum: z.string().nullable() });
  const [database] = await session.rows(DATABASE, databaseSchema);
  if (database === undefined) throw new Error("the database is not in its own catalogue");
  const sequences = await session.rows(
    SEQUENCES,
    z.object({ name: z.string(), last: z.string(), ascending: z.boolean() }),
  );
  const objects = await session.rows(
    SCHEMA_OBJECTS,
    z.object({ identity: z.string(), definition: z.string().nullable() }),
  );
  const names = only ?? (await session.rows(TABLES, named)).map(({ name }) => name);
  const tables: Note["tables"] = [];
  for (const name of names) {
    const [found] = await session.rows(tableContents(name, contents), counted);
    if (found !== undefined) tables.push([name, found.rows, found.checksum]);
    onTable?.(tables.length, names.length);
  }
  const [large] = only === undefined ? await session.rows(largeObjects(contents), counted) : [];
  const roles = await session.rows(ROLES, z.object({ name: z.string(), super: z.boolean() }));
  return {
    format: 1,
    server_major: serverMajor,
    database,
    objects: only === undefined ? objects.map((one) => [one.identity, one.definition]) : [],
    tables,
    sequences:
      only === undefined ? sequences.map((one) => [one.name, one.last, one.ascending]) : [],
    large_objects: [large?.rows ?? 0, large?.checksum ?? null],
    roles: [...roles],
  };
}

/** What a note says of some tables only. */
export function narrowNote(note: Note, tables: readonly string[]): Note {
  return {
    ...note,
    objects: [],
    tables: note.tables.filter(([name]) => tables.includes(name)),
    sequences: [],
    large_objects: [0, null],
  };
}

/** @throws an error of zod's */
export function parseNote(json: string): Note {
  return noteSchema.parse(JSON.parse(json));
}

export type Comparison =
  | { readonly kind: "same"; readonly compared: Compared }
  | { readonly kind: "different"; readonly differences: readonly string[] };

const MAX_TOLD = 20;

/** Is the restore what was noted? Definitions count only between servers of one major: see `note-sql.ts`. */
export function compareNotes(noted: Note, restored: Note): Comparison {
  const isSameMajor = noted.server_major === restored.server_major;
  const differences = [
    ...compareMaps("schema", new Map(noted.objects), new Map(restored.objects), (a, b) =>
      !isSameMajor || a === b ? undefined : "is defined otherwise",
    ),
    ...compareMaps("table", byName(noted.tables), byName(restored.tables), contentsDiffer),
    ...compareMaps("sequence", byName(noted.sequences), byName(restored.sequences), isBehind),
  ];
  const large = contentsDiffer(["", ...noted.large_objects], ["", ...restored.large_objects]);
  if (large !== undefined) differences.push(`large objects: ${large}`);
  if (differences.length > 0) {
    const more = differences.length - MAX_TOLD;
    const told = differences.slice(0, MAX_TOLD);
    return {
      kind: "different",
      differences: more > 0 ? [...told, `and ${more} more`] : told,
    };
  }
  return {
    kind: "same",
    compared: {
      objects: noted.objects.length,
      tables: noted.tables.length,
      rows: noted.tables.reduce((sum, [, rows]) => sum + rows, 0),
      checksums:
        noted.tables.filter(([, , checksum]) => checksum !== null).length +
        (noted.large_objects[1] === null ? 0 : 1),
    },
  };
}

function byName<T extends readonly [string, ...unknown[]]>(list: readonly T[]): Map<string, T> {
  return new Map(list.map((one) => [one[0], one]));
}

function compareMaps<T>(
  what: string,
  noted: ReadonlyMap<string, T>,
  restored: ReadonlyMap<string, T>,
  differ: (noted: T, restored: T) => string | undefined,
): string[] {
  const differences: string[] = [];
  for (const [name, one] of noted) {
    const other = restored.get(name);
    const difference = other === undefined ? "is missing" : differ(one, other);
    if (difference !== undefined) differences.push(`${what} ${name}: ${difference}`);
  }
  for (const name of restored.keys()) {
    if (!noted.has(name)) differences.push(`${what} ${name}: was not there`);
  }
  return differences;
}

function contentsDiffer(
  [, rows, checksum]: Note["tables"][number],
  [, restoredRows, restoredChecksum]: Note["tables"][number],
): string | undefined {
  if (rows !== restoredRows) return `has ${restoredRows} rows, and had ${rows}`;
  return checksum === restoredChecksum ? undefined : "has other contents";
}

function isBehind(
  [, last, ascending]: Note["sequences"][number],
  [, restored]: Note["sequences"][number],
): string | undefined {
  if (last === "") return undefined;
  if (restored === "") return "has not begun";
  const isAhead = ascending ? BigInt(restored) >= BigInt(last) : BigInt(restored) <= BigInt(last);
  return isAhead ? undefined : `is at ${restored}, and was at ${last}`;
}
