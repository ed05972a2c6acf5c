import { ProtocolViolation } from "../base/errors.ts";
import type { CopyIn } from "../wire/copy-in.ts";
import { encodeFlush } from "../wire/encode-refusal.ts";
import type { FrontendFramer } from "../wire/framer.ts";
import { FRONTEND } from "../wire/message-types.ts";
import type { FrontendFlow } from "./frontend-flow.ts";
import { notInCopyRefusal } from "./refusal.ts";
import type { SwappedRefusals } from "./swapped-refusals.ts";

export interface DuringCopyOptions {
  readonly flow: FrontendFlow;
  readonly refusals: SwappedRefusals;
  readonly waitForAnswer: (again: () => void) => void;
}

/**
 * What a frontend sends while a COPY takes rows, or seems to: the server may have failed already. Nothing is sent on
 * that means one thing in a COPY and another behind it; where it matters, the server is asked first.
 */
export class DuringCopy {
  readonly #options: DuringCopyOptions;

  constructor(options: DuringCopyOptions) {
    this.#options = options;
  }

  /** @param again - takes the message once more, when it is known whether the COPY goes on */
  mayPass(copyIn: CopyIn, { type }: FrontendFramer, again: () => void): boolean {
    switch (type) {
      case FRONTEND.CopyData:
        copyIn.sentData();
        return true;
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
      case FRONTEND.Flush:
      case FRONTEND.Terminate:
        return true;
      case FRONTEND.Sync:
        if (copyIn.isOpen) copyIn.heldSyncs += 1;
        else this.#askFirst(again);
        return false;
      default:
        this.#interrupt(copyIn, type);
        this.#askFirst(again);
        return false;
    }
  }

  /** A statement can't be in a COPY: if one is under way, the server fails it and gives the session up. */
  #interrupt(copyIn: CopyIn, type: number): void {
    if (copyIn.isInterrupted) return;
    copyIn.isInterrupted = true;
    const { flow, refusals } = this.#options;
    flow.write(refusals.asCopyFail(notInCopyRefusal(type)));
  }

  #askFirst(again: () => void): void {
    const { flow, refusals, waitForAnswer } = this.#options;
    // So that the server says what it has kept to itself up to the next Sync.
    flow.write(encodeFlush());
    waitForAnswer(() => {
      if (refusals.hasInterruptedCopy) throw synchronizationLost();
      again();
    });
  }
}

/** As the server says it, behind the error of the COPY. */
export function synchronizationLost(): ProtocolViolation {
  return new ProtocolViolation("terminating connection because protocol synchronization was lost");
}
