import { spawn, type ChildProcess } from "node:child_process";
import { addAbortListener } from "node:events";
import type { Account } from "./embedded-binaries.ts";

const LOG_TAIL_CHARS = 8192;
// A standby says "read-only connections".
const READY = /database system is ready to accept (read-only )?connections/;

// Nothing of our own environment (PGDATA, PGPORT, credentials) reaches the server, and its log is in English.
export const ENVIRONMENT = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

export interface ServerProcessOptions {
  readonly postgres: string;
  readonly dataDir: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Where it runs; removed when this process dies without having stopped the server. */
  readonly baseDir: string;
  readonly account: Account | undefined;
}

/** A `postgres` process of ours. It ends with `stop`, or by itself when this process ends in any way. */
export class ServerProcess {
  readonly #child: ChildProcess;
  #log = "";

  constructor({ postgres, dataDir, settings, baseDir, account }: ServerProcessOptions) {
    const args = ["-D", dataDir];
    for (const [name, value] of Object.entries(settings)) args.push("-c", `${name}=${value}`);
    const child = spawn(postgres, args, {
      cwd: baseDir,
      env: ENVIRONMENT,
      // A group of its own: Ctrl-C in our terminal must not stop the server before we do.
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      ...account,
    });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_TAIL_CHARS);
    });
    if (child.pid !== undefined) watchOver(child, { pid: child.pid, baseDir, account });
  }

  /** The end of what the server has logged. */
  get logTail(): string {
    return this.#log;
  }

  /** @throws Error when the server ends instead, or takes too long, or `signal` says to give up */
  async untilReady(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const deadline = AbortSignal.timeout(timeoutMs);
    const end = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
    const child = this.#child;
    let onLog = (): void => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        onLog = () => {
          if (READY.test(this.#log)) resolve();
        };
        child.stderr?.on("data", onLog);
        addAbortListener(end, () => {
          reject(new Error(deadline.aborted ? "did not get ready in time" : "start cancelled"));
        });
        // The log is complete at "close", which "exit" may precede.
        child.once("close", () => {
          reject(new Error("the server ended at once"));
        });
        child.once("error", reject);
      });
    } finally {
      child.stderr?.off("data", onLog);
    }
  }

  /** Fast shutdown: sessions are rolled back and closed. After `timeoutMs` (0: at once) an immediate one. */
  async stop(timeoutMs: number): Promise<void> {
    const child = this.#child;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    if (timeoutMs > 0) child.kill("SIGINT");
    const timer = setTimeout(() => child.kill("SIGQUIT"), timeoutMs);
    await exited;
    clearTimeout(timer);
  }
}

/**
 * Ends the server, and removes its folder, should this process die without doing so (even by SIGKILL): a shell
 * that waits for the end of a pipe which only we hold open.
 */
function watchOver(
  server: ChildProcess,
  { pid, baseDir, account }: Pick<ServerProcessOptions, "baseDir" | "account"> & { pid: number },
): void {
  const script =
    'cat >/dev/null; kill -QUIT "$1"; while kill -0 "$1"; do sleep 0.1; done; rm -rf "$2"';
  const watch = spawn("/bin/sh", ["-c", script, "twokey-watch", String(pid), baseDir], {
    cwd: "/",
    env: ENVIRONMENT,
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    ...account,
  });
  watch.unref();
  watch.on("error", () => undefined); // no shell: the server then lives until `stop`
  watch.stdin.on("error", () => undefined);
  server.once("exit", () => watch.kill("SIGKILL"));
}
