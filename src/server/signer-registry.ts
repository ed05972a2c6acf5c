import { readFileSync, statSync } from "node:fs";
import type { Registry } from "../approvals/admit.ts";
import { parseAllowedSigners } from "../approvals/allowed-signers.ts";
import { NO_REVOKED_KEYS, parseRevokedKeys } from "../approvals/revoked-keys.ts";
import type { Config } from "../config/config.ts";
import type { Log } from "../telemetry/log.ts";
import type { Directory } from "./directory.ts";

const NOBODY = parseAllowedSigners("");

/**
 * Who may sign, as the files say by now: read anew when one has changed, so that a revoked key stops counting at
 * once. A file that can't be read lets nobody sign.
 */
export class SignerRegistry {
  readonly #signers: WatchedFile<Registry["signers"]>;
  readonly #revoked: WatchedFile<Registry["revoked"]>;
  readonly #directory: Directory;

  /** @throws Malformed, or an error of the file system, for a file that is no use from the start */
  constructor({ approvals }: Pick<Config, "approvals">, directory: Directory, log: Log) {
    const { allowedSignersFile, revokedKeysFile } = approvals;
    const parseSigners = (bytes: Buffer): Registry["signers"] =>
      parseAllowedSigners(bytes.toString("utf8"));
    this.#signers = new WatchedFile(allowedSignersFile, parseSigners, NOBODY, log);
    this.#revoked = new WatchedFile(revokedKeysFile, parseRevokedKeys, NO_REVOKED_KEYS, log);
    this.#directory = directory;
  }

  now(at: Date): Registry {
    const revoked = this.#revoked.value();
    const signers = revoked === undefined ? undefined : this.#signers.value();
    return {
      signers: signers ?? NOBODY,
      revoked: revoked ?? NO_REVOKED_KEYS,
      groups: this.#directory.groups(at),
    };
  }
}

class WatchedFile<T> {
  readonly #path: string | undefined;
  readonly #parse: (bytes: Buffer) => T;
  readonly #log: Log;
  #value: T | undefined;
  #version = "";

  constructor(path: string | undefined, parse: (bytes: Buffer) => T, absent: T, log: Log) {
    this.#path = path;
    this.#parse = parse;
    this.#log = log;
    this.#value = absent;
    if (path === undefined) return;
    this.#version = versionOf(path);
    this.#value = parse(readFileSync(path));
  }

  /** `undefined` while the file is no use. */
  value(): T | undefined {
    if (this.#path === undefined) return this.#value;
    try {
      const version = versionOf(this.#path);
      if (version !== this.#version) {
        this.#value = undefined;
        this.#value = this.#parse(readFileSync(this.#path));
        this.#version = version;
      }
    } catch (error) {
      this.#log.error(
        { err: error, file: this.#path },
        "nobody can sign until this file is mended",
      );
      this.#value = undefined;
      this.#version = "";
    }
    return this.#value;
  }
}

function versionOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}
