import { Malformed } from "./malformed.ts";

/**
 * Reads SSH's binary encoding (RFC 4251 §5) strictly: every length is bounded by what is there, numbers are
 * minimal, and `end` refuses a byte too many.
 */
export class SshReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  take(length: number): Buffer {
    if (length > this.#bytes.length - this.#offset) throw this.#malformed("ends too early");
    const taken = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return taken;
  }

  byte(): number {
    return this.take(1).readUInt8();
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.take(8).readBigUInt64BE();
  }

  string(): Buffer {
    return this.take(this.uint32());
  }

  /** A string of printable ASCII: every name in these formats is one. */
  text(): string {
    const text = this.string().toString("latin1");
    if (!/^[\x20-\x7e]*$/.test(text)) throw this.#malformed("has a name that is not plain ASCII");
    return text;
  }

  /** A string of exactly `length` bytes. */
  fixed(length: number): Buffer {
    const bytes = this.string();
    if (bytes.length !== length) throw this.#malformed(`has a field of a wrong length`);
    return bytes;
  }

  /** A positive mpint, without the zero byte that only keeps its sign. */
  mpint(): Buffer {
    const bytes = this.string();
    const [first, second] = bytes;
    if (first === undefined || first >= 0x80) throw this.#malformed("has a number below one");
    if (first !== 0) return bytes;
    if (second === undefined || second < 0x80) throw this.#malformed("has a padded number");
    return bytes.subarray(1);
  }

  /** How many bytes have been read. */
  offset(): number {
    return this.#offset;
  }

  isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  end(): void {
    if (!this.isAtEnd()) throw this.#malformed("has bytes after its end");
  }

  #malformed(problem: string): Malformed {
    return new Malformed(`${this.#what} ${problem}`);
  }
}

export function sshUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function sshString(data: Uint8Array | string): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([sshUint32(bytes.length), bytes]);
}

/** @throws Malformed unless `text` is base64 in its only canonical spelling, padding included */
export function parseBase64(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0 || bytes.toString("base64") !== text) {
    throw new Malformed(`${what} is not base64`);
  }
  return bytes;
}
