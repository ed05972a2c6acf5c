import { ProtocolViolation } from "../base/errors.ts";
import type { TransactionStatus } from "./message-types.ts";

// Bodies of what a backend sends while we are its frontend. A server's bytes are as untrusted as a frontend's:
// every field must be there and fill the body exactly, or it is a ProtocolViolation.

/** Body of `R`. */
export type Authentication =
  | { readonly kind: "ok" }
  | { readonly kind: "cleartext_password" }
  | { readonly kind: "md5_password"; readonly salt: Buffer }
  | { readonly kind: "sasl"; readonly mechanisms: readonly string[] }
  | { readonly kind: "sasl_continue"; readonly data: Buffer }
  | { readonly kind: "sasl_final"; readonly data: Buffer }
  | { readonly kind: "unsupported"; readonly code: number };

/** What names a session in a CancelRequest. */
export interface BackendKey {
  readonly processId: number;
  readonly secret: Buffer;
}

/** Body of `E` and `N`, the fields that we show or decide by. */
export interface ServerResponse {
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

export function decodeAuthentication(body: Buffer): Authentication {
  const fields = new BackendFields(body, "Authentication");
  const authentication = authenticationOf(fields.uint32(), fields);
  fields.end();
  return authentication;
}

function authenticationOf(code: number, fields: BackendFields): Authentication {
  switch (code) {
    case 0:
      return { kind: "ok" };
    case 3:
      return { kind: "cleartext_password" };
    case 5:
      return { kind: "md5_password", salt: fields.bytes(4) };
    case 10:
      return { kind: "sasl", mechanisms: fields.stringList() };
    case 11:
      return { kind: "sasl_continue", data: fields.rest() };
    case 12:
      return { kind: "sasl_final", data: fields.rest() };
    default:
      fields.rest();
      return { kind: "unsupported", code };
  }
}

/** Keys have 4 bytes up to protocol 3.0, up to 256 from 3.2 on. */
export function decodeBackendKeyData(body: Buffer): BackendKey {
  const fields = new BackendFields(body, "BackendKeyData");
  const processId = fields.uint32();
  const secret = Buffer.from(fields.rest());
  if (secret.length < 4 || secret.length > 256) fields.fail();
  return { processId, secret };
}

export function decodeParameterStatus(body: Buffer): {
  readonly name: string;
  readonly value: string;
} {
  const fields = new BackendFields(body, "ParameterStatus");
  const status = { name: fields.string(), value: fields.string() };
  fields.end();
  return status;
}

export function decodeReadyForQuery(
  bytes: Buffer,
  start = 0,
  end = bytes.length,
): TransactionStatus {
  const status = end - start === 1 ? bytes[start] : undefined;
  switch (status) {
    case 0x49:
      return "I";
    case 0x54:
      return "T";
    case 0x45:
      return "E";
    default:
      return new BackendFields(bytes.subarray(start, end), "ReadyForQuery").fail();
  }
}

export function decodeNegotiateProtocolVersion(body: Buffer): {
  readonly minorVersion: number;
  readonly declinedOptions: readonly string[];
} {
  const fields = new BackendFields(body, "NegotiateProtocolVersion");
  // Servers before 18 send the minor version alone, later ones the whole version.
  const minorVersion = fields.uint32() & 0xffff;
  const count = fields.uint32();
  const declinedOptions: string[] = [];
  // Every option takes a byte at least, so an invented count ends with the body.
  for (let i = 0; i < count; i++) declinedOptions.push(fields.string());
  fields.end();
  return { minorVersion, declinedOptions };
}

/** @throws ProtocolViolation when severity, SQLSTATE or message is missing, or the SQLSTATE is none */
export function decodeResponse(body: Buffer): ServerResponse {
  const fields = new BackendFields(body, "ErrorResponse or NoticeResponse");
  const texts = new Map<string, string>();
  for (let code = fields.bytes(1); code[0] !== 0; code = fields.bytes(1)) {
    texts.set(code.toString("latin1"), fields.string());
  }
  fields.end();
  // `V` is `S` untranslated, sent since 9.6.
  const severity = texts.get("V") ?? texts.get("S") ?? fields.fail();
  const sqlstate = texts.get("C") ?? fields.fail();
  const message = texts.get("M") ?? fields.fail();
  if (!/^[0-9A-Z]{5}$/.test(sqlstate)) fields.fail();
  return { severity, sqlstate, message, detail: texts.get("D"), hint: texts.get("H") };
}

class BackendFields {
  readonly #body: Buffer;
  readonly #message: string;
  #position = 0;

  constructor(body: Buffer, message: string) {
    this.#body = body;
    this.#message = message;
  }

  fail(): never {
    throw new ProtocolViolation(`malformed ${this.#message} from the server`);
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE(0);
  }

  bytes(count: number): Buffer {
    const end = this.#position + count;
    if (end > this.#body.length) this.fail();
    const bytes = this.#body.subarray(this.#position, end);
    this.#position = end;
    return bytes;
  }

  /** Before the client encoding is settled a server may speak any: what isn't UTF-8 is shown as U+FFFD. */
  string(): string {
    const end = this.#body.indexOf(0, this.#position);
    if (end === -1) this.fail();
    const text = this.#body.toString("utf8", this.#position, end);
    this.#position = end + 1;
    return text;
  }

  /** Strings up to an empty one. */
  stringList(): readonly string[] {
    const list: string[] = [];
    for (let text = this.string(); text !== ""; text = this.string()) list.push(text);
    return list;
  }

  rest(): Buffer {
    return this.bytes(this.#body.length - this.#position);
  }

  end(): void {
    if (this.#position !== this.#body.length) this.fail();
  }
}
