import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { Secret } from "../../src/base/secret.ts";
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from "../../src/upstream/embedded-postgres.ts";
import { seededRandom } from "../fuzz/mutate.ts";
import { query, RawClient, type Login } from "../support/raw-client.ts";
import { ALLOW_ALL } from "../support/twokey.ts";
import { startTwokeyProcess, type TwokeyProcess } from "../support/twokey-process.ts";
import { comparable, episode, onSide } from "./episodes.ts";
import { Faults } from "./faults.ts";

export interface SoakOptions {
  readonly minutes: number;
  readonly workers: number;
  readonly faults: boolean;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface SoakFigures {
  readonly episodes: number;
  /** Requests whose answers were compared with what the server itself gives. */
  readonly compared: number;
  readonly differing: readonly string[];
  readonly faults: Readonly<Record<string, number>>;
  /** Episodes that a fault cut short, and those that ended with no fault to explain it. */
  readonly cutShort: number;
  readonly unexplained: readonly string[];
  readonly rssAfterFirstMinutesMb: number;
  readonly rssAtEndMb: number;
  readonly rssHighestMb: number;
  readonly descriptorsBefore: number;
  readonly descriptorsAfter: number;
}

/** Full load, each result compared with what the server gives directly, with faults at random. */
export async function soak(options: SoakOptions): Promise<SoakFigures> {
  const password = "soak-upstream";
  const postgres = await startEmbeddedPostgres({
    superuser: "postgres",
    password: new Secret(password),
    settings: { max_connections: "200" },
  });
  const twokey = await startTwokeyProcess({
    postgres: {
      host: postgres.host,
      port: postgres.port,
      superuser: "postgres",
      password,
      socketDir: undefined,
      stop: () => Promise.resolve(),
    },
    rules: ALLOW_ALL,
    config: { limits: { startup_timeout: "5s" }, log: { level: "info" } },
  });
  try {
    return await new Soak(options, { postgres, password, twokey }).run();
  } finally {
    twokey.program.signal("SIGKILL");
    await twokey.program.ended();
    twokey.remove();
    await postgres.stop();
  }
}

interface Place {
  readonly postgres: EmbeddedPostgres;
  readonly password: string;
  readonly twokey: TwokeyProcess;
}

class Soak {
  readonly #options: SoakOptions;
  readonly #place: Place;
  readonly #direct: Login;
  readonly #random: () => number;
  readonly #differing: string[] = [];
  readonly #unexplained: string[] = [];
  #faults: Faults | undefined;
  #episodes = 0;
  #compared = 0;
  #cutShort = 0;
  #isOver = false;

  constructor(options: SoakOptions, place: Place) {
    this.#options = options;
    this.#place = place;
    this.#random = seededRandom(options.seed);
    const { host, port } = place.postgres;
    this.#direct = { host, port, user: "postgres", password: place.password, database: "shop" };
  }

