import { statSync } from "node:fs";
import type { AskedFor, DirectoryEntry } from "../auth/authentication.ts";
import {
  DEFAULT_ITERATIONS,
  mockVerifier,
  parseVerifier,
  type ScramVerifier,
} from "../auth/verifier.ts";
import { hmacSha256 } from "../auth/scram-keys.ts";
import { Secret } from "../base/secret.ts";
import type { Config, PrincipalConfig } from "../config/config.ts";
import { readPeople } from "../config/people-file.ts";
import type { Principal } from "../policy/principal.ts";
import type { Log } from "../telemetry/log.ts";

type People = Pick<Config, "principals" | "peopleFile" | "roles" | "tokens" | "environments">;

/**
 * Who there is: those of the configuration, and those that the people file has by now. A file that has become no use
 * changes nothing, and is told of once.
 */
export class Directory {
  /** What makes the salts of names that do not exist. */
  readonly mockSecret: Secret<Buffer>;
  readonly #people: People;
  readonly #log: Log;
  #entries: ReadonlyMap<string, DirectoryEntry>;
  #mockIterations: number;
  #version: string;

  constructor(people: People, mockSecret: Secret<Buffer>, log: Log) {
    this.mockSecret = mockSecret;
    this.#people = people;
    this.#log = log;
    // Older than what `principals` holds at worst: then it is read once more.
    this.#version = "";
    this.#entries = toEntries(people.principals);
    this.#mockIterations = commonIterations(this.#entries);
  }

  /** What most verifiers ask for, so that unknown names look like the known. */
  get mockIterations(): number {
    this.#refresh();
    return this.#mockIterations;
  }

  /**
   * What a name that nobody has is asked for: each name always the same, and as many of them this or that as people
   * are, so that the question does not tell who is there.
   */
  mockAsksFor(name: string): AskedFor {
    this.#refresh();
    const all = [...this.#entries.values()].map(({ asksFor }) => asksFor).sort();
    const draw = hmacSha256(this.mockSecret.reveal(), `twokey mock question\0${name}`);
    return all[Math.floor((draw.readUInt32BE(0) / 2 ** 32) * all.length)] ?? "sasl";
  }

  /** What a password of theirs is checked against, or what looks like it where they have none. */
  ownVerifier(name: string): ScramVerifier {
    return (
      this.entry(name)?.verifiers[0] ?? mockVerifier(name, this.mockSecret, this.mockIterations)
    );
  }

  /** For logging in: also those who may not. */
  entry(name: string): DirectoryEntry | undefined {
    this.#refresh();
    return this.#entries.get(name);
  }

  /** Whoever is disabled or has expired is not found. */
  principal(name: string, now: Date): Principal | undefined {
    const entry = this.entry(name);
    if (entry === undefined || entry.isDisabled) return undefined;
    return entry.expiresAt !== undefined && entry.expiresAt <= now ? undefined : entry.principal;
  }

  /** The roles of everybody who may sign now. */
  groups(now: Date): ReadonlyMap<string, readonly string[]> {
    this.#refresh();
    const groups = new Map<string, readonly string[]>();
    for (const { principal, isDisabled, expiresAt } of this.#entries.values()) {
      if (principal.kind !== "person" || isDisabled) continue;
      if (expiresAt === undefined || expiresAt > now) groups.set(principal.name, principal.roles);
    }
    return groups;
  }

  #refresh(): void {
    const { peopleFile, principals } = this.#people;
    if (peopleFile === undefined) return;
    const version = versionOf(peopleFile.path);
    if (version === this.#version) return;
    this.#version = version;
    try {
      const kept = [...principals].filter(([name]) => !peopleFile.names.has(name));
      this.#entries = toEntries(new Map([...kept, ...readPeople(this.#people)]));
      this.#mockIterations = commonIterations(this.#entries);
    } catch (error) {
      this.#log.error(
        { err: error, file: peopleFile.path },
        "who may log in stays as it was until this file is mended",
      );
    }
  }
}

function versionOf(path: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
  } catch {
    return "gone"; // reading it says why
  }
}

function toEntries(
  principals: ReadonlyMap<string, PrincipalConfig>,
): ReadonlyMap<string, DirectoryEntry> {
  return new Map([...principals].map(([name, principal]) => [name, toEntry(principal)]));
}

function toEntry({
  kind,
  name,
  roles,
  asksFor,
  verifier: secret,
  ...rest
}: PrincipalConfig): DirectoryEntry {
  const text = secret?.reveal() ?? "";
  const verifier = parseVerifier(text);
  const [, md5] = /^md5([0-9a-f]{32})$/.exec(text) ?? [];
  return {
    principal: { kind, name, roles, onlyReads: rest.onlyReads, places: rest.places },
    asksFor: asksFor === "password" || asksFor === "upstream" ? "sasl" : asksFor,
    isUpstreams: asksFor === "upstream",
    verifiers: verifier === undefined ? [] : [verifier],
    md5: md5 === undefined ? undefined : new Secret(md5),
    certificates: rest.certificates,
    tokens: rest.tokens,
    isDisabled: rest.isDisabled,
    expiresAt: rest.expiresAt,
  };
}

function commonIterations(entries: ReadonlyMap<string, DirectoryEntry>): number {
  const counts = new Map<number, number>();
  for (const {
    verifiers: [verifier],
  } of entries.values()) {
    if (verifier === undefined) continue;
    counts.set(verifier.iterations, (counts.get(verifier.iterations) ?? 0) + 1);
  }
  const [common] = [...counts].sort((a, b) => b[1] - a[1]);
  return common?.[0] ?? DEFAULT_ITERATIONS;
}
