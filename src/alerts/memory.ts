import { mkdir, open, readFile, rename } from "node:fs/promises";
import { isIPv6 } from "node:net";
import path from "node:path";

interface Known {
  /** By person, the latest last. */
  readonly addresses: Readonly<Record<string, readonly string[]>>;
  /** By person, as the programs call themselves. */
  readonly programs: Readonly<Record<string, readonly string[]>>;
  readonly config: string | undefined;
}

const NOTHING: Known = { addresses: {}, programs: {}, config: undefined };
/** Of one person. */
const MAX_ADDRESSES = 200;
const MAX_PROGRAMS = 100;
const MAX_PROGRAM_LENGTH = 64;

/** What was seen before, so that the new can be told: from where people come and with what, and the configuration. Survives restarts. */
export class Memory {
  readonly #file: string;
  readonly #onTrouble: (error: unknown) => void;
  readonly #addresses: Map<string, readonly string[]>;
  readonly #programs: Map<string, readonly string[]>;
  #config: string | undefined;
  #saving: Promise<void> = Promise.resolve();
  #isSaveWaiting = false;

  private constructor(file: string, known: Known, onTrouble: (error: unknown) => void) {
    this.#file = file;
    this.#onTrouble = onTrouble;
    this.#addresses = new Map(Object.entries(known.addresses));
    this.#programs = new Map(Object.entries(known.programs));
    this.#config = known.config;
  }

  /** One that can't be read is begun anew: it is a convenience, not a record. */
  static async open(
    file: string,
    { onTrouble }: { readonly onTrouble: (error: unknown) => void },
  ): Promise<Memory> {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    return new Memory(file, await read(file, onTrouble), onTrouble);
  }

  /** @returns whether the person was seen before, and never there; the first place of all is not new */
  isNewAddress(person: string, address: string): boolean {
    return this.#isNew(this.#addresses, person, {
      value: networkOf(address),
      max: MAX_ADDRESSES,
    });
  }

  /** @returns whether the person was seen before, and never with it; the first of all is not new */
  isNewProgram(person: string, applicationName: string): boolean {
    return this.#isNew(this.#programs, person, {
      value: programOf(applicationName),
      max: MAX_PROGRAMS,
    });
  }

  /** @returns whether it was another one at the last start */
  isNewConfig(digest: string): boolean {
    const before = this.#config;
    if (before === digest) return false;
    this.#config = digest;
    this.#save();
    return before !== undefined;
  }

  async close(): Promise<void> {
    await this.#saving;
  }

  #isNew(
    seen: Map<string, readonly string[]>,
    person: string,
    { value, max }: { readonly value: string; readonly max: number },
  ): boolean {
    const known = seen.get(person) ?? [];
    if (known.includes(value)) return false;
    seen.set(person, [...known, value].slice(-max));
    this.#save();
    return known.length > 0;
  }

  /** What changes while a save is waiting goes with it. */
  #save(): void {
    if (this.#isSaveWaiting) return;
    this.#isSaveWaiting = true;
    this.#saving = this.#saving
      .then(() => {
        this.#isSaveWaiting = false;
        return write(this.#file, {
          addresses: Object.fromEntries(this.#addresses),
          programs: Object.fromEntries(this.#programs),
          config: this.#config,
        });
      })
      .catch(this.#onTrouble);
  }
}

/** Of IPv6 the first half: the other changes by itself, day by day (RFC 8981). */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.toLowerCase().split("%", 1).join("").split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill("0");
  return [...groups, ...zeros, ...rest].slice(0, 4).join(":");
}

/** Versions, connections and tabs are numbered; the program stays the same. */
function programOf(applicationName: string): string {
  return applicationName.replaceAll(/[\d.]*\d/g, "#").slice(0, MAX_PROGRAM_LENGTH);
}

async function read(file: string, onTrouble: (error: unknown) => void): Promise<Known> {
  try {
    return { ...NOTHING, ...(JSON.parse(await readFile(file, "utf8")) as Partial<Known>) };
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!isMissing) onTrouble(error);
    return NOTHING;
  }
}

async function write(file: string, known: Known): Promise<void> {
  const handle = await open(`${file}.unfinished`, "w", 0o600);
  try {
    await handle.writeFile(JSON.stringify(known));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.unfinished`, file);
}
