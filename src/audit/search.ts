import type { Json } from "../base/canonical-json.ts";
import { asText, type LoggedRecord } from "./record.ts";

/** Which records are asked for: those that match every member given. */
export interface SearchFilter {
  readonly person?: string | undefined;
  readonly database?: string | undefined;
  /** One of the record's effects, or `destructive`. */
  readonly effect?: string | undefined;
  /** An object's name, alone (`users`), with its schema (`public.users`) or with its kind (`table:public.users`). */
  readonly object?: string | undefined;
  /** Part of the statement's text, in whatever case. */
  readonly sql?: string | undefined;
  readonly request?: string | undefined;
  /** The event's name, or the part of it before the dot. */
  readonly event?: string | undefined;
  /** Milliseconds since 1970; from this instant on. */
  readonly sinceMs?: number | undefined;
  /** Milliseconds since 1970; before this instant. */
  readonly untilMs?: number | undefined;
}

/**
 * @param spilledText - finds the text of a statement that was too long for its record, by SHA-256
 * @returns a test for records, prepared once for many of them
 */
export function matcher(
  filter: SearchFilter,
  spilledText: (sha256: string) => string,
): (record: LoggedRecord) => boolean {
  const { effect, object, event, sinceMs, untilMs } = filter;
  const sql = filter.sql?.toLowerCase();
  const texts = (["person", "database", "request"] as const).flatMap((name) =>
    filter[name] === undefined ? [] : [{ name, value: filter[name] }],
  );
  function statementText(fields: LoggedRecord["fields"]): string {
    if (fields["sql_spilled"] === true) return spilledText(asText(fields["sql_sha256"]));
    return asText(fields["sql"]);
  }
  return (record) => {
    const { fields } = record;
    if (texts.some(({ name, value }) => fields[name] !== value)) return false;
    if (event !== undefined && !isEvent(record.event, event)) return false;
    if (effect !== undefined && !hasEffect(fields, effect)) return false;
    if (object !== undefined && !namesObject(fields["objects"], object)) return false;
    if (sql !== undefined && !statementText(fields).toLowerCase().includes(sql)) return false;
    if (sinceMs === undefined && untilMs === undefined) return true;
    const timeMs = Date.parse(record.time);
    return timeMs >= (sinceMs ?? -Infinity) && timeMs < (untilMs ?? Infinity);
  };
}

/**
 * Bytes that every matching line has in it, so that others need not be parsed; `undefined` when the filter has none. The
 * rarest first: what someone asks for by name.
 */
export function neededBytes(filter: SearchFilter): Buffer | undefined {
  const { request, object, person, database, effect } = filter;
  if (request !== undefined) return Buffer.from(`"request":${JSON.stringify(request)}`);
  // However it is asked for, what stands behind the last separator is the end of its name.
  const name = object?.slice(Math.max(object.lastIndexOf("."), object.lastIndexOf(":")) + 1);
  if (name !== undefined) return Buffer.from(JSON.stringify(name).slice(1));
  if (effect === "destructive") return Buffer.from(`"destructive":true`);
  if (effect !== undefined) return Buffer.from(JSON.stringify(effect));
  if (person !== undefined) return Buffer.from(`"person":${JSON.stringify(person)}`);
  if (database !== undefined) return Buffer.from(`"database":${JSON.stringify(database)}`);
  return undefined;
}

/**
 * Text that every matching line has in it in one case or another, in lower case; for a filter without
 * {@link neededBytes}. The longest part of the SQL asked for that is in ASCII: only of that, JSON and UTF-8 leave the case to bytes.
 */
export function neededText({ sql, event }: SearchFilter): string | undefined {
  const parts = JSON.stringify(sql ?? "")
    .slice(1, -1)
    .toLowerCase()
    .split(/[^\x20-\x7e]+/);
  const [longest = ""] = parts.sort((a, b) => b.length - a.length);
  if (longest !== "") return longest;
  return event === undefined ? undefined : `"event":"${event.toLowerCase()}`;
}

function isEvent(event: string, asked: string): boolean {
  return event === asked || event.startsWith(`${asked}.`);
}

function hasEffect(fields: LoggedRecord["fields"], effect: string): boolean {
  if (effect === "destructive") return fields["destructive"] === true;
  const effects = fields["effects"];
  return Array.isArray(effects) && effects.includes(effect);
}

function namesObject(objects: Json | undefined, asked: string): boolean {
  return objectNames(objects).includes(asked);
}

/** What a record's objects can be asked for by: each alone, with its schema, and with its kind. */
export function objectNames(objects: Json | undefined): string[] {
  if (!Array.isArray(objects)) return [];
  return (objects as readonly Json[]).flatMap((object) => {
    if (typeof object !== "object" || object === null) return [];
    const { kind, schema, name } = object as Readonly<Record<string, Json | undefined>>;
    const bare = asText(name);
    const full = schema === undefined ? bare : `${asText(schema)}.${bare}`;
    return [...new Set([bare, full, `${asText(kind)}:${full}`])];
  });
}
