const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The text of a wire string, exactly: encoding it again gives the same bytes. A byte order mark stays, because
 * the server sees it too.
 *
 * @param bytes - without the terminating zero
 * @returns `undefined` for invalid UTF-8 and for a zero byte, after which libpg_query would see nothing
 */
export function decodeSql(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined; // the decoder's only failure is "not UTF-8"
  }
}
