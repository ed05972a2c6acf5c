import type { ChainWriter } from "../audit/chain.ts";
import type { EventName, Members } from "../audit/record.ts";

/**
 * Records that have their place in the chain but not yet their bytes. Encoding a few dozen in a row costs half of
 * encoding each between the system calls of its statement.
 */
export class PendingRecords {
  readonly #events: EventName[] = [];
  readonly #times: number[] = [];
  readonly #members: (readonly Members[])[] = [];
  #bytes = 0;

  get count(): number {
    return this.#events.length;
  }

  /** What they take when encoded, at most. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * @param nowUs - microseconds since 1970
   * @param bytes - what it takes when encoded, at most
   */
  add(event: EventName, nowUs: number, members: readonly Members[], bytes: number): void {
    this.#events.push(event);
    this.#times.push(nowUs);
    this.#members.push(members);
    this.#bytes += bytes;
  }

  /** @returns the offset after the last of them */
  encode(writer: ChainWriter, into: Buffer, offset: number): number {
    let end = offset;
    for (let i = 0; i < this.#events.length; i += 1) {
      const event = this.#events[i] as EventName;
      end = writer.encode(into, end, this.#times[i] as number, event, this.#members[i] ?? []);
    }
    this.#events.length = this.#times.length = this.#members.length = 0;
    this.#bytes = 0;
    return end;
  }
}
