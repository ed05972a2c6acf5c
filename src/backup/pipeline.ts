import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { constants, setPriority } from "node:os";
import type { Readable, Writable } from "node:stream";
import { BackupFailed } from "./backup-failed.ts";

export interface Step {
  /** For messages. */
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

const KEPT_STDERR = 4000;

/**
 * Programs in a row, each reading what the one before writes, without a byte of it passing through this process. None
 * outlives the signal, nor the failure of another.
 */
export class Pipeline {
  readonly #children: readonly ChildProcess[];
  readonly #ends: Promise<void>;
  #failure: BackupFailed | undefined;

  constructor(steps: readonly Step[], signal: AbortSignal) {
    const children: ChildProcess[] = [];
    const ends: Promise<void>[] = [];
    let previous: Readable | undefined;
    for (const step of steps) {
      const child = spawn(step.file, step.args, {
        env: { PATH: process.env["PATH"], LC_ALL: "C", ...step.env },
        stdio: [previous ?? "pipe", "pipe", "pipe"],
        signal,
      });
      // Whatever is lost by being slow: sessions go before backups.
      if (child.pid !== undefined) lowerPriority(child.pid);
      // The program has it now. As long as we did too, it wouldn't be told when its reader dies.
      previous?.destroy();
      previous = child.stdout ?? undefined;
      children.push(child);
      ends.push(this.#untilEnded(step, child));
    }
    this.#children = children;
    this.#ends = Promise.all(ends).then(() => undefined);
    this.#ends.catch(() => undefined); // told by whoever reads, or by `ended`
  }

  /** Where the first program reads. What it no longer wants to read shows in `ended`. */
  get input(): Writable {
    const stdin = this.#children[0]?.stdin;
    if (stdin === null || stdin === undefined) throw new Error("a pipeline without a program");
    return stdin;
  }

  /** What the last one writes. @throws BackupFailed in place of the end when any of them failed */
  async *output(): AsyncGenerator<Buffer> {
    const stdout = this.#children.at(-1)?.stdout;
    if (stdout === null || stdout === undefined) throw new Error("a pipeline without a program");
    try {
      for await (const chunk of stdout) yield chunk as Buffer;
      await this.ended();
    } finally {
      this.stop();
    }
  }

  /** @throws BackupFailed with the words of the first that failed */
  async ended(): Promise<void> {
    await this.#ends;
    if (this.#failure !== undefined) throw this.#failure;
  }

  stop(): void {
    for (const child of this.#children) if (child.exitCode === null) child.kill("SIGKILL");
  }

  async #untilEnded({ name }: Step, child: ChildProcess): Promise<void> {
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-KEPT_STDERR);
    });
    child.stdin?.on("error", () => undefined); // it ended before it had read all: its status tells why
    child.on("error", () => undefined);
    const [status, killedBy] = (await once(child, "close").catch((error: unknown) => [
      error instanceof Error ? error.message : "can't be started",
      null,
    ])) as [number | string | null, string | null];
    if (status === 0) return;
    const why = said.trim() === "" ? `ended with ${String(status ?? killedBy)}` : lastLines(said);
    this.#failure ??= new BackupFailed(`${name}: ${why}`);
    this.stop();
  }
}

/** Warnings come first; what it died of comes last. */
function lastLines(text: string): string {
  return text.trim().split("\n").slice(-6).join("; ").slice(-1000);
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Not everywhere allowed, and no reason not to back up.
  }
}
