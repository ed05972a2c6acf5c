import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

/** What a program that has ended said, and how it ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `twokey` from the sources, as a process of its own. End it with `interrupt`. */
export class Program {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const child = spawn(process.execPath, ["src/main.ts", ...args], {
      env: withSources(env),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    child.stdout.setEncoding("utf8").on("data", (text: string) => (this.#stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.#ended = once(child, "close").then(([status]) => ({
      status: status as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
  }

  /** What it has printed on standard output, once that has the text in it. */
  printed(text: string): Promise<string> {
    return this.#until(text, () => this.#stdout);
  }

  /** The same of standard error. */
  noted(text: string): Promise<string> {
    return this.#until(text, () => this.#stderr);
  }

  /** @throws Error where it could not be started */
  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("not started");
    return pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  /** As Ctrl-C does; twice, as npm passes on what the terminal has sent already. */
  interrupt(): Promise<Ended> {
    this.#child.kill("SIGINT");
    this.#child.kill("SIGINT");
    return this.#ended;
  }

  async #until(text: string, said: () => string): Promise<string> {
    while (!said().includes(text)) {
      const ended = await Promise.race([this.#ended, this.#nextOutput()]);
      if (ended !== undefined && !said().includes(text)) {
        throw new Error(`it ended with ${ended.status ?? "a signal"}: ${ended.stderr}`);
      }
    }
    return said();
  }

  #nextOutput(): Promise<undefined> {
    const { stdout, stderr } = this.#child;
    return new Promise((resolve) => {
      const heard = (): void => {
        stdout?.off("data", heard);
        stderr?.off("data", heard);
        resolve(undefined);
      };
      stdout?.on("data", heard);
      stderr?.on("data", heard);
    });
  }
}

/** A command line, as somebody at a shell would type it. */
export async function shell(line: string, env: NodeJS.ProcessEnv = process.env): Promise<Ended> {
  const child = spawn("/bin/sh", ["-c", line], {
    env: withSources(env),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stdout, stderr };
}

/** `node src/main.ts` then loads TypeScript, wherever it is called from. */
function withSources(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, NODE_OPTIONS: `--import ${import.meta.resolve("./tsx-threads.mjs")}` };
}
