/** How a session's text is to be read, by its `client_encoding`. */
export type TextEncoding =
  /** Strict UTF-8. */
  | "utf-8"
  /** Bytes below 0x80 always stand for themselves, so tokens begin and end where they do when read byte by byte. */
  | "bytes";

// In these 0x5C or 0x27 … may be the second byte of a character: the server would see other tokens than we do.
const UNSAFE = new Set([
  "sjis",
  "shiftjis",
  "shiftjis2004",
  "mskanji",
  "win932",
  "windows932",
  "big5",
  "win950",
  "windows950",
  "gbk",
  "win936",
  "windows936",
  "gb18030",
  "uhc",
  "win949",
  "windows949",
  "johab",
]);

// The server reads these as UTF-8, or checks them against its own UTF-8.
const UTF8 = new Set(["utf8", "unicode", "sqlascii"]);

/**
 * @param name - as in `client_encoding`; the server ignores case and everything but letters and digits
 * @returns `undefined` for one that can't be followed safely
 */
export function textEncoding(name: string): TextEncoding | undefined {
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, "");
  if (UNSAFE.has(plain)) return undefined;
  return UTF8.has(plain) ? "utf-8" : "bytes";
}

/**
 * Whether a text reads alike whatever `client_encoding` and `standard_conforming_strings` are: plain ASCII without a
 * backslash.
 */
export function readsAlikeEverywhere(text: Buffer): boolean {
  for (const byte of text) if (byte >= 0x80 || byte === 0x5c) return false;
  return true;
}

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @returns `undefined` for bytes that the encoding does not have */
export function decodeText(text: Buffer, encoding: TextEncoding): string | undefined {
  if (encoding === "bytes") return text.toString("latin1");
  try {
    return STRICT.decode(text);
  } catch {
    return undefined;
  }
}
