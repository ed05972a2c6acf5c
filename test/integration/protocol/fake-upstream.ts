import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { cString, int32, message } from "../../support/raw-client.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { eventually } from "./world.ts";

export interface FakeUpstreamOptions {
  /** What it says instead of a proper greeting. */
  readonly greeting?: Buffer;
  /** Its answer to each chunk behind the start-up; `socket` for what an answer can't say. */
  readonly answer?: (received: Buffer, socket: Socket) => Buffer | undefined;
}

/** A server that says what a test wants, as none does that can be trusted. */
export interface FakeUpstream {
  readonly postgres: TestPostgres;
  /** Every byte behind start-up packets, in order. */
  readonly received: () => Buffer;
  /** Whatever is connected. */
  readonly say: (bytes: Buffer) => void;
  readonly connected: () => Promise<void>;
  readonly disconnected: () => Promise<void>;
  readonly answerWith: (answer: FakeUpstreamOptions["answer"]) => void;
  readonly stop: () => Promise<void>;
}

export const PARAMETERS: Readonly<Record<string, string>> = {
  server_version: "18.0",
  server_encoding: "UTF8",
  client_encoding: "UTF8",
  standard_conforming_strings: "on",
};

const authenticationOk = message("R", int32(0));
export const backendKeyData = message("K", Buffer.concat([int32(4711), int32(42)]));
export const ready = (status = "I"): Buffer => message("Z", Buffer.from(status));
export const commandComplete = (tag: string): Buffer => message("C", cString(tag));
export const parameterStatus = (name: string, value: string): Buffer =>
  message("S", Buffer.concat([cString(name), cString(value)]));
export const errorResponse = (fields: Readonly<Record<string, string>>): Buffer =>
  message(
    "E",
    Buffer.concat([
      ...Object.entries(fields).map(([letter, text]) => cString(letter + text)),
      Buffer.alloc(1),
    ]),
  );

export function greeting(parameters: Readonly<Record<string, string>> = PARAMETERS): Buffer {
  return Buffer.concat([
    authenticationOk,
    ...Object.entries(parameters).map(([name, value]) => parameterStatus(name, value)),
    backendKeyData,
    ready(),
  ]);
}

export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  let { answer } = options;
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.once("data", () => {
      socket.write(options.greeting ?? greeting());
      socket.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        const said = answer?.(chunk, socket);
        if (said !== undefined) socket.write(said);
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    postgres: {
      host: "127.0.0.1",
      port,
      superuser: "postgres",
      password: "upstream-secret",
      socketDir: undefined,
      stop: () => Promise.resolve(),
    },
    say: (bytes) => {
      for (const socket of sockets) socket.write(bytes);
    },
    connected: () => eventually(() => Promise.resolve(sockets.size > 0), "somebody is connected"),
    disconnected: () =>
      eventually(() => Promise.resolve(sockets.size === 0), "nobody is connected"),
    received: () => Buffer.concat(chunks),
    answerWith: (next) => {
      answer = next;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
