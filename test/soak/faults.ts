import { randomBytes } from "node:crypto";
import type pg from "pg";
import {
  cancelRequest,
  copyData,
  keyOf,
  message,
  parse,
  query,
  rawMessage,
  RawClient,
  SSL_REQUEST,
  startupMessage,
  type Login,
} from "../support/raw-client.ts";

export interface FaultsOptions {
  /** A superuser's connection to the server itself. */
  readonly admin: pg.Client;
  readonly login: Login;
  readonly random: () => number;
}

/** What befalls a proxy on a bad day, one at a time and at random. */
export class Faults {
  #lastHitAtMs = -Infinity;
  readonly counts: Record<string, number> = {};
  readonly #options: FaultsOptions;
  #watched: RawClient[] = [];

  constructor(options: FaultsOptions) {
    this.#options = options;
  }

  /** A session that a fault may hit. */
  watch(client: RawClient): void {
    this.#watched = [...this.#watched.filter(({ isEnded }) => !isEnded), client];
  }

  /** Whether a session at work may feel one just now. */
  get hasHitLately(): boolean {
    return performance.now() - this.#lastHitAtMs < 5000;
  }

  async one(): Promise<void> {
    const kinds = Object.entries(this.#kinds);
    const [name, fault] = kinds[Math.floor(this.#options.random() * kinds.length)] ?? [];
    if (name === undefined || fault === undefined) return;
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    await fault();
  }

  readonly #kinds: Readonly<Record<string, () => Promise<void>>> = {
    "a backend is killed": async () => {
      this.#lastHitAtMs = performance.now();
      const victim = this.#anyone();
      if (victim === undefined) return;
      await this.#options.admin.query("SELECT pg_terminate_backend($1)", [keyOf(victim).processId]);
    },
    "a frontend vanishes": () => {
      this.#lastHitAtMs = performance.now();
      this.#anyone()?.socket.resetAndDestroy();
      return Promise.resolve();
    },
    "a statement is canceled": async () => {
      const victim = this.#anyone();
      if (victim === undefined) return;
      this.#lastHitAtMs = performance.now();
      const { processId, secret } = keyOf(victim);
      await this.#throw(cancelRequest(processId, secret));
    },
    "a cancel key is guessed": () => this.#throw(cancelRequest(1234, randomBytes(4))),
    "garbage instead of a start-up": () => this.#throw(randomBytes(200)),
    "TLS that never begins": () => this.#throw(SSL_REQUEST),
    "a start-up, and silence": () =>
      this.#throw(startupMessage(this.#options.login).subarray(0, 9)),
    "a wrong password": async () => {
      await RawClient.logIn({ ...this.#options.login, user: "nobody" }).catch(() => undefined);
    },
    "garbage in a session": async () => {
      const client = await RawClient.logIn(this.#options.login);
      client.send(parse("x", "SELECT 1"), message("Q", Buffer.from("no end")), rawMessage("B", -1));
      await client.untilEnd();
    },
    "a frontend that does not read": async () => {
      const client = await RawClient.logIn(this.#options.login);
      client.socket.pause();
      client.send(query("SELECT repeat('x', 8000) FROM generate_series(1, 20000)"));
      setTimeout(() => {
        client.socket.destroy();
      }, 3000);
    },
    "a COPY that is left alone": async () => {
      const client = await RawClient.logIn(this.#options.login);
      client.send(query("CREATE TEMP TABLE c (a text)"), query("COPY c FROM STDIN"));
      await client.until("G");
      client.send(copyData("x".repeat(100_000)).subarray(0, 50_000));
      client.socket.resetAndDestroy();
    },
    "many log in at once": async () => {
      const logins = Array.from({ length: 20 }, () => RawClient.logIn(this.#options.login));
      for (const client of await Promise.all(logins)) client.close();
    },
  };

  #anyone(): RawClient | undefined {
    const alive = this.#watched.filter(({ isEnded }) => !isEnded);
    return alive[Math.floor(this.#options.random() * alive.length)];
  }

  /** On a connection of its own, which is then left to the proxy, or hung up a moment later. */
  async #throw(bytes: Buffer): Promise<void> {
    const client = await RawClient.open(this.#options.login);
    client.send(bytes);
    setTimeout(() => {
      client.socket.destroy();
    }, 4000);
  }
}
