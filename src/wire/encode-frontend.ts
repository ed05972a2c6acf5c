import { FRONTEND, HEADER_BYTES } from "./message-types.ts";

// What we say when we are the frontend: to the upstream, until the relay takes over.

/** Asks for TLS; the answer is a single byte. */
export function encodeSslRequest(): Buffer {
  return Buffer.concat([int32(8), int32(80877103)]);
}

/** @param secret - 4 bytes up to protocol 3.0, up to 256 from 3.2 on */
export function encodeCancelRequest(processId: number, secret: Buffer): Buffer {
  return Buffer.concat([int32(12 + secret.length), int32(80877102), int32(processId), secret]);
}

/** @throws TypeError for a name or value that holds a zero byte, or for an empty name, which would end the list */
export function encodeStartupMessage(
  minorVersion: number,
  parameters: ReadonlyMap<string, string>,
): Buffer {
  const parts: Buffer[] = [int32((3 << 16) | minorVersion)];
  for (const [name, value] of parameters) {
    if (name === "") throw new TypeError("empty name of a startup parameter");
    parts.push(cString(name), cString(value));
  }
  parts.push(Buffer.of(0));
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(4 + body.length), body]);
}

/** @throws TypeError for a password that holds a zero byte */
export function encodePasswordMessage(password: string): Buffer {
  return encodeMessage(FRONTEND.Password, cString(password));
}

export function encodeSaslInitialResponse(mechanism: string, data: string): Buffer {
  const response = Buffer.from(data);
  const body = Buffer.concat([cString(mechanism), int32(response.length), response]);
  return encodeMessage(FRONTEND.Password, body);
}

export function encodeSaslResponse(data: string): Buffer {
  return encodeMessage(FRONTEND.Password, Buffer.from(data));
}

export function encodeTerminate(): Buffer {
  return encodeMessage(FRONTEND.Terminate, Buffer.alloc(0));
}

function encodeMessage(type: number, body: Buffer): Buffer {
  const message = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  message[0] = type;
  message.writeUInt32BE(4 + body.length, 1);
  body.copy(message, HEADER_BYTES);
  return message;
}

function cString(text: string): Buffer {
  if (text.includes("\0")) throw new TypeError("zero byte in a string of the protocol");
  return Buffer.from(`${text}\0`);
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value | 0, 0);
  return bytes;
}
