import { ProtocolViolation, SQLSTATE, ConnectionRefused } from "../base/errors.ts";
import { SMALL_MESSAGE_BYTES } from "./message-types.ts";

/** What a frontend may send before anything else; none of them has a type byte (PostgreSQL docs, "Message Formats"). */
export type StartupPacket =
  | { readonly type: "SSLRequest" }
  | { readonly type: "GSSENCRequest" }
  | { readonly type: "CancelRequest"; readonly processId: number; readonly secret: Buffer }
  | {
      readonly type: "StartupMessage";
      readonly minorVersion: number;
      /** As the server takes them: of several equal keys the last. `user` is never empty. */
      readonly parameters: ReadonlyMap<string, string>;
      /** Names that begin with `_pq_.`, which a server may decline by name. */
      readonly protocolOptions: readonly string[];
    };

const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const MAX_NAME_BYTES = 63;

/** Newest minor version of protocol 3 that we speak: 3.2 brought longer cancel keys (PostgreSQL 18). */
export const NEWEST_MINOR_VERSION = 2;

/**
 * Reads the length word of a start-up packet.
 *
 * @returns bytes that follow the length word
 * @throws ProtocolViolation outside 8 … 10,000
 */
export function startupBodyBytes(lengthWord: number): number {
  if (lengthWord < 8 || lengthWord > SMALL_MESSAGE_BYTES) {
    throw new ProtocolViolation("invalid length of startup packet");
  }
  return lengthWord - 4;
}

/**
 * @param body - what follows the length word; at least 4 bytes
 * @throws ProtocolViolation for what is malformed, ConnectionRefused for another major version or a missing user
 */
export function decodeStartupPacket(body: Buffer): StartupPacket {
  const code = body.readUInt32BE(0);
  if (code === SSL_REQUEST) return exactly(body, 4, { type: "SSLRequest" });
  if (code === GSSENC_REQUEST) return exactly(body, 4, { type: "GSSENCRequest" });
  if (code === CANCEL_REQUEST) return decodeCancelRequest(body);
  return decodeStartupMessage(body, code >>> 16, code & 0xffff);
}

function decodeCancelRequest(body: Buffer): StartupPacket {
  const secret = body.subarray(8);
  // Keys have 4 bytes up to protocol 3.0, up to 256 from 3.2 on.
  if (secret.length < 4 || secret.length > 256)
    throw new ProtocolViolation("invalid CancelRequest");
  return { type: "CancelRequest", processId: body.readUInt32BE(4), secret: Buffer.from(secret) };
}

function decodeStartupMessage(body: Buffer, major: number, minor: number): StartupPacket {
  if (major !== 3) {
    throw new ConnectionRefused(
      SQLSTATE.featureNotSupported,
      `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.${NEWEST_MINOR_VERSION}`,
    );
  }
  const parameters = new Map<string, string>();
  const protocolOptions: string[] = [];
  let position = 4;
  for (;;) {
    const name = stringAt(body, position);
    position += name.bytes + 1;
    if (name.text === "") break;
    const value = stringAt(body, position);
    position += value.bytes + 1;
    if (name.text.startsWith("_pq_.")) protocolOptions.push(name.text);
    else parameters.set(parameterName(name.text), value.text);
  }
  if (position !== body.length) {
    throw new ProtocolViolation("invalid startup packet layout: expected terminator as last byte");
  }
  checkNames(parameters);
  return { type: "StartupMessage", minorVersion: minor, parameters, protocolOptions };
}

// These four the server matches exactly; any other is a setting, and settings are case-insensitive.
const EXACT = new Set(["user", "database", "options", "replication"]);

function parameterName(name: string): string {
  const folded = name.toLowerCase();
  // `USER` is no `user`, but a setting of that name, which the server will not know.
  return EXACT.has(folded) ? name : folded;
}

function checkNames(parameters: ReadonlyMap<string, string>): void {
  const user = parameters.get("user") ?? "";
  if (user === "") {
    throw new ConnectionRefused(
      SQLSTATE.invalidAuthorization,
      "no PostgreSQL user name specified in startup packet",
    );
  }
  for (const name of [user, parameters.get("database") ?? ""]) {
    // The server would cut it, and then be asked for something else than what policy was chosen for.
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
      throw new ConnectionRefused(
        SQLSTATE.invalidAuthorization,
        `user and database names may have at most ${MAX_NAME_BYTES} bytes`,
      );
    }
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function stringAt(body: Buffer, start: number): { text: string; bytes: number } {
  const end = body.indexOf(0, start);
  if (end === -1) {
    throw new ProtocolViolation("invalid startup packet layout: expected terminator as last byte");
  }
  try {
    return { text: UTF8.decode(body.subarray(start, end)), bytes: end - start };
  } catch (cause) {
    throw new ProtocolViolation("startup packet is not valid UTF-8", { cause });
  }
}

function exactly(body: Buffer, bytes: number, packet: StartupPacket): StartupPacket {
  if (body.length !== bytes) throw new ProtocolViolation(`invalid ${packet.type}`);
  return packet;
}
