import { BACKEND, HEADER_BYTES } from "../wire/message-types.ts";

// The SASL messages of PostgreSQL docs, "Message Formats", as the server's side sends and reads them.

/** As in PostgreSQL: nothing in SCRAM needs more, and it comes from strangers. */
const MAX_SCRAM_BYTES = 1024;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param mechanisms - in order of preference */
export function encodeAuthenticationSasl(mechanisms: readonly string[]): Buffer {
  return encodeAuthentication(10, `${mechanisms.map((name) => `${name}\0`).join("")}\0`);
}

/** Asks for the password itself: only where the connection is encrypted. */
export function encodeAuthenticationCleartextPassword(): Buffer {
  return encodeAuthentication(3, "");
}

/** @param salt - four random bytes, fresh for each exchange */
export function encodeAuthenticationMd5Password(salt: Buffer): Buffer {
  return encodeAuthentication(5, salt);
}

export function encodeAuthenticationSaslContinue(data: string): Buffer {
  return encodeAuthentication(11, data);
}

export function encodeAuthenticationSaslFinal(data: string): Buffer {
  return encodeAuthentication(12, data);
}

/**
 * Body of the first `p`: String mechanism, Int32 length, bytes.
 *
 * @returns `undefined` when it is malformed, or has no initial response, which all our mechanisms need
 */
export function decodeSaslInitialResponse(
  body: Buffer,
): { readonly mechanism: string; readonly response: Buffer } | undefined {
  const nameEnd = body.indexOf(0);
  if (nameEnd === -1 || body.length < nameEnd + 5) return undefined;
  const mechanism = body.toString("latin1", 0, nameEnd);
  const response = body.subarray(nameEnd + 5);
  if (body.readInt32BE(nameEnd + 1) !== response.length) return undefined;
  return { mechanism, response };
}

/** What PasswordMessage holds: a String. `undefined` for anything else. */
export function decodePasswordMessage(body: Buffer): string | undefined {
  if (body.indexOf(0) !== body.length - 1) return undefined;
  return decodeText(body.subarray(0, -1));
}

/** A message of SCRAM. `undefined` when it is too long, or no text. */
export function decodeScramMessage(message: Buffer): string | undefined {
  return message.length > MAX_SCRAM_BYTES ? undefined : decodeText(message);
}

export function decodeText(body: Buffer): string | undefined {
  try {
    return UTF8.decode(body);
  } catch {
    return undefined; // not UTF-8
  }
}

function encodeAuthentication(code: number, data: string | Buffer): Buffer {
  const dataBytes = Buffer.byteLength(data);
  const message = Buffer.allocUnsafe(HEADER_BYTES + 4 + dataBytes);
  message[0] = BACKEND.Authentication;
  message.writeUInt32BE(8 + dataBytes, 1);
  message.writeUInt32BE(code, HEADER_BYTES);
  message.set(Buffer.from(data as string), HEADER_BYTES + 4);
  return message;
}
