const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs something that has to be taken down in order. The signals are heard to the very end: a second Ctrl-C, or npm's
 * copy of the first, does not interrupt the cleaning up.
 */
export async function withStopSignal<T>(use: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stopping = new AbortController();
  const stop = (): void => {
    stopping.abort();
  };
  for (const name of SIGNALS) process.on(name, stop);
  try {
    return await use(stopping.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, stop);
  }
}
