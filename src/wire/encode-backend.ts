import type { Sqlstate } from "../base/errors.ts";
import { BACKEND, type TransactionStatus } from "./message-types.ts";

/** Fields of an ErrorResponse or NoticeResponse that we make ourselves. */
export interface ResponseFields {
  readonly severity: "ERROR" | "FATAL" | "NOTICE" | "WARNING";
  readonly sqlstate: Sqlstate;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** 1-based, in characters of the statement. */
  readonly position?: number | undefined;
}

export function encodeErrorResponse(fields: ResponseFields): Buffer {
  return encodeResponse(BACKEND.ErrorResponse, fields);
}

export function encodeNoticeResponse(fields: ResponseFields): Buffer {
  return encodeResponse(BACKEND.NoticeResponse, fields);
}

export function encodeReadyForQuery(status: TransactionStatus): Buffer {
  return encodeMessage(BACKEND.ReadyForQuery, Buffer.from(status, "latin1"));
}

export function encodeAuthenticationOk(): Buffer {
  return encodeMessage(BACKEND.Authentication, int32(0));
}

export function encodeParameterStatus(name: string, value: string): Buffer {
  return encodeMessage(BACKEND.ParameterStatus, Buffer.from(`${name}\0${value}\0`));
}

export function encodeBackendKeyData(processId: number, secret: Buffer): Buffer {
  return encodeMessage(BACKEND.BackendKeyData, Buffer.concat([int32(processId), secret]));
}

/** Tells a frontend that asked for more which minor version it gets and which options are declined. */
export function encodeNegotiateProtocolVersion(
  minorVersion: number,
  declinedOptions: readonly string[],
): Buffer {
  return encodeMessage(
    BACKEND.NegotiateProtocolVersion,
    Buffer.concat([
      // The whole version, as servers send it since 3.2 was made.
      int32((3 << 16) | minorVersion),
      int32(declinedOptions.length),
      ...declinedOptions.map((option) => Buffer.from(`${option}\0`)),
    ]),
  );
}

function encodeResponse(type: number, fields: ResponseFields): Buffer {
  const { severity, sqlstate, message, detail, hint, position } = fields;
  const parts = [
    `S${severity}`,
    `V${severity}`,
    `C${sqlstate}`,
    `M${printable(message)}`,
    detail === undefined ? undefined : `D${printable(detail)}`,
    hint === undefined ? undefined : `H${printable(hint)}`,
    position === undefined ? undefined : `P${position}`,
  ];
  const body = parts.filter((part) => part !== undefined).map((part) => `${part}\0`);
  return encodeMessage(type, Buffer.from(`${body.join("")}\0`));
}

// Texts may quote what a frontend sent: no zero byte may end a field early, no control character reach a terminal.
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return text.toWellFormed().replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "?");
}

function encodeMessage(type: number, body: Buffer): Buffer {
  const message = Buffer.allocUnsafe(5 + body.length);
  message[0] = type;
  message.writeUInt32BE(4 + body.length, 1);
  body.copy(message, 5);
  return message;
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value | 0, 0);
  return bytes;
}
