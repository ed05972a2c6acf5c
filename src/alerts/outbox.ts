import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { Alert } from "./alert.ts";

/** An alert on its way to one sink. */
export interface Entry {
  readonly sink: string;
  readonly alert: Alert;
  /** RFC 3339. */
  readonly queuedAt: string;
}

/**
 * What is not delivered yet, a file each, so that it survives the process. Delivery does not wait for the disk, since
 * a disk in trouble may be what the alert is about; a file is removed after its alert was taken.
 */
export class Outbox {
  readonly #directory: string;
  readonly #onTrouble: (error: unknown) => void;
  /** One thing after another: nothing is removed before it is there. */
  #work: Promise<void> = Promise.resolve();

  private constructor(directory: string, onTrouble: (error: unknown) => void) {
    this.#directory = directory;
    this.#onTrouble = onTrouble;
  }

  /** @returns it, and what an earlier process left, the oldest first */
  static async open(
    directory: string,
    { onTrouble }: { readonly onTrouble: (error: unknown) => void },
  ): Promise<{ readonly outbox: Outbox; readonly left: readonly Entry[] }> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const left: Entry[] = [];
    for (const name of await readdir(directory)) {
      const file = path.join(directory, name);
      // A killed process wrote at it; its alert was never whole.
      if (name.endsWith(UNFINISHED)) await rm(file);
      if (!name.endsWith(FINISHED)) continue;
      const entry = parseEntry(await readFile(file, "utf8"));
      if (entry === undefined) {
        await rename(file, `${file}.unreadable`);
        onTrouble(new Error(`${name} is no alert, and was set aside`));
      } else left.push(entry);
    }
    left.sort((a, b) => (a.queuedAt < b.queuedAt ? -1 : 1));
    return { outbox: new Outbox(directory, onTrouble), left };
  }

  put(entry: Entry): void {
    this.#do(async () => {
      const file = this.#fileOf(entry);
      const handle = await open(`${file}${UNFINISHED}`, "w", 0o600);
      try {
        await handle.writeFile(JSON.stringify(entry));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${file}${UNFINISHED}`, file);
    });
  }

  remove(entry: Entry): void {
    this.#do(() => rm(this.#fileOf(entry), { force: true }));
  }

  /** Once everything is on disk. */
  async close(): Promise<void> {
    await this.#work;
  }

  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch(this.#onTrouble);
  }

  #fileOf({ alert, sink }: Entry): string {
    return path.join(this.#directory, `${alert.id}.${sink}${FINISHED}`);
  }
}

const FINISHED = ".json";
const UNFINISHED = ".unfinished";

/** Our own file, so no more is asked than whether it is whole. */
function parseEntry(text: string): Entry | undefined {
  try {
    const { sink, alert, queuedAt } = JSON.parse(text) as Partial<Entry>;
    if (sink === undefined || queuedAt === undefined || alert?.id === undefined) return undefined;
    return { sink, alert, queuedAt };
  } catch {
    return undefined;
  }
}
