import net from "node:net";
import os from "node:os";
import tls from "node:tls";
import { parseRecord } from "../../audit/record.ts";
import type { Send } from "../shipment.ts";
import { isRefusal } from "./otlp.ts";

/** Facility 13, log audit (RFC 5424 §6.2.1), with severity notice or informational. */
const LOG_AUDIT = 13 * 8;
const NOTICE = 5;
const INFORMATIONAL = 6;
/** A name is printable ASCII without blanks; longer ones are cut (RFC 5424 §6). */
const MAX_NAME = 48;

export interface SyslogOptions {
  readonly host: string;
  readonly port: number;
  /** `off` for a receiver on the same machine. */
  readonly tls: "on" | "off";
  /** PEM: whom to believe besides, or instead of, the system's authorities; our own certificate, where the receiver asks. */
  readonly ca: () => Buffer | undefined;
  readonly certificate: () => { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

/** A receiver that breaks off while it reads shows in this time, before our own end could be taken for the reason. */
const READING_MS = 100;

/**
 * Syslog (RFC 5424) over TLS with octet counting (RFC 5425). Syslog has no acknowledgement, and what TCP has taken may
 * still be lost with the connection; so a shipment has a connection of its own, which is ended by us and then, once it has
 * read everything, by the receiver. That is the acknowledgement.
 */
export function syslogSink(options: SyslogOptions): Send {
  return async ({ lines }, signal) => {
    const messages = lines.flatMap(({ line }) => {
      const message = syslogMessage(line.subarray(0, -1));
      return [Buffer.from(`${message.length} `), message];
    });
    await deliver(connect(options), Buffer.concat(messages), signal);
  };
}

/** One message: the header, no structured data, and the record's line byte for byte. */
export function syslogMessage(line: Buffer): Buffer {
  const record = parseRecord(line);
  const priority = LOG_AUDIT + (isRefusal(record) ? NOTICE : INFORMATIONAL);
  const host = plain(os.hostname()) || "-";
  const header = `<${priority}>1 ${record.time} ${host} twokey ${process.pid} ${plain(record.event).slice(0, 32)} - `;
  return Buffer.concat([Buffer.from(header), BYTE_ORDER_MARK, line]);
}

/** Says that what follows is UTF-8 (RFC 5424 §6.4). */
const BYTE_ORDER_MARK = Buffer.from("\ufeff");

function plain(name: string): string {
  return name.replaceAll(/[^\x21-\x7e]/g, "").slice(0, MAX_NAME);
}

function connect({ host, port, tls: security, ca, certificate }: SyslogOptions): net.Socket {
  if (security === "off") return net.connect({ host, port });
  const authority = ca();
  return tls.connect({
    host,
    port,
    ...(net.isIP(host) === 0 && { servername: host }),
    ...(authority !== undefined && { ca: authority }),
    ...certificate(),
    minVersion: "TLSv1.2",
  });
}

async function deliver(socket: net.Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const abort = (): void => {
    socket.destroy(new Error("the receiver took too long"));
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      let isOver = false;
      const brokenOff = (): void => {
        reject(new Error("the receiver closed the connection before it had everything"));
      };
      socket.once("error", reject);
      socket.once("end", () => {
        if (!isOver) brokenOff();
      });
      socket.once("close", () => {
        if (isOver && socket.writableFinished) resolve();
        else brokenOff();
      });
      // What it may say is of no interest, but its end is only seen when it is read.
      socket.resume();
      socket.once(socket instanceof tls.TLSSocket ? "secureConnect" : "connect", () => {
        socket.write(bytes, () => {
          setTimeout(() => {
            isOver = true;
            socket.end();
          }, READING_MS);
        });
      });
    });
  } finally {
    signal.removeEventListener("abort", abort);
    socket.destroy();
  }
}
