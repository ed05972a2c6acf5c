import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import pg from "pg";
import type { TestPerson } from "../support/twokey.ts";

export interface ReplicaFiles {
  readonly configFile: string;
  readonly port: number;
  readonly adminPort: number;
  /** Folder of the people's private keys. */
  readonly keys: string;
  readonly password: string;
}

const HOST = "127.0.0.1";

/** A Twokey process of its own, with alice's sessions through it. */
export class Replica {
  readonly #files: ReplicaFiles;
  #child: ChildProcess | undefined;
  #sessions: pg.Client[] = [];

  private constructor(files: ReplicaFiles) {
    this.#files = files;
  }

  static async start(files: ReplicaFiles): Promise<Replica> {
    const replica = new Replica(files);
    await replica.restart();
    return replica;
  }

  get adminUrl(): string {
    return `http://${HOST}:${this.#files.adminPort}`;
  }

  person(name: string): TestPerson {
    const { keys, password } = this.#files;
    return { name, password, keyFile: path.join(keys, name) };
  }

  async restart(): Promise<void> {
    const program = ["--import", "tsx", "src/main.ts", "start", "--config", this.#files.configFile];
    const child = spawn(process.execPath, program, { stdio: ["ignore", "inherit", "inherit"] });
    this.#child = child;
    while (!(await this.#isReady())) {
      if (child.exitCode !== null) throw new Error(`the replica ended with ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** kill -9; its sessions go with it. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** Opens further sessions of alice's, or new ones for those that are lost. */
  async open(count: number): Promise<void> {
    await this.close();
    const { port, password } = this.#files;
    this.#sessions = Array.from({ length: count }, () => {
      const client = new pg.Client({
        host: HOST,
        port,
        user: "alice",
        password,
        database: "postgres",
      });
      // A killed replica's sessions break; their queries say so.
      client.on("error", () => undefined);
      return client;
    });
    await Promise.all(this.#sessions.map((client) => client.connect()));
  }

  /** Sends it in every session at once. @returns in how many it ran, as they were told */
  async run(sql: string): Promise<number> {
    const outcomes = await Promise.allSettled(this.#sessions.map((client) => client.query(sql)));
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled" || !(outcome.reason instanceof pg.DatabaseError)) continue;
      if (outcome.reason.code !== "42501") throw outcome.reason;
    }
    return outcomes.filter(({ status }) => status === "fulfilled").length;
  }

  /** @returns the number of the request that its refusal opens */
  async requestFor(sql: string): Promise<string> {
    const [first] = this.#sessions;
    const refused: unknown = await first?.query(sql).catch((error: unknown) => error);
    const detail = refused instanceof pg.DatabaseError ? refused.detail : undefined;
    const id = /R-\w{6}/.exec(detail ?? "")?.[0];
    if (id === undefined) throw new Error("it was not refused", { cause: refused });
    return id;
  }

  async close(): Promise<void> {
    const ended = this.#sessions.map((client) => client.end().catch(() => undefined));
    this.#sessions = [];
    // Of a connection that is broken, pg never says that it has ended.
    await Promise.race([
      Promise.all(ended),
      new Promise((resolve) => setTimeout(resolve, 2000).unref()),
    ]);
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.adminUrl}/readyz`)).ok;
    } catch {
      return false; // not listening yet
    }
  }
}
