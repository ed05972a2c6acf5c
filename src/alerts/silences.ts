import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import path from "node:path";
import type { AlertEvent } from "./event.ts";

/** That a rule says nothing for a time, all of it or about one person. */
export interface Silence {
  readonly id: string;
  /** Name of the alert rule. */
  readonly rule: string;
  readonly person: string | undefined;
  readonly until: string;
  readonly reason: string;
  readonly by: string;
}

const MAX_SILENCES = 200;
const ID_BYTES = 4;

/** Silences that operators made; they survive restarts, and end by themselves. */
export class Silences {
  readonly #file: string;
  readonly #onTrouble: (error: unknown) => void;
  #silences: readonly Silence[];
  #saving: Promise<void> = Promise.resolve();

  private constructor(
    file: string,
    silences: readonly Silence[],
    onTrouble: (error: unknown) => void,
  ) {
    this.#file = file;
    this.#silences = silences;
    this.#onTrouble = onTrouble;
  }

  /** Of a file that can't be read nothing is silent: too many alerts are better than too few. */
  static async open(
    file: string,
    { onTrouble }: { readonly onTrouble: (error: unknown) => void },
  ): Promise<Silences> {
    return new Silences(file, await read(file, onTrouble), onTrouble);
  }

  list(now: Date): readonly Silence[] {
    return this.#silences.filter(({ until }) => now.getTime() < Date.parse(until));
  }

  /** @returns `undefined` when there are too many */
  add(silence: Omit<Silence, "id">, now: Date): Silence | undefined {
    const current = this.list(now);
    if (current.length >= MAX_SILENCES) return undefined;
    const made = { id: `S-${randomBytes(ID_BYTES).toString("hex")}`, ...silence };
    this.#keep([...current, made]);
    return made;
  }

  /** @returns whether there was one */
  remove(id: string, now: Date): boolean {
    const current = this.list(now);
    const others = current.filter((silence) => silence.id !== id);
    if (others.length === current.length) return false;
    this.#keep(others);
    return true;
  }

  find(rule: string, event: AlertEvent, now: Date): Silence | undefined {
    if (this.#silences.length === 0) return undefined;
    const person = "person" in event ? event.person : undefined;
    return this.list(now).find(
      (silence) =>
        silence.rule === rule && (silence.person === undefined || silence.person === person),
    );
  }

  async close(): Promise<void> {
    await this.#saving;
  }

  #keep(silences: readonly Silence[]): void {
    this.#silences = silences;
    this.#saving = this.#saving.then(() => write(this.#file, silences)).catch(this.#onTrouble);
  }
}

async function read(
  file: string,
  onTrouble: (error: unknown) => void,
): Promise<readonly Silence[]> {
  try {
    const silences = JSON.parse(await readFile(file, "utf8")) as unknown;
    if (!Array.isArray(silences)) throw new Error(`${file} holds no list`);
    return silences as Silence[];
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!isMissing) onTrouble(error);
    return [];
  }
}

async function write(file: string, silences: readonly Silence[]): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(`${file}.unfinished`, "w", 0o600);
  try {
    await handle.writeFile(JSON.stringify(silences));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.unfinished`, file);
}
