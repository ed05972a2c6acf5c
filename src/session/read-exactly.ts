import type { Duplex } from "node:stream";

/**
 * Takes exactly so many bytes from a paused socket; whatever has arrived behind them stays in its buffer.
 *
 * @returns `undefined` when the peer ended the stream before
 * @throws the signal's reason, or the socket's error
 */
export function readExactly(
  socket: Duplex,
  bytes: number,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.off("readable", look).off("end", look).off("close", look).off("error", fail);
      signal.removeEventListener("abort", abort);
    };
    const fail = (error: unknown): void => {
      stop();
      reject(error instanceof Error ? error : new Error("read failed", { cause: error }));
    };
    const abort = (): void => {
      fail(signal.reason);
    };
    const look = (): void => {
      const taken = socket.read(bytes) as Buffer | null;
      if (taken === null && !socket.readableEnded && !socket.destroyed) return;
      stop();
      resolve(taken?.length === bytes ? taken : undefined);
    };
    if (signal.aborted) {
      abort();
      return;
    }
    // One listener for as long as it takes: a new one is told at once of what is there already, and to listen anew for
    // each piece of a message that comes piecemeal would never let anything else happen.
    socket.on("readable", look).on("end", look).on("close", look).on("error", fail);
    signal.addEventListener("abort", abort);
    look();
  });
}
