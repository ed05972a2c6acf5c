import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { sha256 } from "../base/digest.ts";

const cachedSchema = z.object({
  url: z.string(),
  person: z.string(),
  token: z.string(),
  expires_at: z.iso.datetime(),
});
type Cached = z.infer<typeof cachedSchema>;

/** Whose token for which server. */
export interface TokenOwner {
  readonly url: string;
  readonly person: string;
}

/** Tokens between one command and the next: a file each that only the user can read (XDG Base Directory, state). */
export class TokenCache {
  readonly #directory: string;
  readonly #now: () => number;

  constructor(env: NodeJS.ProcessEnv, now: () => number) {
    const state = env["XDG_STATE_HOME"];
    const home = env["HOME"] ?? homedir();
    const isSet = state !== undefined && state !== "";
    this.#directory = join(isSet ? state : join(home, ".local", "state"), "twokey", "sign-in");
    this.#now = now;
  }

  /** The token, unless it has expired, isn't there, or others could have read or put it there. */
  get(owner: TokenOwner): string | undefined {
    const cached = readPrivate(this.#file(owner));
    if (cached?.url !== owner.url || cached.person !== owner.person) return undefined;
    return Date.parse(cached.expires_at) > this.#now() ? cached.token : undefined;
  }

  put(owner: TokenOwner, token: string, expiresAt: string): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    chmodSync(this.#directory, 0o700);
    const cached: Cached = { ...owner, token, expires_at: expiresAt };
    const file = this.#file(owner);
    // Beside it and then in its place: it is never there half, nor for a moment readable.
    const temporary = `${file}.${process.pid}`;
    rmSync(temporary, { force: true });
    writeFileSync(temporary, JSON.stringify(cached), { mode: 0o600, flag: "wx" });
    renameSync(temporary, file);
  }

  forget(owner: TokenOwner): void {
    rmSync(this.#file(owner), { force: true });
  }

  #file({ url, person }: TokenOwner): string {
    return join(this.#directory, `${sha256(JSON.stringify([url, person])).slice(0, 32)}.json`);
  }
}

function readPrivate(file: string): Cached | undefined {
  try {
    if ((statSync(file).mode & 0o077) !== 0) return undefined;
    return cachedSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return undefined; // absent, unreadable or not ours: sign in anew, which puts a good one there
  }
}
