/** Where backups are kept: an object store, as far as we need one. One contract test runs on all. */
export interface BackupStore {
  /** For people: what and where, without credentials. */
  readonly description: string;
  /**
   * Stores what the iterable gives, however long. Under its name it is whole or not there at all: where the iterable throws,
   * the store can't take it, or the process dies, nothing appears.
   *
   * @throws BackupFailed
   */
  put: (name: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<void>;
  /** @throws BackupFailed when it is not there, or can't be read to its end */
  get: (name: string, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  /** Names that begin so, in no order. */
  list: (prefix: string) => Promise<readonly string[]>;
  /** What is not there is removed already. @throws BackupFailed */
  remove: (name: string) => Promise<void>;
  close: () => Promise<void>;
}

/** All of it in memory. @throws BackupFailed where it is longer */
export async function readWhole(
  content: AsyncIterable<Uint8Array>,
  { maxBytes }: { readonly maxBytes: number },
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
