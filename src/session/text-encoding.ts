/** How a session's text is to be read, by its `client_encoding`. */
export type TextEncoding =
  /** Strict UTF-8. */
  | "utf-8"
  /** Bytes below 0x80 always stand for themselves, so tokens begin and end where they do when read byte by byte. */
  | "bytes";

// The server reads these as UTF-8, or checks them against its own UTF-8.
const UTF8 = new Set(["utf8", "unicode", "sqlascii"]);

// Every byte of a character beyond ASCII is 0x80 or above. Not here: SJIS, BIG5, GBK, GB18030, UHC, JOHAB, in which 0x5C
// may be the second byte of a character, so that the server would see other tokens than we do.
const BYTES = new Set([
  ...["euccn", "eucjp", "eucjis2004", "euckr", "euctw", "muleinternal", "koi8", "koi8r", "koi8u"],
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((part) => `latin${part}`),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16].map((part) => `iso8859${part}`),
  ...[866, 874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258].flatMap((page) => [
    `win${page}`,
    `windows${page}`,
  ]),
]);

/**
 * @param name - as in `client_encoding`; the server ignores case and everything but letters and digits
 * @returns `undefined` for one that can't be followed safely, or is not known
 */
export function textEncoding(name: string): TextEncoding | undefined {
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, "");
  if (UTF8.has(plain)) return "utf-8";
  return BYTES.has(plain) ? "bytes" : undefined;
}

/**
 * Whether a text reads alike whatever `client_encoding` and `standard_conforming_strings` are: plain ASCII without a
 * backslash.
 */
export function readsAlikeEverywhere(text: Buffer): boolean {
  for (const byte of text) if (byte >= 0x80 || byte === 0x5c) return false;
  return true;
}
