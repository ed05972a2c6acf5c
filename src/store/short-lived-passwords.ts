import { existsSync, readFileSync, statSync } from "node:fs";
import { writeDurably } from "./durable-files.ts";

/** A password that somebody got by `twokey login`; only what checks it is kept. */
export interface ShortLivedPassword {
  /** To name it by, in the audit log and when it is revoked. */
  readonly id: string;
  readonly person: string;
  /** As PostgreSQL writes it: `SCRAM-SHA-256$…`. */
  readonly verifier: string;
  readonly expiresAtMs: number;
}

const MAX_PER_PERSON = 10;

/**
 * The short-lived passwords that are out, in a file (mode 0600, JSON, `[{id, person, verifier, expiresAtMs}, …]`): they
 * outlive a restart. Replicas that share the file know each other's.
 */
export class ShortLivedPasswords {
  readonly #file: string;
  #version = "";
  #passwords: readonly ShortLivedPassword[] = [];

  /** @throws Error when the file is there and can't be read: whoever logs in then would be told a wrong thing */
  constructor(file: string) {
    this.#file = file;
    this.#refresh();
  }

  /** The newest last. */
  of(person: string, nowMs: number): readonly ShortLivedPassword[] {
    this.#refresh();
    return this.#passwords.filter(
      (password) => password.person === person && password.expiresAtMs > nowMs,
    );
  }

  /** On disk when it returns. Of one person only so many are kept: the oldest goes. */
  add(password: ShortLivedPassword, nowMs: number): void {
    const own = this.of(password.person, nowMs);
    const dropped = own.slice(0, Math.max(0, own.length + 1 - MAX_PER_PERSON));
    const kept = this.#passwords.filter(
      (other) => other.expiresAtMs > nowMs && !dropped.includes(other),
    );
    this.#write([...kept, password]);
  }

  /** @returns how many of that person's there were */
  revoke(person: string, nowMs: number): number {
    const own = this.of(person, nowMs);
    this.#write(this.#passwords.filter((password) => password.person !== person));
    return own.length;
  }

  #refresh(): void {
    if (!existsSync(this.#file)) {
      this.#passwords = [];
      return;
    }
    const { mtimeMs, size, ino } = statSync(this.#file);
    const version = `${mtimeMs} ${size} ${ino}`;
    if (version === this.#version) return;
    this.#passwords = parse(readFileSync(this.#file, "utf8"), this.#file);
    this.#version = version;
  }

  #write(passwords: readonly ShortLivedPassword[]): void {
    writeDurably(this.#file, Buffer.from(JSON.stringify(passwords)));
    this.#refresh();
  }
}

function parse(text: string, file: string): readonly ShortLivedPassword[] {
  try {
    return JSON.parse(text) as ShortLivedPassword[];
  } catch (cause) {
    throw new Error(`${file} is damaged: remove it, and have people run twokey login again`, {
      cause,
    });
  }
}
