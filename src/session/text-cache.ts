interface Entry<T> {
  readonly value: T;
  readonly bytes: number;
}

/**
 * Values by text, bounded by what they weigh. In two generations: when the younger is full it becomes the older, and what
 * nobody asked for since is gone. So that making room costs nothing a text, as taking the oldest of a Map out one by one
 * does.
 */
export class TextCache<T> {
  readonly #generationBytes: number;
  #young = new Map<string, Entry<T>>();
  #old = new Map<string, Entry<T>>();
  #youngBytes = 0;
  #oldBytes = 0;

  constructor(maxBytes: number) {
    this.#generationBytes = maxBytes / 2;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get bytes(): number {
    return this.#youngBytes + this.#oldBytes;
  }

  get(text: string): T | undefined {
    const entry = this.#young.get(text);
    if (entry !== undefined) return entry.value;
    const old = this.#old.get(text);
    if (old === undefined) return undefined;
    this.#old.delete(text);
    this.#oldBytes -= old.bytes;
    this.#put(text, old);
    return old.value;
  }

  /** What is heavier than a quarter of all is not kept. */
  set(text: string, value: T, bytes: number): void {
    if (bytes > this.#generationBytes / 2) return;
    const known = this.#young.get(text);
    if (known !== undefined) this.#youngBytes -= known.bytes;
    this.#put(text, { value, bytes });
  }

  #put(text: string, entry: Entry<T>): void {
    if (this.#youngBytes + entry.bytes > this.#generationBytes) {
      this.#old = this.#young;
      this.#oldBytes = this.#youngBytes;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(text, entry);
    this.#youngBytes += entry.bytes;
  }
}
