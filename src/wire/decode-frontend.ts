import { ProtocolViolation } from "../base/errors.ts";

/** The server's `NAMEDATALEN` - 1: it compares names of statements and portals no further than that. */
const NAME_BYTES = 63;

/** Bytes of the SQL text, without the terminator: a view over the message. */
export interface QueryMessage {
  readonly text: Buffer;
}

export interface ParseMessage {
  readonly statement: string;
  readonly text: Buffer;
  /** Parameter type OIDs; 0 leaves the type to the server. */
  readonly parameterTypes: readonly number[];
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
}

/** One bound value, as an approval binds it: format (0 text, 1 binary) and bytes, `undefined` for NULL. */
export interface BoundParameter {
  readonly format: number;
  readonly value: Buffer | undefined;
}

export interface ObjectMessage {
  readonly kind: "statement" | "portal";
  readonly name: string;
}

export interface ExecuteMessage {
  readonly portal: string;
  readonly maxRows: number;
}

export interface FunctionCallMessage {
  readonly functionOid: number;
}

/** Body of `Q`: String. */
export function decodeQuery(bytes: Buffer, start = 0, end = bytes.length): QueryMessage {
  const reader = new FieldReader("Query", bytes, start, end);
  const text = reader.bytesToZero();
  reader.end();
  return { text };
}

/** Body of `P`: String statement, String text, Int16 count, Int32 type each. */
export function decodeParse(bytes: Buffer, start = 0, end = bytes.length): ParseMessage {
  const reader = new FieldReader("Parse", bytes, start, end);
  const statement = reader.name();
  const text = reader.bytesToZero();
  const count = reader.count();
  const parameterTypes: number[] = [];
  for (let i = 0; i < count; i++) parameterTypes.push(reader.uint32());
  reader.end();
  return { statement, text, parameterTypes };
}

/**
 * Body of `B`: String portal, String statement, Int16 count of formats, Int16 each, Int16 count of values,
 * Int32 length (-1 for NULL) and bytes each, Int16 count of result formats, Int16 each. All of it is walked, so
 * that a count that lies is refused; the values are not kept (see {@link decodeBoundParameters}).
 */
export function decodeBind(bytes: Buffer, start = 0, end = bytes.length): BindMessage {
  const reader = new FieldReader("Bind", bytes, start, end);
  const portal = reader.name();
  const statement = reader.name();
  const formats = reader.count();
  reader.skip(formats * 2);
  const values = reader.count();
  if (formats > 1 && formats !== values) {
    throw reader.violation(`has ${formats} parameter formats but ${values} parameters`);
  }
  for (let i = 0; i < values; i++) {
    const length = reader.int32();
    if (length < -1) throw reader.violation("has a negative value length");
    if (length > 0) reader.skip(length);
  }
  reader.skip(reader.count() * 2);
  reader.end();
  return { portal, statement };
}

/** The bound values of a `B` that {@link decodeBind} has accepted; views over the message. */
export function decodeBoundParameters(
  bytes: Buffer,
  start = 0,
  end = bytes.length,
): BoundParameter[] {
  const reader = new FieldReader("Bind", bytes, start, end);
  reader.name();
  reader.name();
  const formats: number[] = [];
  for (let left = reader.count(); left > 0; left--) formats.push(reader.int16());
  const parameters: BoundParameter[] = [];
  const count = reader.count();
  for (let i = 0; i < count; i++) {
    // No format means text for all, one means that one for all (PostgreSQL docs, "Bind").
    const format = formats.length > 1 ? formats[i] : formats[0];
    const length = reader.int32();
    parameters.push({
      format: format ?? 0,
      value: length === -1 ? undefined : reader.bytes(length),
    });
  }
  return parameters;
}

/** Body of `D` and `C`: Byte1 `S` or `P`, String name. */
export function decodeObject(
  message: "Describe" | "Close",
  bytes: Buffer,
  start = 0,
  end = bytes.length,
): ObjectMessage {
  const reader = new FieldReader(message, bytes, start, end);
  const kind = objectKind(reader.byte());
  if (kind === undefined) throw reader.violation("names neither a statement nor a portal");
  const name = reader.name();
  reader.end();
  return { kind, name };
}

