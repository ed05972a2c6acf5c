/**
 * What a statement costs in our own code, without the operating system's part: `node --import tsx test/bench/relay.ts
 * [statements]` drives a real relay (framing, decision, audit, metrics) between two ends that only count. CPU time.
 */
import fs from "node:fs";
import type { Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import { createPolicy } from "../../src/policy/policy.ts";
import { Classifier } from "../../src/session/classifier.ts";
import { Gate } from "../../src/session/gate.ts";
import { Holds } from "../../src/session/holds.ts";
import { Relay } from "../../src/session/relay.ts";
import { RecentStatements } from "../../src/session/recent-statements.ts";
import { SecondPerson } from "../../src/session/second-person.ts";
import { SessionRecorder } from "../../src/session/session-recorder.ts";
import { SessionSql } from "../../src/session/session-sql.ts";
import type { Situation } from "../../src/session/situation.ts";
import { AuditFile } from "../../src/store/audit-file.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import type { UpstreamConnection, UpstreamListener } from "../../src/upstream/connection.ts";
import { allow, api, office, production, rule } from "../policy/situations.ts";
import { SIGNING_KEY } from "../support/audit-chain.ts";
import {
  bind,
  cString,
  describePortal,
  execute,
  int16,
  int32,
  message,
  parse,
  query,
  sync,
} from "../support/raw-client.ts";

const statements = Number(process.argv[2] ?? 300_000);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "twokey-bench-"));
const metrics = new Metrics({ version: "bench", now: Date.now });
const audit = AuditFile.open({ directory, signingKey: SIGNING_KEY, durability: "normal" });
const policy = createPolicy({ rules: [rule("everyday-work", allow)], unparsed: new Map() });

/** Both ends of a session: nothing arrives but what the benchmark pushes. */
class Ends {
  toUpstream = 0;
  toFrontend = 0;
  #onData: (chunk: Buffer) => void = () => undefined;
  #listener: UpstreamListener | undefined;

  readonly frontend = {
    on: (event: string, listener: (chunk: Buffer) => void) => {
      if (event === "data") this.#onData = listener;
    },
    write: (bytes: Buffer) => {
      this.toFrontend += bytes.length;
      return true;
    },
    writableLength: 0,
    destroyed: false,
    pause: () => undefined,
    resume: () => undefined,
    destroySoon: () => undefined,
  } as unknown as Socket;

  readonly upstream = {
    listen: (listener: UpstreamListener) => {
      this.#listener = listener;
    },
    write: (bytes: Buffer) => {
      this.toUpstream += bytes.length;
      return true;
    },
    keepChunk: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    end: () => undefined,
    destroy: () => undefined,
  } as unknown as UpstreamConnection;

  ask(bytes: Buffer): void {
    this.#onData(bytes);
  }

  answer(bytes: Buffer): void {
    this.#listener?.onChunk(bytes);
  }
}

function openSession(): Ends {
  const situation: Situation = {
    session: "5a1e0c3d9b7f2846",
    principal: api,
    client: office,
    address: "10.1.2.3:52814",
    place: production,
    neighbours: [],
    readOnlyRoles: [],
    upstream: "main",
  };
  const recorder = new SessionRecorder(
    audit,
    {
      session: situation.session,
      person: api.name,
      roles: api.roles,
      client: { address: situation.address, application_name: "pgbench" },
      environment: production.environment,
      database: production.database,
    },
    { recorded: { parameters: "none", literals: "keep" }, notice: () => undefined },
  );
  const sql = new SessionSql();
  const holds = new Holds();
  const desk = {} as never;
  const secondPerson = new SecondPerson({
    ...{ situation, desk, holds, recorder, metrics },
    recent: () => [],
    now: () => new Date(),
  });
  const gate = new Gate({
    situation,
    policy: () => policy,
    asOfNow: (principal) => principal,
    classifier,
    sql,
    functions: undefined,
    desk,
    secondPerson,
    backupDuty: undefined as never,
    recorder,
    habits: undefined,
    recent: new RecentStatements(),
    metrics,
    now: () => new Date(),
  });
  const ends = new Ends();
  const relay = new Relay({
    frontend: ends.frontend,
    upstream: ends.upstream,
    gate,
    sql,
    holds,
    reminder: undefined,
    maxMessageBytes: 1 << 28,
    maxNamedObjects: 10_000,
    idleInTransactionMs: undefined,
    cancel: () => undefined,
    countBytes: (direction, bytes) => {
      metrics.bytes(direction, bytes);
    },
  });
  relay.start();
  return ends;
}

const classifier = new Classifier({ dialect: "postgresql" });
classifier.warmUp();

const SELECT = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;";
const ready = message("Z", Buffer.from("I"));
const row = message("D", Buffer.concat([int16(1), int32(5), Buffer.from("12345")]));
const description = message(
  "T",
  Buffer.concat([int16(1), cString("abalance"), Buffer.alloc(18, 0)]),
);
const selected = message("C", cString("SELECT 1"));
const bound = [bind({ statement: "P_0", values: ["4711"] }), describePortal(), execute(), sync()];

interface Workload {
  readonly name: string;
  readonly before?: readonly [ask: Buffer, answer: Buffer];
  readonly ask: (i: number) => Buffer;
  readonly answer: Buffer;
}

const WORKLOADS: readonly Workload[] = [
  {
    name: "prepared: Bind, Describe, Execute, Sync",
    before: [Buffer.concat([parse("P_0", SELECT), sync()]), Buffer.concat([message("1"), ready])],
    ask: same(Buffer.concat(bound)),
    answer: Buffer.concat([message("2"), description, row, selected, ready]),
  },
  {
    name: "extended: Parse, Bind, Describe, Execute, Sync",
    ask: same(
      Buffer.concat([
        parse("", SELECT),
        bind({ values: ["4711"] }),
        describePortal(),
        execute(),
        sync(),
      ]),
    ),
    answer: Buffer.concat([message("1"), message("2"), description, row, selected, ready]),
  },
  {
    name: "simple: Query seen before",
    ask: same(query("SELECT abalance FROM pgbench_accounts WHERE aid = 4711;")),
    answer: Buffer.concat([description, row, selected, ready]),
  },
  {
    name: "simple: Query whose literal is new",
    ask: (i) => query(`SELECT abalance FROM pgbench_accounts WHERE aid = ${i};`),
    answer: Buffer.concat([description, row, selected, ready]),
  },
];

function same(bytes: Buffer): () => Buffer {
  return () => bytes;
}

function run({ before, ask, answer }: Workload): number {
  const ends = openSession();
  if (before !== undefined) {
    ends.ask(before[0]);
    ends.answer(before[1]);
  }
  const { toFrontend } = ends;
  const started = process.cpuUsage();
  for (let i = 0; i < statements; i += 1) {
    ends.ask(ask(i));
    ends.answer(answer);
  }
  const { user, system } = process.cpuUsage(started);
  if (ends.toFrontend - toFrontend !== statements * answer.length)
    throw new Error("lost an answer");
  return (user + system) / statements;
}

try {
  for (const workload of WORKLOADS) {
    run(workload);
    const us = Math.min(run(workload), run(workload));
    process.stdout.write(`${workload.name.padEnd(50)} ${us.toFixed(2)} us\n`);
  }
  await audit.close();
  await classifier.close();
} finally {
  fs.rmSync(directory, { recursive: true });
}
