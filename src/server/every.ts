import type { Log } from "../telemetry/log.ts";

/**
 * Runs a job again and again, never twice at once, for as long as the process lives or until stopped. A failure is
 * logged and the next run tries again.
 *
 * @returns stops it, and waits for a run under way
 */
export function every(
  periodMs: number,
  job: () => Promise<void>,
  log: Log,
  { atOnce = false } = {},
): () => Promise<void> {
  let running: Promise<void> | undefined;
  const start = (): void => {
    running ??= job()
      .catch((error: unknown) => {
        log.error({ err: error }, "a recurring job failed");
      })
      .finally(() => (running = undefined));
  };
  const timer = setInterval(start, periodMs).unref();
  if (atOnce) start();
  return async () => {
    clearInterval(timer);
    await running;
  };
}
