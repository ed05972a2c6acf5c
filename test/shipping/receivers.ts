import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import tls from "node:tls";
import { gunzipSync } from "node:zlib";
import { pem } from "../support/pem.ts";

export interface Received {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** An HTTP server that answers as it is told to, and remembers what it took. */
export async function httpReceiver(
  answer: (received: Received) => { readonly status: number; readonly body?: string },
): Promise<{ url: string; taken: Received[]; close: () => Promise<void> }> {
  const taken: Received[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const bytes = Buffer.concat(chunks);
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
      const received = { path: request.url ?? "", headers: request.headers, body: body.toString() };
      const { status, body: text = "{}" } = answer(received);
      if (status === 200) taken.push(received);
      response.writeHead(status, { "content-type": "application/json" }).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

/** A syslog receiver over TLS that reads by octet counts (RFC 5425), and may break connections off. */
export async function syslogReceiver(
  onConnection: (socket: Socket) => void = () => undefined,
): Promise<{ port: number; messages: string[]; close: () => Promise<void> }> {
  const messages: string[] = [];
  const server = tls.createServer({ cert: pem("server.crt"), key: pem("server.key") }, (socket) => {
    let bytes = Buffer.alloc(0);
    socket.on("error", () => undefined); // broken off, as a test wants it
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (;;) {
        const blank = bytes.indexOf(" ");
        const end = blank + 1 + Number(bytes.subarray(0, blank).toString());
        if (blank === -1 || end > bytes.length) return;
        messages.push(bytes.toString("utf8", blank + 1, end));
        bytes = bytes.subarray(end);
      }
    });
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    messages,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
  };
}
