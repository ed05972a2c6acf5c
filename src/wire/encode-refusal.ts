import { randomBytes } from "node:crypto";
import { FRONTEND, HEADER_BYTES } from "./message-types.ts";

/**
 * Names the messages that are sent in the place of refused ones. They can only fail, and the error that comes back
 * quotes the name: so that the server itself makes the refusal, and its transaction, pipeline and answers stay its own.
 */
export class RefusalTokens {
  // Nobody else can make the server quote it, so no other error is taken for a refusal.
  readonly #prefix = `twokey_refused_${randomBytes(12).toString("hex")}_`;
  readonly #prefixBytes = Buffer.from(this.#prefix);
  #count = 0;

  next(): string {
    this.#count += 1;
    return this.#prefix + this.#count.toString(36);
  }

  /** @returns the token that an ErrorResponse quotes, if any */
  find(errorResponse: Buffer): string | undefined {
    const start = errorResponse.indexOf(this.#prefixBytes);
    if (start === -1) return undefined;
    let end = start + this.#prefixBytes.length;
    while (isTokenByte(errorResponse[end])) end += 1;
    return errorResponse.toString("latin1", start, end);
  }
}

/** A `Query` that is no SQL. */
export function encodeRefusedQuery(token: string): Buffer {
  return encodeQuery(Buffer.from(token));
}

/** A `Parse` that is no SQL, under the refused `Parse`'s own name or, for another message, one that nobody uses. */
export function encodeRefusedParse(token: string, statement: string | undefined): Buffer {
  return encodeParse(statement ?? token, Buffer.from(token), []);
}

/** A `CopyFail` whose error quotes the token, if a COPY is under way; otherwise nothing comes of it. */
export function encodeRefusedCopy(token: string): Buffer {
  return encode(FRONTEND.CopyFail, [Buffer.from(token), ZERO]);
}

export function encodeQuery(text: Buffer): Buffer {
  return encode(FRONTEND.Query, [text, ZERO]);
}

/** @param statement - as `decodeParse` gave it: one character a byte */
export function encodeParse(
  statement: string,
  text: Buffer,
  parameterTypes: readonly number[],
): Buffer {
  const types = Buffer.allocUnsafe(2 + parameterTypes.length * 4);
  types.writeUInt16BE(parameterTypes.length, 0);
  parameterTypes.forEach((oid, i) => types.writeUInt32BE(oid, 2 + i * 4));
  return encode(FRONTEND.Parse, [Buffer.from(statement, "latin1"), ZERO, text, ZERO, types]);
}

export function encodeSync(): Buffer {
  return encode(FRONTEND.Sync, []);
}

export function encodeFlush(): Buffer {
  return encode(FRONTEND.Flush, []);
}

const ZERO = Buffer.alloc(1);

function encode(type: number, fields: readonly Buffer[]): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header[0] = type;
  header.writeUInt32BE(4 + fields.reduce((bytes, field) => bytes + field.length, 0), 1);
  return Buffer.concat([header, ...fields]);
}

function isTokenByte(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a));
}