/** Body of `E`: String portal, Int32 limit (0: none). */
export function decodeExecute(bytes: Buffer, start = 0, end = bytes.length): ExecuteMessage {
  const reader = new FieldReader("Execute", bytes, start, end);
  const portal = reader.name();
  const maxRows = reader.int32();
  reader.end();
  return { portal, maxRows };
}

/**
 * Body of `F`: Int32 function, Int16 count of formats, Int16 each, Int16 count of arguments, Int32 length and
 * bytes each, Int16 result format.
 */
export function decodeFunctionCall(
  bytes: Buffer,
  start = 0,
  end = bytes.length,
): FunctionCallMessage {
  const reader = new FieldReader("FunctionCall", bytes, start, end);
  const functionOid = reader.uint32();
  const formats = reader.count();
  reader.skip(formats * 2);
  const values = reader.count();
  if (formats > 1 && formats !== values) {
    throw reader.violation(`has ${formats} argument formats but ${values} arguments`);
  }
  for (let left = values; left > 0; left--) {
    const length = reader.int32();
    if (length < -1) throw reader.violation("has a negative argument length");
    if (length > 0) reader.skip(length);
  }
  reader.int16();
  reader.end();
  return { functionOid };
}

/** `Sync`, `Flush`, `Terminate` and `CopyDone` have no body. */
export function decodeEmpty(message: string, bytes: Buffer, start = 0, end = bytes.length): void {
  new FieldReader(message, bytes, start, end).end();
}

function objectKind(byte: number): "statement" | "portal" | undefined {
  if (byte === 0x53) return "statement";
  if (byte === 0x50) return "portal";
  return undefined;
}

/** Reads fields in order; whatever does not fill the body exactly is a violation, as the server holds it. */
class FieldReader {
  readonly #message: string;
  readonly #bytes: Buffer;
  readonly #end: number;
  #position: number;

  constructor(message: string, bytes: Buffer, start: number, end: number) {
    this.#message = message;
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  violation(what: string): ProtocolViolation {
    return new ProtocolViolation(`malformed ${this.#message} message: it ${what}`);
  }

  bytesToZero(): Buffer {
    const start = this.#position;
    return this.#bytes.subarray(start, this.#toZero());
  }

  name(): string {
    // Empty names are what nearly every message has.
    if (this.#position < this.#end && this.#bytes[this.#position] === 0) {
      this.#position += 1;
      return "";
    }
    // One character a byte: names are compared as bytes, whatever their encoding.
    const start = this.#position;
    return this.#bytes.toString("latin1", start, Math.min(this.#toZero(), start + NAME_BYTES));
  }

  byte(): number {
    this.#need(1);
    return this.#bytes[this.#position++] as number;
  }

  int16(): number {
    this.#need(2);
    const value = this.#bytes.readInt16BE(this.#position);
    this.#position += 2;
    return value;
  }

  /** An Int16 that counts; the server reads it unsigned. */
  count(): number {
    this.#need(2);
    const value = this.#bytes.readUInt16BE(this.#position);
    this.#position += 2;
    return value;
  }

  int32(): number {
    this.#need(4);
    const value = this.#bytes.readInt32BE(this.#position);
    this.#position += 4;
    return value;
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  bytes(length: number): Buffer {
    this.#need(length);
    const bytes = this.#bytes.subarray(this.#position, this.#position + length);
    this.#position += length;
    return bytes;
  }

  skip(length: number): void {
    this.#need(length);
    this.#position += length;
  }

  end(): void {
    if (this.#position !== this.#end) throw this.violation("has bytes behind its last field");
  }

  /** Moves behind the next zero byte, and returns where it is. */
  #toZero(): number {
    const end = this.#bytes.indexOf(0, this.#position);
    // What is behind the message may be the next one.
    if (end === -1 || end >= this.#end) throw this.violation("lacks a string terminator");
    this.#position = end + 1;
    return end;
  }

  #need(length: number): void {
    if (this.#position + length > this.#end) throw this.violation("ends too early");
  }
}
