import type { ChainId } from "./record.ts";

const SEQ_AT = `{"seq":`.length;
const TIME_MEMBER = `,"time":"`;
const SECOND_BYTES = "2026-03-14T09:26:53.".length;
const MICROS_DIGITS = 6;
const TIME_BYTES = SECOND_BYTES + MICROS_DIGITS + "Z".length;
const PREV_BYTES = 64;
const EVENT_MEMBER = `","event":`;

/**
 * The bytes that a record starts with, up to its event: a template in which only digits change. The writer copies it into
 * each record; the verifier compares each record with it.
 */
export class RecordHead {
  readonly #chain: ChainId;
  #bytes: Buffer;
  #seqDigits: number;
  /** The least number that has as many digits, and the least that has more. */
  #seqFrom = 1;
  #seqTo = 10;
  #timeAt: number;
  #second = NaN;

  constructor(chain: ChainId) {
    this.#chain = chain;
    this.#bytes = template(chain, 1);
    this.#seqDigits = 1;
    this.#timeAt = SEQ_AT + 1 + TIME_MEMBER.length;
  }

  /** A view, which the next change shows in. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  setSeq(seq: number): void {
    if (seq < this.#seqFrom || seq >= this.#seqTo) {
      this.#bytes = template(this.#chain, seq);
      this.#seqDigits = String(seq).length;
      this.#seqFrom = 10 ** (this.#seqDigits - 1);
      this.#seqTo = 10 * this.#seqFrom;
      this.#timeAt = SEQ_AT + this.#seqDigits + TIME_MEMBER.length;
      this.#second = NaN;
    } else {
      stampDigits(this.#bytes, SEQ_AT, this.#seqDigits, seq);
    }
  }

  /** @param nowUs - microseconds since 1970 */
  setTime(nowUs: number): void {
    const second = Math.floor(nowUs / 1e6);
    if (second !== this.#second) {
      this.#second = second;
      const text = new Date(second * 1000).toISOString().slice(0, SECOND_BYTES);
      this.#bytes.write(text, this.#timeAt, "latin1");
    }
    const micros = Math.floor(nowUs - second * 1e6);
    stampDigits(this.#bytes, this.#timeAt + SECOND_BYTES, MICROS_DIGITS, micros);
  }

  setPrev(hash: string): void {
    this.#bytes.write(hash, this.#bytes.length - EVENT_MEMBER.length - PREV_BYTES, "latin1");
  }

  /** @returns whether a line that starts there has this head, at whatever time */
  isAt(line: Buffer, start: number): boolean {
    const head = this.#bytes;
    const { length } = head;
    const timeAt = this.#timeAt;
    // Loops, not Buffer.compare: for so few bytes the call costs more than the comparison.
    for (let i = 0; i < timeAt; i += 1) if (line[start + i] !== head[i]) return false;
    for (let i = timeAt + TIME_BYTES; i < length; i += 1) {
      if (line[start + i] !== head[i]) return false;
    }
    return true;
  }
}

function template(chain: ChainId, seq: number): Buffer {
  const time = "1970-01-01T00:00:00.000000Z";
  const prev = "0".repeat(PREV_BYTES);
  return Buffer.from(
    `{"seq":${seq}${TIME_MEMBER}${time}","chain":"${chain}","prev":"${prev}${EVENT_MEMBER}`,
  );
}

function stampDigits(into: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i -= 1) {
    const quotient = Math.floor(rest / 10);
    into[i] = 48 + rest - quotient * 10;
    rest = quotient;
  }
}
