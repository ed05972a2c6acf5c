import type { Duplex } from "node:stream";

/**
 * Takes exactly so many bytes from a paused socket; whatever has arrived behind them stays in its buffer.
 *
 * @returns `undefined` when the peer ended the stream before
 * @throws the signal's reason, or the socket's error
 */
export async function readExactly(
  socket: Duplex,
  bytes: number,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  for (;;) {
    signal.throwIfAborted();
    const taken = socket.read(bytes) as Buffer | null;
    if (taken !== null) return taken.length === bytes ? taken : undefined;
    if (socket.readableEnded || socket.destroyed) return undefined;
    await readable(socket, signal);
  }
}

function readable(socket: Duplex, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      socket.off("readable", done).off("end", done).off("close", done).off("error", settle);
      signal.removeEventListener("abort", aborted);
      if (error === undefined) resolve();
      else reject(error instanceof Error ? error : new Error("read failed", { cause: error }));
    };
    const done = (): void => {
      settle();
    };
    const aborted = (): void => {
      settle(signal.reason);
    };
    socket.on("readable", done).on("end", done).on("close", done).on("error", settle);
    signal.addEventListener("abort", aborted);
  });
}
