import { canonicalJson, type Json } from "../base/canonical-json.ts";
import { parseSha256, sha256, type Sha256 } from "../base/digest.ts";
import { Malformed } from "./malformed.ts";
import { readInteger, readList, readMembers, readText, isObject } from "./strict-json.ts";

/**
 * A value bound to `$n`, as `Parse` and `Bind` carry it: the type the frontend named (0 where it left that to the
 * server), and the value itself where a person can read it, its SHA-256 and size where not. `text` is the
 * text format's characters, `hex` the bytes of the binary one.
 */
export type BoundParameter =
  | { readonly oid: number; readonly text: string }
  | { readonly oid: number; readonly hex: string }
  | {
      readonly oid: number;
      readonly format: "text" | "binary";
      readonly bytes: number;
      readonly sha256: Sha256;
    }
  | { readonly oid: number; readonly null: true };

/** What an approval says of the values: there are none, exactly these, or, where the rule allows, any. */
export type ParameterTerms = "none" | "any" | readonly BoundParameter[];

const MAX_TEXT_CHARACTERS = 1024;
const MAX_HEX_BYTES = 64;
const MAX_OID = 0xffff_ffff;
/** `Bind` counts them in an Int16 that the server reads as unsigned. */
const MAX_PARAMETERS = 65_535;
/** The largest message that PostgreSQL takes. */
const MAX_VALUE_BYTES = 0x3fff_ffff;

export interface BindValue {
  readonly oid: number;
  readonly format: "text" | "binary";
  /** `null` for SQL's NULL. */
  readonly value: Uint8Array | null;
}

/** Equal values always give equal terms, so comparing what is bound is comparing these. */
export function bindParameters(values: readonly BindValue[]): "none" | readonly BoundParameter[] {
  return values.length === 0 ? "none" : values.map(boundParameter);
}

/** One value: itself where it can be read, else its digest. */
export function boundParameter({ oid, format, value }: BindValue): BoundParameter {
  if (value === null) return { oid, null: true };
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (format === "text") {
    const text = readableText(bytes);
    if (text !== undefined) return { oid, text };
  } else if (bytes.length <= MAX_HEX_BYTES) {
    return { oid, hex: bytes.toString("hex") };
  }
  return { oid, format, bytes: bytes.length, sha256: sha256(bytes) };
}

function readableText(bytes: Buffer): string | undefined {
  if (bytes.length > MAX_TEXT_CHARACTERS) return undefined;
  const text = bytes.toString("utf8");
  return Buffer.from(text).equals(bytes) && !text.includes("\0") ? text : undefined;
}

export function isSameParameters(a: ParameterTerms, b: ParameterTerms): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** @throws Malformed unless `value` is exactly what {@link bindParameters} makes, "none" or "any" */
export function parseParameterTerms(value: Json | undefined, at: string): ParameterTerms {
  if (value === "none" || value === "any") return value;
  return readList(value, at, { min: 1, max: MAX_PARAMETERS }).map((element, index) =>
    parseBoundParameter(element, `${at}[${index}]`),
  );
}

function parseBoundParameter(value: Json, at: string): BoundParameter {
  const kind = isObject(value) ? KINDS.find((name) => Object.hasOwn(value, name)) : undefined;
  switch (kind) {
    case "null": {
      const members = readMembers(value, at, { required: ["oid", "null"] });
      if (members.null !== true) throw new Malformed(`${at}.null is not true`);
      return { oid: readOid(members.oid, at), null: true };
    }
    case "text": {
      const members = readMembers(value, at, { required: ["oid", "text"] });
      const text = readText(members.text, `${at}.text`, { maxCharacters: MAX_TEXT_CHARACTERS });
      return { oid: readOid(members.oid, at), text };
    }
    case "hex": {
      const members = readMembers(value, at, { required: ["oid", "hex"] });
      const hex = readText(members.hex, `${at}.hex`, { maxCharacters: 2 * MAX_HEX_BYTES });
      if (!/^(?:[0-9a-f]{2})*$/.test(hex)) throw new Malformed(`${at}.hex is not hex`);
      return { oid: readOid(members.oid, at), hex };
    }
    case "sha256": {
      const members = readMembers(value, at, { required: ["oid", "format", "bytes", "sha256"] });
      const { format } = members;
      if (format !== "text" && format !== "binary") throw new Malformed(`${at}.format is unknown`);
      return {
        oid: readOid(members.oid, at),
        format,
        bytes: readInteger(members.bytes, `${at}.bytes`, { min: 0, max: MAX_VALUE_BYTES }),
        sha256: readSha256(members.sha256, `${at}.sha256`),
      };
    }
    case undefined:
      throw new Malformed(`${at} is not a bound parameter`);
  }
}

const KINDS = ["null", "text", "hex", "sha256"] as const;

function readOid(value: Json, at: string): number {
  return readInteger(value, `${at}.oid`, { min: 0, max: MAX_OID });
}

/** @throws Malformed unless `value` is 64 lower-case hex digits */
export function readSha256(value: Json | undefined, at: string): Sha256 {
  const text = readText(value, at, { maxCharacters: 64 });
  try {
    return parseSha256(text);
  } catch (cause) {
    throw new Malformed(`${at} is not a SHA-256 in lower-case hex`, { cause });
  }
}
