import type { DirectoryEntry } from "../auth/authentication.ts";
import { DEFAULT_ITERATIONS, parseVerifier } from "../auth/verifier.ts";
import type { Secret } from "../base/secret.ts";
import type { Config, PrincipalConfig } from "../config/config.ts";
import type { Principal } from "../policy/principal.ts";

/** Who there is, as the configuration says. */
export class Directory {
  /** What makes the salts of names that do not exist. */
  readonly mockSecret: Secret<Buffer>;
  /** What most verifiers ask for, so that unknown names look like the known. */
  readonly mockIterations: number;
  readonly #entries = new Map<string, DirectoryEntry>();

  constructor({ principals }: Pick<Config, "principals">, mockSecret: Secret<Buffer>) {
    for (const principal of principals.values()) {
      this.#entries.set(principal.name, toEntry(principal));
    }
    this.mockSecret = mockSecret;
    this.mockIterations = commonIterations([...this.#entries.values()]);
  }

  /** For logging in: also those who may not. */
  entry(name: string): DirectoryEntry | undefined {
    return this.#entries.get(name);
  }

  /** Whoever is disabled or has expired is not found. */
  principal(name: string, now: Date): Principal | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.isDisabled) return undefined;
    return entry.expiresAt !== undefined && entry.expiresAt <= now ? undefined : entry.principal;
  }

  /** The roles of everybody who may sign now. */
  groups(now: Date): ReadonlyMap<string, readonly string[]> {
    const groups = new Map<string, readonly string[]>();
    for (const name of this.#entries.keys()) {
      const principal = this.principal(name, now);
      if (principal?.kind === "person") groups.set(name, principal.roles);
    }
    return groups;
  }
}

function toEntry({
  kind,
  name,
  roles,
  verifier,
  isDisabled,
  expiresAt,
}: PrincipalConfig): DirectoryEntry {
  return {
    principal: { kind, name, roles },
    verifier: verifier === undefined ? undefined : parseVerifier(verifier.reveal()),
    certificates: [],
    isDisabled,
    expiresAt,
  };
}

function commonIterations(entries: readonly DirectoryEntry[]): number {
  const counts = new Map<number, number>();
  for (const { verifier } of entries) {
    if (verifier === undefined) continue;
    counts.set(verifier.iterations, (counts.get(verifier.iterations) ?? 0) + 1);
  }
  const [common] = [...counts].sort((a, b) => b[1] - a[1]);
  return common?.[0] ?? DEFAULT_ITERATIONS;
}
