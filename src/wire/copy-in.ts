/**
 * A statement that takes rows from the frontend, from its sending until all its rows are there or it is over.
 *
 * While it lasts, the backend reads `Sync` and takes no notice, but answers it once the COPY has failed; and it ends a
 * connection that sends a statement, but runs that once the COPY has failed (PostgreSQL docs, "COPY Operations").
 * Which of the two holds for a message is known only to the backend. So none is sent on that means one thing in a COPY
 * and another behind it: INVARIANT: until this is over, only CopyData, CopyDone, CopyFail and Flush are forwarded.
 */
export class CopyIn {
  /** Of the statement that it belongs to. */
  readonly entry: object;
  /** CopyInResponse has come. */
  isOpen = false;
  /** Our CopyFail is on its way, in front of a message that can't be in a COPY. */
  isInterrupted = false;
  /** `Sync` messages that came behind the last row and were not forwarded. */
  heldSyncs = 0;
  #left: number;

  /** @param copies - how many COPY FROM STDIN the statement holds */
  constructor(entry: object, copies: number) {
    this.entry = entry;
    this.#left = copies;
  }

  /** Rows behind a `Sync` show that the frontend holds the COPY to be under way: so it was in the COPY, too. */
  sentData(): void {
    this.heldSyncs = 0;
  }

  /** `CopyDone` or `CopyFail`. @returns whether no more rows are to come */
  sentEnd(): boolean {
    this.heldSyncs = 0;
    this.isOpen = false;
    this.#left -= 1;
    return this.#left === 0;
  }
}
