/**
 * Whether others notice that passwords are being guessed: `node --import tsx test/bench/brute-force.ts`. The guesser (10,000 wrong
 * passwords for one name, a hundred at once) and somebody who works are processes of their own, as in life; this one is
 * the proxy. Prints how long `SELECT 1` takes before and meanwhile, and what CPU of the proxy a guess costs.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import pg from "pg";
import { guess } from "../support/guesser.ts";
import { startPostgres } from "../support/postgres.ts";
import { startTestTwokey } from "../support/twokey.ts";

const GUESSES = 10_000;
const AT_ONCE = 100;
const PROBES = 300;
const PAUSE_MS = 10;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const [part, ...args] = process.argv.slice(2);
if (part === "guess") await guessAll(Number(args[0]));
else if (part === "work") await work(String(args[0]));
else await measure();

async function measure(): Promise<void> {
  const postgres = await startPostgres();
  const twokey = await startTestTwokey({ postgres });
  const url = twokey.url(twokey.people.alice, "postgres");
  print(`alone:     ${await output("work", url)}`);
  const cpu = process.cpuUsage();
  const guessing = output("guess", String(twokey.port));
  print(`meanwhile: ${await output("work", url)}`);
  print(await guessing);
  const { user, system } = process.cpuUsage(cpu);
  print(
    `proxy: ${((user + system) / 1000 / GUESSES).toFixed(2)} ms of CPU a guess, SELECTs included`,
  );
  await twokey.stop();
  await postgres.stop();
}

async function output(...argv: readonly string[]): Promise<string> {
  const command = [...process.execArgv, process.argv[1] ?? "", ...argv];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(child, "close");
  return Buffer.concat(chunks).toString().trim();
}

async function guessAll(port: number): Promise<void> {
  const startedAt = performance.now();
  let next = 0;
  const one = async (): Promise<void> => {
    while (next++ < GUESSES) await guess({ port, user: "alice", from: "127.0.0.2" });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  const seconds = (performance.now() - startedAt) / 1000;
  print(`${GUESSES} guesses in ${seconds.toFixed(1)} s`);
}

async function work(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  const times: number[] = [];
  for (let i = 0; i < PROBES; i++) {
    const startedAt = performance.now();
    await client.query("SELECT 1");
    times.push(performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await client.end();
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(times.length * share)] ?? NaN).toFixed(2);
  print(`SELECT 1 ×${PROBES}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms`);
}
