import { once } from "node:events";
import { createServer } from "node:net";
import { CommandFailed } from "../command-failed.ts";

/**
 * Asked before anything is started, so that nothing has to be taken down again.
 *
 * @throws CommandFailed that names the option with which to choose another port
 */
export async function refuseTakenPort(port: number, option: string): Promise<void> {
  const probe = createServer();
  try {
    probe.listen(port, "127.0.0.1");
    await once(probe, "listening");
  } catch (cause) {
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailed(
      2,
      isTaken
        ? `port ${port} is in use by another program`
        : `port ${port} can't be listened on: ${why}`,
      { hint: `choose another one with ${option} N (0 takes any that is free)`, cause },
    );
  } finally {
    probe.close();
  }
}
