import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import type { UpstreamAddress } from "../../src/upstream/dial.ts";

export interface ScriptedServer {
  readonly address: UpstreamAddress;
  close(): void;
}

/** A server that does whatever a test wants it to; the real ones are in test/integration. */
export async function scriptedServer(script: (socket: Socket) => void): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    script(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: { kind: "tcp", host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A backend message. */
export function message(type: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body as string, "latin1");
  const header = Buffer.from(`${type}\0\0\0\0`);
  header.writeUInt32BE(4 + bytes.length, 1);
  return Buffer.concat([header, bytes]);
}
