import fc from "fast-check";
import {
  bind,
  cancelRequest,
  closeStatement,
  copyData,
  copyDone,
  cString,
  describeStatement,
  execute,
  flush,
  functionCall,
  GSSENC_REQUEST,
  int32,
  message,
  parse,
  query,
  rawMessage,
  run,
  SSL_REQUEST,
  startupPacket,
  sync,
} from "../support/raw-client.ts";
import { seededRandom } from "./mutate.ts";
import { frontendStream } from "./protocol.ts";

/** Inputs of one kind; `before` a session there is no log-in, and the connection is the input's own. */
export interface HostileFamily {
  readonly name: string;
  readonly stage: "before" | "in session";
  /** Bytes as they are written, a packet each. */
  readonly inputs: readonly (readonly Buffer[])[];
}

const TYPES = Array.from("QPBEDCSHFdcfX");
const REFUSED = "DROP TABLE keep";
const random = seededRandom(4711);
const bytes = (count: number): Buffer =>
  Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256)));
const once = (...messages: readonly Buffer[]): readonly Buffer[] => [Buffer.concat(messages)];

const PIPELINE = [
  parse("a", "SELECT 1"),
  bind({ portal: "p", statement: "a" }),
  describeStatement("a"),
  execute("p"),
  flush(),
  closeStatement("a"),
  parse("", "SELECT 2"),
  bind(),
  execute(),
];

const withRefusalAt = (position: number): Buffer[] => [
  ...PIPELINE.slice(0, position),
  parse("", REFUSED),
  bind(),
  execute(),
  ...PIPELINE.slice(position),
  sync(),
];

const SPLIT = Buffer.concat([run(REFUSED), sync(), query(REFUSED), run("SELECT 'ü'"), sync()]);

export const HOSTILE_FAMILIES: readonly HostileFamily[] = [
  {
    name: "lengths that lie, of every type",
    stage: "in session",
    inputs: TYPES.flatMap((type) =>
      [0, 1, 3, 4, 5, 6, 9, 1000].map((length) =>
        once(rawMessage(type, length, cString(REFUSED)), query(REFUSED)),
      ),
    ),
  },
  {
    name: "lengths around 2 and 4 GiB",
    stage: "in session",
    inputs: TYPES.flatMap((type) =>
      [0x7fffffff, 0x80000000, 0xfffffffb, 0xffffffff].map((length) =>
        once(rawMessage(type, length, cString(REFUSED))),
      ),
    ),
  },
  {
    name: "types that frontends don't have",
    stage: "in session",
    inputs: Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
      .filter((type) => !TYPES.includes(type))
      .map((type) => once(message(type, cString(REFUSED)))),
  },
  {
    name: "oversized messages",
    stage: "in session",
    inputs: TYPES.filter((type) => type !== "d").map((type) =>
      once(rawMessage(type, 0x30000000, Buffer.alloc(70_000, 0x41))),
    ),
  },
  {
    name: "plain bytes behind SSLRequest or GSSENCRequest",
    stage: "before",
    inputs: [SSL_REQUEST, GSSENC_REQUEST].flatMap((request) => [
      once(request, query(REFUSED)),
      once(request, request),
      once(request, startupPacket(196608, cString("user"))),
      once(request, Buffer.from("\x16\x03\x01")),
      [request, query(REFUSED)],
      [request, request, query(REFUSED)],
    ]),
  },
  {
    name: "garbage instead of a start-up",
    stage: "before",
    inputs: [
      ...Array.from({ length: 60 }, (_, i) => once(bytes(1 + i * 7))),
      once(Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")),
      once(int32(0)),
      once(int32(-1), bytes(50)),
      once(int32(10_001), bytes(50)),
      ...[0, 131072, 196607, 262144, 0xffffffff].map((version) => once(startupPacket(version))),
    ],
  },
  {
    name: "messages before log-in",
    stage: "before",
    inputs: TYPES.flatMap((type) => [
      once(message(type, cString(REFUSED))),
      once(
        startupPacket(196608, Buffer.concat([cString("user"), cString("alice"), Buffer.alloc(1)])),
        message(type, cString(REFUSED)),
      ),
    ]),
  },
  {
    name: "Bind, Describe, Execute, Close and EXECUTE of what was refused",
    stage: "in session",
    inputs: ["", "s", "n".repeat(63), "n".repeat(70)].flatMap((name) =>
      [
        [bind({ statement: name }), execute()],
        [bind({ portal: name, statement: name }), execute(name)],
        [describeStatement(name), bind({ statement: name }), execute()],
        [closeStatement(name), bind({ statement: name }), execute()],
        [query(`EXECUTE "${name || "x"}"`), bind({ statement: name }), execute()],
      ].flatMap((uses) => [
        once(parse(name, REFUSED), sync(), ...uses, sync()),
        once(parse(name, REFUSED), ...uses, sync(), ...uses, sync()),
        once(parse(name, "SELECT 1"), sync(), parse(name, REFUSED), sync(), ...uses, sync()),
      ]),
    ),
  },
  {
    name: "refusals at each position of a pipeline",
    stage: "in session",
    inputs: PIPELINE.flatMap((_, position) => [
      once(...withRefusalAt(position)),
      withRefusalAt(position),
    ]),
  },
  {
    name: "messages cut at every byte",
    stage: "in session",
    inputs: Array.from({ length: SPLIT.length - 1 }, (_, i) => [
      SPLIT.subarray(0, i + 1),
      SPLIT.subarray(i + 1),
    ]),
  },
  {
    name: "COPY data behind a refusal, and statements inside a COPY",
    stage: "in session",
    inputs: [
      query(`${REFUSED}; COPY work FROM STDIN`),
      query("COPY work FROM STDIN"),
      Buffer.concat([run("COPY work FROM STDIN"), sync()]),
      query("COPY nothing FROM STDIN"),
      Buffer.concat([run(REFUSED), run("COPY work FROM STDIN")]),
    ].flatMap((copy) =>
      [query(REFUSED), run(REFUSED), functionCall(1299, []), sync(), copyDone()].flatMap((next) => [
        once(copy, copyData(REFUSED), next, copyDone(), sync()),
        once(copy, next, copyData("1\n"), copyDone(), sync()),
        [copy, copyData("1\n"), next, sync()],
      ]),
    ),
  },
  {
    name: "cancel keys guessed",
    stage: "before",
    inputs: Array.from({ length: 120 }, (_, i) => once(cancelRequest(i, bytes(i % 2 ? 4 : 32)))),
  },
  {
    name: "streams of messages, mutated by structure",
    stage: "in session",
    inputs: fc
      .sample(frontendStream, { numRuns: 150, seed: 42 })
      .map((stream) => [stream] as const),
  },
];