  async run(): Promise<SoakFigures> {
    const { minutes, workers, faults, say } = this.#options;
    const { login, program } = this.#place.twokey;
    const admin = await this.#prepare();
    // What is opened once (the parser's thread, the first upstream) does not count as a leak.
    await this.#warmUp();
    const descriptorsBefore = await settledDescriptors(program.pid);
    if (faults) this.#faults = new Faults({ admin, login, random: this.#random });
    const memory = new Memory(program.pid, minutes);
    const endsAt = performance.now() + minutes * 60_000;
    const load = Array.from({ length: workers }, (_, worker) => this.#work(worker));
    while (performance.now() < endsAt) {
      await sleep(1000);
      memory.sample();
      if (memory.samples % 60 === 0) {
        say(
          `${memory.samples / 60} min: ${memory.latestMb} MB, ${this.#compared} compared, ${this.#differing.length} differing`,
        );
      }
      await this.#faults?.one();
    }
    this.#isOver = true;
    await Promise.all(load);
    await admin.end();
    const descriptorsAfter = await settledDescriptors(program.pid);
    return {
      episodes: this.#episodes,
      compared: this.#compared,
      differing: this.#differing,
      faults: this.#faults?.counts ?? {},
      cutShort: this.#cutShort,
      unexplained: this.#unexplained,
      ...memory.figures(),
      descriptorsBefore,
      descriptorsAfter,
    };
  }

  async #prepare(): Promise<pg.Client> {
    const { host, port, user, password } = this.#direct;
    const first = new pg.Client({ host, port, user, password, database: "postgres" });
    await first.connect();
    await first.query("CREATE DATABASE shop");
    await first.end();
    const admin = new pg.Client({ host, port, user, password, database: "shop" });
    admin.on("error", () => undefined);
    await admin.connect();
    for (let worker = 0; worker < this.#options.workers; worker += 1) {
      for (const side of ["a", "b"]) {
        const schema = `${side}${worker}`;
        await admin.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.work (a int, b text)`);
      }
    }
    return admin;
  }

  async #warmUp(): Promise<void> {
    const clients = await Promise.all(
      Array.from({ length: this.#options.workers }, () =>
        RawClient.logIn(this.#place.twokey.login),
      ),
    );
    for (const client of clients) {
      await client.ask(query(`SELECT ${"1 + ".repeat(3000)}1`));
      client.close();
    }
  }

  async #work(worker: number): Promise<void> {
    const random = seededRandom(this.#options.seed * 1000 + worker);
    const below = (limit: number): number => Math.floor(random() * limit);
    let sides: [RawClient, RawClient] | undefined;
    while (!this.#isOver) {
      try {
        sides ??= await this.#open(worker);
        await this.#compare(worker, sides, below);
        this.#episodes += 1;
      } catch (error) {
        // A fault hits whom it will: whoever was in the middle begins anew.
        const isExplained = this.#faults?.hasHitLately === true;
        if (isExplained) this.#cutShort += 1;
        else this.#unexplained.push(`worker ${worker}: ${String(error)}`);
        for (const side of sides ?? []) side.close();
        sides = undefined;
        await sleep(100);
      }
    }
    for (const side of sides ?? []) side.close();
  }

  async #open(worker: number): Promise<[RawClient, RawClient]> {
    const through = await RawClient.logIn(this.#place.twokey.login);
    const direct = await RawClient.logIn(this.#direct);
    this.#faults?.watch(through);
    await through.ask(query(`SET search_path TO a${worker}`));
    await direct.ask(query(`SET search_path TO b${worker}`));
    return [through, direct];
  }

  async #compare(
    worker: number,
    [through, direct]: readonly [RawClient, RawClient],
    below: (limit: number) => number,
  ): Promise<void> {
    for (const { messages, readies } of episode(below)) {
      // A session of its own each: what one does to the other would be no fault of the proxy's.
      through.send(...onSide(messages, "a"));
      direct.send(...onSide(messages, "b"));
      const [ours, its] = await Promise.all([
        through.untilReady(readies),
        direct.untilReady(readies),
      ]);
      const isCut = through.isEnded || ours.some(({ body, type }) => type === "E" && isFault(body));
      if (isCut) throw new Error(`ended: ${comparable(ours).slice(-300)}`);
      this.#compared += 1;
      if (comparable(ours) === comparable(its)) continue;
      if (this.#differing.length < 20) {
        this.#differing.push(
          `worker ${worker}: ${Buffer.concat(messages).toString("latin1").slice(0, 200)}\nthrough: ${comparable(ours).slice(0, 400)}\ndirect: ${comparable(its).slice(0, 400)}`,
        );
      }
      throw new Error("a result differs");
    }
  }
}

/** Canceled, terminated, or the connection lost: what faults bring. */
function isFault(body: Buffer): boolean {
  return /C(57P01|08006)\0|C57014\0Mcanceling/.test(body.toString("latin1"));
}

/** The memory of a process, sampled every second. */
class Memory {
  readonly #pid: number;
  readonly #minutes: number;
  readonly #mb: number[] = [];

  constructor(pid: number, minutes: number) {
    this.#pid = pid;
    this.#minutes = minutes;
  }

  get samples(): number {
    return this.#mb.length;
  }

  get latestMb(): number {
    return this.#mb.at(-1) ?? 0;
  }

  sample(): void {
    const status = readFileSync(`/proc/${this.#pid}/status`, "utf8");
    this.#mb.push(Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024));
  }

  /** Medians over a minute, or over a fifth of a short run: after the first five minutes, and at the end. */
  figures(): Pick<SoakFigures, "rssAfterFirstMinutesMb" | "rssAtEndMb" | "rssHighestMb"> {
    const window = Math.min(60, Math.ceil(this.samples / 5));
    const first = Math.min(5 * 60, Math.ceil((this.#minutes * 60) / 2));
    return {
      rssAfterFirstMinutesMb: median(this.#mb.slice(first - window, first)),
      rssAtEndMb: median(this.#mb.slice(-window)),
      rssHighestMb: Math.max(...this.#mb),
    };
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Open descriptors once no more are being closed. */
async function settledDescriptors(pid: number): Promise<number> {
  const count = (): number => readdirSync(`/proc/${pid}/fd`).length;
  let least = count();
  for (let unchanged = 0; unchanged < 20; unchanged += 1) {
    await sleep(250);
    const now = count();
    if (now < least) unchanged = 0;
    least = Math.min(least, now);
  }
  return least;
}
