import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly atMs: number;
}

/** What a receiver does with the next request; after the last of them, it takes all. */
export type Behaviour =
  "ok" | "hang" | { readonly status: number; readonly headers?: Readonly<Record<string, string>> };

export interface HttpReceiver {
  readonly url: string;
  readonly received: readonly Received[];
  /** Once there are so many. */
  count(wanted: number): Promise<readonly Received[]>;
  close(): Promise<void>;
}

/** A real HTTP server that behaves as told. */
export async function startHttpReceiver(
  behaviours: readonly Behaviour[] = [],
): Promise<HttpReceiver> {
  const next = [...behaviours];
  const received: Received[] = [];
  let arrived: () => void = () => undefined;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8");
      const { url: path = "", headers } = request;
      received.push({ path, headers, body, atMs: performance.now() });
      const behaviour = next.shift() ?? "ok";
      if (behaviour === "ok") response.end("ok");
      else if (behaviour !== "hang") {
        response.writeHead(behaviour.status, behaviour.headers).end("sorry\u202e");
      }
      arrived();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    count: async (wanted) => {
      while (received.length < wanted) await new Promise<void>((resolve) => (arrived = resolve));
      return received;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly isEncrypted: boolean;
}

export interface SmtpReceiver {
  readonly port: number;
  readonly mails: readonly Mail[];
  close(): Promise<void>;
}

/** A real SMTP server. */
export async function startSmtpReceiver(options: SMTPServerOptions = {}): Promise<SmtpReceiver> {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString("utf8"),
          isEncrypted: session.secure,
        });
        callback();
      });
    },
    ...options,
  });
  // Whoever hangs up is told to the one who connected.
  server.on("error", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
      }),
  };
}
