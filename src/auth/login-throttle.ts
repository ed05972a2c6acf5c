import { parseIpAddress } from "../policy/network.ts";

// How passwords are kept from being guessed, and people from being kept out by those who guess:
//
// A wrong password counts against the name that was tried, and against the address that it came from. When either
// count is full, log-ins by password are refused for a while, the right ones too, with the same words and after the
// same time: a guesser can't tell. What is not there is counted as what is.
//
// An address from which somebody has logged in before is theirs: there, only what was tried there under their name
// counts. So flooding a name from elsewhere, or an address with other names, keeps nobody out of what they
// use. Only who tries somebody's name from that person's own address can: they sit at the same desk.

export interface LoginLimits {
  /** Wrong passwords within the window before a name is locked. */
  readonly perPerson: number;
  readonly perAddress: number;
  readonly windowMs: number;
  readonly lockForMs: number;
}

/** One try to log in with what could be guessed. */
export interface LoginAttempt {
  readonly isLocked: () => boolean;
  readonly failed: () => void;
  readonly succeeded: () => void;
}

export interface Attempted {
  readonly user: string;
  /** Whether there is such a person or workload: what strangers invent must not push real names out. */
  readonly isKnown: boolean;
  /** An IP address, or `local` for the Unix socket. */
  readonly address: string;
  readonly nowMs: number;
}

const MAX_ENTRIES = 10_000;
const LOOKED_AT = 16;
const MAX_NAME_CHARACTERS = 64; // no real name is longer
const MAX_PLACES_PER_PERSON = 32;

/** Counts failed log-ins, in tables that strangers can't make grow without end. */
export class LoginThrottle {
  readonly #people: FailureCounts;
  readonly #inventedNames: FailureCounts;
  readonly #addresses: FailureCounts;
  readonly #atOwnPlaces: FailureCounts;
  /** Of each person, the addresses of earlier log-ins, the latest last. */
  readonly #places = new Map<string, Set<string>>();

  constructor({ perPerson, perAddress, ...times }: LoginLimits) {
    this.#people = new FailureCounts({ limit: perPerson, ...times });
    this.#inventedNames = new FailureCounts({ limit: perPerson, ...times });
    this.#atOwnPlaces = new FailureCounts({ limit: perPerson, ...times });
    this.#addresses = new FailureCounts({ limit: perAddress, ...times });
  }

  attempt({ user, isKnown, address, nowMs }: Attempted): LoginAttempt {
    const network = networkOf(address);
    const place = `${user}\0${network}`;
    const names = isKnown ? this.#people : this.#inventedNames;
    const name = user.slice(0, MAX_NAME_CHARACTERS);
    const isOwnPlace = (): boolean => this.#places.get(user)?.has(network) === true;
    return {
      isLocked: () =>
        isOwnPlace()
          ? this.#atOwnPlaces.isFull(place, nowMs)
          : names.isFull(name, nowMs) || this.#addresses.isFull(network, nowMs),
      failed: () => {
        this.#addresses.add(network, nowMs);
        if (isOwnPlace()) this.#atOwnPlaces.add(place, nowMs);
        else names.add(name, nowMs);
      },
      succeeded: () => {
        this.#remember(user, network);
        this.#atOwnPlaces.forget(place);
        // The address stays counted: one good password must not buy guesses at others'.
      },
    };
  }

  #remember(user: string, network: string): void {
    const places = this.#places.get(user) ?? new Set();
    this.#places.set(user, places);
    places.delete(network);
    places.add(network);
    const [oldest] = places;
    if (places.size > MAX_PLACES_PER_PERSON && oldest !== undefined) places.delete(oldest);
  }
}

interface Count {
  readonly failures: number;
  readonly endsAtMs: number;
}

/** Failures by key; a full count ends later than one that is not. */
class FailureCounts {
  readonly #limits: {
    readonly limit: number;
    readonly windowMs: number;
    readonly lockForMs: number;
  };
  /** In the order in which they began. */
  readonly #counts = new Map<string, Count>();

  constructor(limits: { limit: number; windowMs: number; lockForMs: number }) {
    this.#limits = limits;
  }

  isFull(key: string, nowMs: number): boolean {
    const count = this.#current(key, nowMs);
    return count !== undefined && count.failures >= this.#limits.limit;
  }

  add(key: string, nowMs: number): void {
    const { limit, windowMs, lockForMs } = this.#limits;
    const count = this.#current(key, nowMs);
    const failures = (count?.failures ?? 0) + 1;
    if (count === undefined) this.#makeRoom(nowMs);
    // The lock runs from the failure that filled the count; a refused log-in doesn't make it longer.
    const endsAtMs = failures >= limit ? nowMs + lockForMs : (count?.endsAtMs ?? nowMs + windowMs);
    this.#counts.set(key, { failures, endsAtMs });
  }

  forget(key: string): void {
    this.#counts.delete(key);
  }

  #current(key: string, nowMs: number): Count | undefined {
    const count = this.#counts.get(key);
    if (count === undefined || count.endsAtMs > nowMs) return count;
    this.#counts.delete(key);
    return undefined;
  }

  /**
   * Of the few oldest, whoever has come to an end goes first, else who locks nobody, else the oldest. Only a few are
   * looked at: a full table must not make each failure dear.
   */
  #makeRoom(nowMs: number): void {
    if (this.#counts.size < MAX_ENTRIES) return;
    const oldest: [string, Count][] = [];
    for (const entry of this.#counts) {
      if (oldest.push(entry) === LOOKED_AT) break;
    }
    const [key] =
      oldest.find(([, { endsAtMs }]) => endsAtMs <= nowMs) ??
      oldest.find(([, { failures }]) => failures < this.#limits.limit) ??
      oldest[0] ??
      [];
    if (key !== undefined) this.#counts.delete(key);
  }
}

/** What one attacker has at once: an IPv4 address, or the /64 that every IPv6 host may choose from. */
function networkOf(address: string): string {
  if (address === "local") return address;
  const bits = parseIpAddress(address);
  const isIpv4 = bits >> 32n === 0xffffn;
  return isIpv4 ? bits.toString(16) : `${(bits >> 64n).toString(16)}/64`;
}
