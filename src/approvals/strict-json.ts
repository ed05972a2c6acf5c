import { canonicalJson, type Json } from "../base/canonical-json.ts";
import { Malformed } from "./malformed.ts";

/**
 * Reads JSON that must be in its canonical form (RFC 8785), so that what is read is what was signed: a member
 * given twice, another order, a blank or another spelling of a number all change the bytes, and are refused.
 */
export function parseCanonicalJson(
  text: string,
  { maxBytes }: { readonly maxBytes: number },
): Json {
  if (Buffer.byteLength(text) > maxBytes) {
    throw new Malformed(`document is larger than ${maxBytes} bytes`);
  }
  // INVARIANT: nesting is bounded before anything recurses over the value.
  refuseDeepNesting(text);
  const value = parseJson(text);
  if (toCanonicalJson(value) !== text) throw new Malformed("document is not in canonical form");
  return value;
}

/** An object with exactly these members, `optional` ones aside. */
export function readMembers<Name extends string, Optional extends string = never>(
  value: Json | undefined,
  at: string,
  { required, optional = [] }: { required: readonly Name[]; optional?: readonly Optional[] },
): Readonly<Record<Name, Json> & Partial<Record<Optional, Json>>> {
  if (!isObject(value)) throw new Malformed(`${at} is not an object`);
  const known: readonly string[] = [...required, ...optional];
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) throw new Malformed(`${at} has a member it must not have`);
  }
  for (const name of required) {
    if (!Object.hasOwn(value, name)) throw new Malformed(`${at} lacks ${name}`);
  }
  return value as Record<Name, Json> & Partial<Record<Optional, Json>>;
}

export function isObject(value: Json | undefined): value is Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function readList(
  value: Json | undefined,
  at: string,
  { min, max }: { readonly min: number; readonly max: number },
): readonly Json[] {
  if (!Array.isArray(value)) throw new Malformed(`${at} is not a list`);
  const list = value as readonly Json[];
  if (list.length < min || list.length > max) {
    throw new Malformed(`${at} has ${list.length} elements; ${min} to ${max} are allowed`);
  }
  return list;
}

/** Text without a zero byte, which PostgreSQL can't hold and readers disagree about. */
export function readText(
  value: Json | undefined,
  at: string,
  { maxCharacters }: { readonly maxCharacters: number },
): string {
  if (typeof value !== "string") throw new Malformed(`${at} is not a string`);
  if (value.length > maxCharacters) throw new Malformed(`${at} is too long`);
  if (value.includes("\0")) throw new Malformed(`${at} holds a zero byte`);
  return value;
}

const MAX_NAME_CHARACTERS = 256;

/** A name fit for one line of a terminal: not empty, no control characters. */
export function readName(value: Json | undefined, at: string): string {
  const name = readText(value, at, { maxCharacters: MAX_NAME_CHARACTERS });
  if (name === "" || /\p{Cc}/u.test(name)) throw new Malformed(`${at} is not a name`);
  return name;
}

export function readInteger(
  value: Json | undefined,
  at: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  if (!Number.isSafeInteger(value)) throw new Malformed(`${at} is not an integer`);
  const integer = value as number;
  if (integer < min || integer > max) throw new Malformed(`${at} is not from ${min} to ${max}`);
  return integer;
}

const MAX_DEPTH = 16;

/** Counts brackets outside strings; wrong JSON may be counted wrongly and is refused by what follows. */
function refuseDeepNesting(text: string): void {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '"') isInString = !isInString;
    else if (isInString) index += character === "\\" ? 1 : 0;
    else if (character === "[" || character === "{") depth++;
    else if (character === "]" || character === "}") depth--;
    if (depth > MAX_DEPTH) throw new Malformed("document is nested too deeply");
  }
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new Malformed("document is not JSON", { cause });
  }
}

function toCanonicalJson(value: Json): string {
  try {
    return canonicalJson(value);
  } catch (cause) {
    throw new Malformed("document is not in canonical form", { cause });
  }
}
