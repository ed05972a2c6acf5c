import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { Log } from "../telemetry/log.ts";
import { Profile, type ProfileText } from "./profile.ts";

const FINISHED = ".json";
const UNFINISHED = ".unfinished";

/** A file each, replaced whole. */
export class ProfileFiles {
  readonly #directory: string;
  readonly #log: Log;
  #work: Promise<void> = Promise.resolve();

  constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  /** One that can't be read is set aside: what is enforced then refuses everything until it is learned anew. */
  async load(): Promise<readonly Profile[]> {
    const profiles: Profile[] = [];
    for (const name of await this.#names()) {
      const file = path.join(this.#directory, name);
      if (name.endsWith(UNFINISHED)) await rm(file);
      if (!name.endsWith(FINISHED)) continue;
      const profile = parseProfile(await readFile(file, "utf8"));
      if (profile === undefined) {
        await rename(file, `${file}.unreadable`);
        this.#log.error({ file }, "what was learned of somebody can't be read, and was set aside");
      } else profiles.push(profile);
    }
    return profiles;
  }

  save(profile: ProfileText): void {
    const text = JSON.stringify(profile);
    const file = path.join(this.#directory, `${encodeURIComponent(profile.name)}${FINISHED}`);
    this.#work = this.#work
      .then(() => replace(file, text))
      .catch((error: unknown) => {
        this.#log.error({ err: error }, "what was learned of somebody could not be saved");
      });
  }

  async close(): Promise<void> {
    await this.#work;
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#directory);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw error;
    }
  }
}

async function replace(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(`${file}${UNFINISHED}`, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}${UNFINISHED}`, file);
}

/** Our own file, so no more is asked than whether it is whole. */
function parseProfile(text: string): Profile | undefined {
  try {
    const { name, since, known, unknown, usual, ...rest } = JSON.parse(
      text,
    ) as Partial<ProfileText>;
    if (name === undefined || since === undefined || known === undefined) return undefined;
    return new Profile({ name, since, known, unknown: unknown ?? {}, usual: usual ?? {}, ...rest });
  } catch {
    return undefined;
  }
}
